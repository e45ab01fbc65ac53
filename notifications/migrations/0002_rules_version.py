"""The one row of `RulesVersion`, and the triggers that raise it whoever changes the rules."""

from django.db import migrations

TABLES = (
    "notifications_streamer",
    "notifications_policy",
    "notifications_policy_channels",
    "channels_app_channel",
)

# The number comes from a sequence, so that it never repeats, even when the row is lost and made anew.
FUNCTION = """
CREATE SEQUENCE belfry_rules_number;
CREATE FUNCTION belfry_rules_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO notifications_rulesversion (id, number) VALUES (1, nextval('belfry_rules_number'))
    ON CONFLICT (id) DO UPDATE SET number = excluded.number;
    RETURN NULL;
END $$;
INSERT INTO notifications_rulesversion (id, number) VALUES (1, nextval('belfry_rules_number'));
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
            + "DROP FUNCTION belfry_rules_changed(); DROP SEQUENCE belfry_rules_number;"
            + "DELETE FROM notifications_rulesversion;",
        )
    ]
