"""What is urgent and not routed yet is found whatever else waits."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notifications", "0005_retries_that_wait_cost_nothing")]

    operations = [
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("priority__gte", 8), ("routed_at__isnull", True)),
                fields=["id"],
                name="notification_urgent",
            ),
        ),
    ]
