"""Rules that changed are noticed without anybody waiting for anybody, and only where something changed that matters."""

from django.db import migrations

# `after` and `before` are all rows that the statement touched, `changed` those that came or went. What a trigger
# is given as arguments are columns that no rule depends on.
#
# The number in force is the sum over all rows: whoever changes rules raises one that nobody else is raising, and
# adds one where there is none, so that a long transaction keeps no other from its work.
FUNCTION = """
CREATE OR REPLACE FUNCTION belfry_rules_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NOT EXISTS (
            SELECT to_jsonb(after) - TG_ARGV FROM after EXCEPT SELECT to_jsonb(before) - TG_ARGV FROM before
        ) THEN
            RETURN NULL;
        END IF;
    ELSIF TG_OP <> 'TRUNCATE' THEN
        IF NOT EXISTS (SELECT FROM changed) THEN
            RETURN NULL;
        END IF;
    END IF;
    UPDATE notifications_rulesversion SET number = nextval('belfry_rules_number')
    WHERE id = (SELECT id FROM notifications_rulesversion ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED);
    IF NOT FOUND THEN
        INSERT INTO notifications_rulesversion (id, number)
        VALUES (nextval('belfry_rules_number'), nextval('belfry_rules_number'));
    END IF;
    RETURN NULL;
END $$;
"""

_NEW, _OLD, _BOTH = "NEW TABLE AS changed", "OLD TABLE AS changed", "OLD TABLE AS before NEW TABLE AS after"
_REFERENCING = {"INSERT": _NEW, "UPDATE": _BOTH, "DELETE": _OLD, "TRUNCATE": ""}

#: A streamer's key is a name in the rules; those about whom there are none change nothing.
_IDLE_OF_STREAMERS = ("name", "platform", "tags", "created_at", "updated_at")
#: When a probe is due is asked where it is taken.
_IDLE_OF_CHANNELS = ("probe_at", "probes", "created_at", "updated_at")
_DATES = ("created_at", "updated_at")

TABLES = {
    "notifications_streamer": (("UPDATE",), _IDLE_OF_STREAMERS),
    "notifications_policy": (tuple(_REFERENCING), _DATES),
    "notifications_policy_channels": (tuple(_REFERENCING), _DATES),
    "channels_app_channel": (tuple(_REFERENCING), _IDLE_OF_CHANNELS),
}

DROP_OLD = "".join(f"DROP TRIGGER belfry_rules_changed ON {table};" for table in TABLES)

FUNCTION_BEFORE = """
CREATE OR REPLACE FUNCTION belfry_rules_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO notifications_rulesversion (id, number) VALUES (1, nextval('belfry_rules_number'))
    ON CONFLICT (id) DO UPDATE SET number = excluded.number;
    RETURN NULL;
END $$;
DELETE FROM notifications_rulesversion WHERE id <> 1;
"""

TRIGGERS_BEFORE = "".join(
    f"CREATE TRIGGER belfry_rules_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
    "FOR EACH STATEMENT EXECUTE FUNCTION belfry_rules_changed();"
    for table in TABLES
)


def _create(table: str, event: str, idle: tuple[str, ...]) -> str:
    referencing = f"REFERENCING {_REFERENCING[event]}" if _REFERENCING[event] else ""
    arguments = ", ".join(f"'{column}'" for column in idle)
    return (
        f"CREATE TRIGGER belfry_rules_{event.lower()} AFTER {event} ON {table} {referencing} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION belfry_rules_changed({arguments});"
    )


CREATE = "".join(_create(table, event, idle) for table, (events, idle) in TABLES.items() for event in events)
DROP = "".join(
    f"DROP TRIGGER belfry_rules_{event.lower()} ON {table};" for table in TABLES for event in TABLES[table][0]
)


class Migration(migrations.Migration):
    dependencies = [("notifications", "0003_replay_jobs"), ("channels_app", "0003_slow_since")]

    operations = [
        migrations.RunSQL(DROP_OLD + FUNCTION + CREATE, DROP + FUNCTION_BEFORE + TRIGGERS_BEFORE),
    ]
