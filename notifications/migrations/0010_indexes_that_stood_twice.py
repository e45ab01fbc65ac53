"""Indexes on the streamer alone, where another one begins with it: each was written for every row and read for none."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0009_first_acks"),
    ]

    operations = [
        migrations.AlterField(
            model_name="follow",
            name="streamer",
            field=models.ForeignKey(
                db_index=False,
                help_text="Of whom they want to hear.",
                on_delete=django.db.models.deletion.CASCADE,
                related_name="follows",
                to="notifications.streamer",
            ),
        ),
        migrations.AlterField(
            model_name="notification",
            name="streamer",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="notifications",
                to="notifications.streamer",
            ),
        ),
    ]
