"""The one row of `RulesVersion`, and the triggers that raise it whoever changes the rules."""

from django.db import migrations

TABLES = (
    "notifications_streamer",
    "notifications_policy",
    "notifications_policy_channels",
    "channels_app_channel",
)

FUNCTION = """
CREATE FUNCTION belfry_rules_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE notifications_rulesversion SET number = number + 1 WHERE id = 1;
    RETURN NULL;
END $$;
INSERT INTO notifications_rulesversion (id, number) VALUES (1, 1);
"""

TRIGGER = """
CREATE TRIGGER belfry_rules_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION belfry_rules_changed();
"""


class Migration(migrations.Migration):
    dependencies = [("notifications", "0001_initial"), ("channels_app", "0001_initial")]

    operations = [
        migrations.RunSQL(
            FUNCTION + "".join(TRIGGER.format(table=table) for table in TABLES),
            "".join(f"DROP TRIGGER belfry_rules_changed ON {table};" for table in TABLES)
            + "DROP FUNCTION belfry_rules_changed(); DELETE FROM notifications_rulesversion;",
        )
    ]
