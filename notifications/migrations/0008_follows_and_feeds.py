"""Who follows whom, and what a notification remembers of the feeds into which it is written."""

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0007_leases_by_their_time"),
    ]

    operations = [
        migrations.CreateModel(
            name="Follow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "recipient",
                    models.CharField(
                        db_collation="C",
                        help_text="Whose feed: the key by which applications know the person.",
                        max_length=200,
                    ),
                ),
                (
                    "min_priority",
                    models.PositiveSmallIntegerField(
                        default=0,
                        help_text="From here on, 0 to 10: low is 2, normal 5, high 8, critical 10. 0: everything.",
                        validators=[django.core.validators.MaxValueValidator(10)],
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.AddField(
            model_name="notification",
            name="feed_after",
            field=models.CharField(blank=True, db_collation="C", db_default="", max_length=200),
        ),
        migrations.AddField(
            model_name="notification",
            name="feed_due_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="notification",
            name="feeds",
            field=models.IntegerField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("feed_due_at__isnull", False)),
                fields=["feed_due_at"],
                name="notification_feeds_due",
            ),
        ),
        migrations.AddField(
            model_name="follow",
            name="streamer",
            field=models.ForeignKey(
                help_text="Of whom they want to hear.",
                on_delete=django.db.models.deletion.CASCADE,
                related_name="follows",
                to="notifications.streamer",
            ),
        ),
        migrations.AddIndex(
            model_name="follow",
            index=models.Index(fields=["recipient", "id"], name="follow_by_recipient"),
        ),
        migrations.AddIndex(
            model_name="follow",
            index=models.Index(fields=["streamer", "min_priority"], name="follow_wanted"),
        ),
        migrations.AddConstraint(
            model_name="follow",
            constraint=models.UniqueConstraint(
                fields=("streamer", "recipient"),
                name="follow_once",
                violation_error_message="This recipient follows this streamer already.",
            ),
        ),
    ]
