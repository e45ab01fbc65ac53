"""Config files: taken over once, and again, and not at all where something is wrong."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import FloatField

from channels_app.models import PATIENCE, Channel
from notifications import clock, gates, quarantine
from notifications import import_file as importing
from notifications.import_block import Faulty
from notifications.import_file import Imported, Target, derived_key
from notifications.models import Delivery, Notification, Policy, RulesVersion, Streamer
from notifications.routing import route_batch
from notifications.states import State
from tests.notifications.scene import HOUR, a_delivery, accept, forget_the_rules

pytestmark = pytest.mark.django_db

DISCORD = "https://discord.com/api/webhooks/100000000000000000/cAnArY-token"
#: As the documents of the recorder have it.
EXAMPLE: dict[str, Any] = {
    "notifications": {
        "enabled": True,
        "min_priority": "info",
        "channels": [{"type": "discord", "webhook_url": DISCORD}],
    }
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def write(file: Path, **block: Any) -> Path:
    file.write_text(json.dumps({"notifications": block}))
    return file


def example(file: Path) -> Path:
    file.write_text(json.dumps(EXAMPLE))
    return file


def import_file(file: Path, target: Target, *, dry_run: bool = False) -> Imported:
    return importing.import_file(file, target, now=clock.now(), dry_run=dry_run)


def actions(done: Imported) -> dict[str, str]:
    return {f"{change.what} {change.key}": change.action for change in done.changes}


def problems(file: Path, target: Target | None = None) -> dict[str, str]:
    """What is wrong with a file, by place. It has changed nothing."""
    before = (RulesVersion.current(), Channel.objects.count(), Policy.objects.count(), Streamer.objects.count())
    with pytest.raises(Faulty) as faulty:
        import_file(file, target or Target())
    assert before == (RulesVersion.current(), Channel.objects.count(), Policy.objects.count(), Streamer.objects.count())
    return dict(faulty.value.problems)


def test_the_documented_example_becomes_the_policy_of_everyone(file: Path) -> None:
    done = import_file(example(file), Target())
    assert actions(done) == {"channel import-global-discord-1": "create", "policy global": "create"}
    channel, policy = Channel.objects.get(), Policy.objects.get()
    assert (channel.kind, channel.enabled, channel.owner_key) == ("discord", True, "")
    assert getattr(channel.typed_config(), "webhook_url") == DISCORD  # noqa: B009  Of no type that is known here.
    assert (policy.scope, policy.enabled, policy.min_priority, policy.event_types) == ("global", True, 5, None)
    assert list(policy.channels.all()) == [channel]


def test_importing_twice_changes_nothing(file: Path) -> None:
    import_file(example(file), Target())
    version, sealed = RulesVersion.current(), Channel.objects.get().secrets
    done = import_file(file, Target())
    assert set(actions(done).values()) == {"unchanged"}
    assert RulesVersion.current() == version, "workers need not read their rules anew"
    assert Channel.objects.get().secrets == sealed


def test_a_dry_run_says_what_would_change_and_changes_nothing(file: Path) -> None:
    version = RulesVersion.current()
    done = import_file(example(file), Target(), dry_run=True)
    assert set(actions(done).values()) == {"create"}
    assert (Channel.objects.count(), Policy.objects.count(), RulesVersion.current()) == (0, 0, version)


def test_only_what_differs_is_updated(file: Path) -> None:
    import_file(example(file), Target())
    Channel.objects.update(name="Renamed in the admin")
    Policy.objects.update(event_types=["stream_*"])
    write(file, min_priority="high", channels=[{"type": "discord", "webhook_url": DISCORD, "username": "Bell"}])
    done = import_file(file, Target())
    fields = {change.what: change.fields for change in done.changes}
    assert fields == {"channel": {"username": ("Belfry", "Bell")}, "policy": {"min_priority": (5, 8)}}
    assert Channel.objects.get().name == "Renamed in the admin"
    policy = Policy.objects.get()
    assert (policy.enabled, policy.event_types) == (True, ["stream_*"]), "what the file does not say stays"


class TestAChannelInTrouble:
    @pytest.fixture(autouse=True)
    def _out_of_service(self, file: Path) -> None:
        """A channel of the file that has ended, with what waits for it."""
        import_file(example(file), Target())
        self.channel, now = Channel.objects.get(), clock.now()
        assert Channel.objects.quarantine(self.channel.pk, reason="It said 410.", now=now, probe_at=now + HOUR)
        self.held = a_delivery(self.channel, State.SCHEDULED, reason_code=quarantine.CODE, due_at=now + 6 * HOUR)

    def imported(self, file: Path, **entry: Any) -> Imported:
        return import_file(write(file, channels=[{"type": "discord", "webhook_url": DISCORD, **entry}]), Target())

    def is_back(self) -> bool:
        self.channel.refresh_from_db()
        self.held.refresh_from_db()
        assert (self.channel.quarantined_at is None) == (self.held.due_at <= clock.now() + HOUR)
        return self.channel.quarantined_at is None

    def test_new_settings_bring_it_back_at_once(self, file: Path) -> None:
        done = self.imported(file, webhook_url=f"{DISCORD}2")
        assert self.is_back()
        assert done.notes == ["It has new settings, and is back in service: import-global-discord-1."]
        assert Notification.objects.filter(event_type="channel_restored").count() == 1

    def test_something_else_does_not(self, file: Path) -> None:
        done = self.imported(file, name="Another name", max_attempts=3)
        assert (self.is_back(), done.notes) == (False, [])
        assert self.channel.max_attempts == 3

    def test_a_dry_run_does_not(self, file: Path) -> None:
        write(file, channels=[{"type": "discord", "webhook_url": f"{DISCORD}2"}])
        import_file(file, Target(), dry_run=True)
        assert not self.is_back()

    def test_another_rate_moves_what_was_told_its_turn(
        self, file: Path, django_capture_on_commit_callbacks: Any
    ) -> None:
        self.imported(file, rate_per_s=1)
        told = a_delivery(self.channel, State.SCHEDULED, reason_code=gates.LIMIT, due_at=clock.now() + HOUR)
        with django_capture_on_commit_callbacks(execute=True):
            self.imported(file, rate_per_s=60)
        told.refresh_from_db()
        assert (told.due_at - clock.now()).total_seconds() == pytest.approx(60, abs=3)


def test_secrets_are_told_as_set_and_never_shown(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    call_command("import", str(example(file)), stdout=out)
    write(file, channels=[{"type": "discord", "webhook_url": f"{DISCORD}2"}])
    call_command("import", str(file), "--dry-run", stdout=out)
    call_command("import", str(file), "--json", stdout=out)
    shown = out.getvalue()
    assert "webhook_url: ******** → ********" in shown
    assert "cAnArY" not in shown + capsys.readouterr().out


def test_a_streamers_channels_are_its_own(file: Path) -> None:
    Streamer.objects.create(key="nightowl", name="NightOwl", platform="twitch")
    Streamer.objects.create(key="pixelfox", name="PixelFox")
    import_file(write(file, min_priority=2, channels=[{"type": "server_log"}]), Target(streamer_key="nightowl"))
    channel, policy = Channel.objects.get(), Policy.objects.get()
    assert (channel.key, channel.owner_key) == ("import-streamer-nightowl-server_log-1", "nightowl")
    assert (policy.scope, str(policy.streamer)) == ("streamer", "NightOwl")
    forget_the_rules()
    accept(streamer="nightowl")
    accept(streamer="pixelfox")
    route_batch(clock.now())
    told = [one.notification.streamer for one in Delivery.objects.select_related("notification__streamer")]
    assert [str(one) for one in told] == ["NightOwl"]


def test_a_platforms_policy_stands_beside_the_one_for_everyone(file: Path) -> None:
    import_file(example(file), Target())
    done = import_file(write(file, enabled=False), Target(platform="twitch"))
    assert actions(done) == {"policy platform twitch": "create"}
    assert Policy.objects.count() == 2
    policy = Policy.objects.get(scope="platform")
    assert (policy.platform, policy.enabled, policy.names_channels) == ("twitch", False, False)


def test_a_platforms_channels_come_with_a_warning_where_everyone_would_use_them(file: Path) -> None:
    write(file, channels=[{"type": "server_log"}])
    assert "every shared channel hears of everybody" in import_file(file, Target(platform="twitch")).notes[0]
    import_file(file, Target())
    assert import_file(file, Target(platform="twitch")).notes == []


def test_an_unknown_streamer_is_an_error_unless_it_is_to_be_made(file: Path) -> None:
    example(file)
    target = Target(streamer_key="nightowl")
    assert "Add --create" in problems(file, target)[""]
    made = Target(streamer_key="nightowl", create=True)
    assert actions(import_file(file, made, dry_run=True))["streamer nightowl"] == "create"
    assert not Streamer.objects.exists()
    import_file(file, made)
    assert Policy.objects.get().streamer == Streamer.objects.get(key="nightowl")
    assert set(actions(import_file(file, made)).values()) == {"unchanged"}
    assert "--streamer" in problems(file, Target(streamer_key="night owl", create=True))


def test_several_channels_keep_their_keys(file: Path) -> None:
    log = {"type": "server_log"}
    write(
        file,
        channels=[log, {"type": "discord", "webhook_url": DISCORD}, {**log, "level": "error"}, {**log, "key": "mine"}],
    )
    import_file(file, Target())
    keys = set(Channel.objects.values_list("key", flat=True))
    assert keys == {"import-global-server_log-1", "import-global-discord-1", "import-global-server_log-2", "mine"}
    assert not import_file(file, Target()).changed


def test_a_channel_that_left_the_file_is_kept_and_told_no_more(file: Path) -> None:
    import_file(write(file, channels=[{"type": "server_log"}, {"type": "server_log", "level": "error"}]), Target())
    done = import_file(write(file, channels=[{"type": "server_log"}]), Target())
    assert done.notes == ["No longer told by this policy, and still there: import-global-server_log-2."]
    assert Policy.objects.get().channels.count() == 1
    assert Channel.objects.current().count() == 2


def test_a_channel_that_was_deleted_comes_back(file: Path) -> None:
    import_file(example(file), Target())
    Channel.objects.get().retire(clock.now())
    done = import_file(file, Target())
    assert actions(done) == {"channel import-global-discord-1": "create", "policy global": "update"}
    assert [channel.deleted_at for channel in Policy.objects.get().channels.all()] == [None]
    assert not import_file(file, Target()).changed


def test_a_channel_takes_limits_and_its_own_name(file: Path) -> None:
    columns = {"name": "Log", "enabled": False, "max_attempts": 3, "rate_per_s": 0.5, "transient_codes": [404, 550]}
    import_file(write(file, channels=[{"type": "server_log", **columns}]), Target())
    channel = Channel.objects.get()
    assert {name: getattr(channel, name) for name in columns} == columns
    assert not import_file(file, Target()).changed


def test_mail_settings_may_have_the_recorders_names(file: Path) -> None:
    server = {"smtp_host": "mail.example.org", "smtp_port": 465, "security": "tls"}
    entry = {"type": "email", **server, "from": "a@example.org", "to_addresses": ["b@example.org"]}
    import_file(write(file, channels=[entry]), Target())
    assert {
        "host": "mail.example.org",
        "port": 465,
        "to": ["b@example.org"],
    }.items() <= Channel.objects.get().config.items()


@pytest.mark.parametrize("word", ["info", "INFO", 5, "5", "normal"])
def test_both_vocabularies_of_priority_are_understood(file: Path, word: Any) -> None:
    import_file(write(file, min_priority=word), Target())
    assert Policy.objects.get().min_priority == 5


def test_toml_is_read_by_the_name_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    rules = '[notifications]\nmin_priority = "high"\nevent_types = ["StreamOnline"]\n'
    file.write_text(f'[recorder]\nfolder = "/srv"\n{rules}[[notifications.channels]]\ntype = "server_log"\n')
    import_file(file, Target())
    policy = Policy.objects.get()
    assert (policy.min_priority, policy.event_types, policy.channels.count()) == (8, ["stream_online"], 1)


def test_everything_that_is_wrong_is_named_at_once(file: Path) -> None:
    found = problems(
        write(file, enabled="yes", min_priorty=3, min_priority="loud", event_types="*", channels=[{}, "x"])
    )
    assert set(found) == {
        "notifications.enabled",
        "notifications.min_priorty",
        "notifications.min_priority",
        "notifications.event_types",
        "notifications.channels[0]",
        "notifications.channels[1]",
    }
    wrong = [
        {"type": "pigeon"},
        {"type": "discord", "webhook_url": DISCORD, "webhok": 1},
        {"type": "discord"},
        {"type": "server_log", "level": "loud"},
        {"type": "server_log", "min_priority": "high"},
        {"type": "server_log", "key": "same"},
        {"type": "server_log", "key": "same"},
        {"type": "server_log", "max_attempts": 0},
        {"type": "server_log", "key": "not a key"},
    ]
    found = problems(write(file, channels=wrong))
    assert "There is no transport of the kind 'pigeon'." in found["notifications.channels[0].type"]
    assert "webhok" in found["notifications.channels[1].webhok"]
    assert "webhook_url" in found["notifications.channels[2].webhook_url"]
    assert "level" in " ".join(found)
    assert "set it for the block" in found["notifications.channels[4].min_priority"]
    assert "Another channel of the file" in found["notifications.channels[6].key"]
    assert "notifications.channels[7].max_attempts" in found
    assert "notifications.channels[8].key" in found


@pytest.mark.parametrize("codes", [[404, 99], [600], ["404"], [True], [404.0], 404, "404", None])
def test_codes_that_are_none_are_refused(file: Path, codes: Any) -> None:
    found = problems(write(file, channels=[{"type": "server_log", "transient_codes": codes}]))
    assert list(found) == ["notifications.channels[0].transient_codes"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e15, "nan"])
@pytest.mark.parametrize("name", [name for name in PATIENCE if isinstance(Channel._meta.get_field(name), FloatField)])
def test_numbers_that_nobody_can_reckon_with_are_refused(file: Path, name: str, value: Any) -> None:
    found = problems(write(file, channels=[{"type": "server_log", name: value}]))
    assert list(found) == [f"notifications.channels[0].{name}"]


def test_a_key_that_is_taken_by_something_else_is_refused(file: Path) -> None:
    channel = Channel(key="log", name="Log", kind="server_log", owner_key="nightowl")
    channel.configure({})
    channel.save()
    found = problems(write(file, channels=[{"type": "server_log", "key": "log"}]))
    assert "for nightowl" in found["notifications.channels[0].key"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "has no block"),
        ("{}", "has no block"),
        ('{"notifications": []}', "must be an object"),
        ('{"notifications": {"channels": {}}}', "must be a list"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_a_file_that_is_none_is_refused_in_words(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    assert said in str(problems(file))


def test_the_command_speaks_plainly(file: Path) -> None:
    out = io.StringIO()
    with pytest.raises(CommandError, match=r"Nothing was imported.\n.*cannot be read: No such file"):
        call_command("import", str(file.with_name("none.json")))
    example(file)
    call_command("import", str(file), "--dry-run", stdout=out)
    assert "create     channel import-global-discord-1" in out.getvalue()
    assert "this was a dry run" in out.getvalue()
    call_command("import", str(file), stdout=io.StringIO())
    call_command("import", str(file), stdout=out)
    assert "Everything is as the file says already." in out.getvalue()
    answer = io.StringIO()
    call_command("import", str(file), "--json", stdout=answer)
    assert json.loads(answer.getvalue())["changed"] is False


def test_names_that_no_key_can_hold_are_told_apart() -> None:
    first, second = (derived_key(Target(platform=name), "discord", 1) for name in ("a b", "a/b"))
    assert first != second
    assert len(derived_key(Target(streamer_key="s" * 100), "discord", 1)) <= 100
