from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("channels_app", "0007_slots_of_all_workers"),
    ]

    operations = [
        migrations.CreateModel(
            name="FeedKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kid", models.CharField(editable=False, max_length=20, unique=True, verbose_name="key id")),
                ("name", models.CharField(help_text="Whose key it is.", max_length=100)),
                ("secrets", models.TextField(blank=True, default="", editable=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                "db_table": "channels_app_feed_key",
                "ordering": ["-created_at"],
            },
        ),
    ]
