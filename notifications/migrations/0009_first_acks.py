"""Of each notification, which device had it first."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0008_follows_and_feeds"),
    ]

    operations = [
        migrations.AddField(
            model_name="notification",
            name="first_ack_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="notification",
            name="first_ack_device",
            field=models.CharField(blank=True, db_default="", max_length=100),
        ),
        migrations.AddField(
            model_name="notification",
            name="first_ack_recipient",
            field=models.CharField(blank=True, db_collation="C", db_default="", max_length=200),
        ),
    ]
