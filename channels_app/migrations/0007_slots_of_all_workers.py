"""The help text alone: what `max_in_flight` bounds."""

import django.core.validators
from django.db import migrations, models

import channels_app.models


class Migration(migrations.Migration):
    dependencies = [
        ("channels_app", "0006_feed"),
    ]

    operations = [
        migrations.AlterField(
            model_name="channel",
            name="max_in_flight",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Requests open at once, over all workers. Empty: 100 a lane.",
                null=True,
                validators=[django.core.validators.MinValueValidator(1), channels_app.models.AtMost(10000)],
            ),
        ),
    ]
