"""Only who asks for leases that ran out is answered out of the index of leases; settling goes by ids."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notifications", "0006_urgent_first")]

    operations = [
        migrations.RemoveIndex(model_name="delivery", name="delivery_leased"),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("lease_until__isnull", False)), fields=["lease_until"], name="delivery_leased"
            ),
        ),
    ]
