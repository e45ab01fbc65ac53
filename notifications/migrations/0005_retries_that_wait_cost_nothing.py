"""What may be claimed is found by state and channel, and what may be tried again by its time."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notifications", "0004_rules_version_without_waiting")]

    operations = [
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("state", "retrying")), fields=["lane", "due_at"], name="delivery_retrying"
            ),
        ),
        migrations.RemoveIndex(model_name="delivery", name="delivery_claimable"),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("state__in", ["pending", "retrying"])),
                fields=["lane", "state", "channel", "due_at"],
                name="delivery_claimable",
            ),
        ),
    ]
