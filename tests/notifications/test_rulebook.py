"""Rules in memory: read once, and never older than the last change, whoever made it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from channels_app.models import Channel
from channels_app.registry import UnknownKind
from channels_app.secrets import SecretUnreadable
from notifications import clock, rulebook
from notifications.models import Policy, RulesVersion, Streamer
from notifications.policy import Scope
from notifications.rulebook import ChannelInUse
from tests.notifications.locks import locked
from tests.notifications.scene import HOUR, at_once, channel_at

pytestmark = pytest.mark.django_db


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def test_unchanged_rules_cost_one_small_query() -> None:
    channel_at("https://example.org")
    book = rulebook.current()
    with CaptureQueriesContext(connection) as asked:
        assert rulebook.current() is book
    assert len(asked) == 1


class TestEveryChangeIsSeen:
    @pytest.fixture(autouse=True)
    def _rules(self) -> None:
        self.channel = channel_at("https://example.org", "alerts")
        self.streamer = Streamer.objects.create(key="aurora", name="Aurora", platform="twitch")
        self.policy = Policy.objects.create(scope="streamer", streamer=self.streamer, min_priority=3)
        self.before = rulebook.current()

    def changed(self) -> rulebook.Rulebook:
        book = rulebook.current()
        assert book is not self.before
        return book

    def test_a_channel_that_is_switched_off(self) -> None:
        Channel.objects.update(enabled=False)
        assert self.changed().channels[self.channel.pk].candidate.enabled is False

    def test_a_row_that_raw_sql_changed(self) -> None:
        run("UPDATE channels_app_channel SET owner_key = 'aurora'")
        assert self.changed().channels[self.channel.pk].candidate.owner_key == "aurora"

    def test_a_policy_that_raw_sql_changed(self) -> None:
        run("UPDATE notifications_policy SET min_priority = 9")
        effective = self.changed().effective(streamer_key="aurora", platform="twitch")
        assert (effective.min_priority.value, effective.min_priority.scope) == (9, Scope.STREAMER)

    def test_a_policy_that_was_deleted(self) -> None:
        self.policy.delete()
        assert self.changed().effective(streamer_key="aurora", platform="").min_priority.scope is Scope.DEFAULT

    def test_channels_that_a_policy_names_and_no_longer_names(self) -> None:
        self.policy.names_channels = True
        self.policy.save()
        self.before = rulebook.current()
        self.policy.channels.add(self.channel)
        assert self.changed().streamer_rules["aurora"].channel_ids == frozenset({self.channel.pk})
        self.before = rulebook.current()
        self.policy.channels.clear()
        assert self.changed().streamer_rules["aurora"].channel_ids == frozenset()

    def test_a_streamer_that_got_another_key(self) -> None:
        Streamer.objects.update(key="boreas")
        assert set(self.changed().streamer_rules) == {"boreas"}

    def test_a_table_that_was_emptied(self) -> None:
        run("TRUNCATE notifications_policy_channels")
        self.changed()

    def test_a_version_row_that_was_lost_is_a_change_until_it_is_back(self) -> None:
        RulesVersion.objects.all().delete()
        book = self.changed()
        assert rulebook.current() is not book
        Channel.objects.update(name="x")
        assert rulebook.current() is rulebook.current()

    def test_a_channel_that_was_deleted_for_all_eyes(self) -> None:
        run("UPDATE channels_app_channel SET deleted_at = now()")
        assert self.changed().channels == {}


class TestWhatNoRuleDependsOn:
    """Each process would read all rules again for nothing, as often as a far end fails."""

    @pytest.fixture(autouse=True)
    def _rules(self) -> Iterator[None]:
        self.channel = channel_at("https://example.org", "alerts")
        self.streamer = Streamer.objects.create(key="aurora", name="Aurora", platform="twitch")
        self.policy = Policy.objects.create(scope="streamer", streamer=self.streamer, min_priority=3)
        self.channels, now = Channel.objects.all(), clock.now()
        self.channels.note_failing(self.channel.pk, now)
        self.channels.quarantine(self.channel.pk, reason="410", now=now, probe_at=now)
        book = rulebook.current()
        yield
        assert rulebook.current() is book

    def test_what_is_noted_already(self) -> None:
        self.channels.note_failing(self.channel.pk, clock.now())
        self.channels.note_quick(self.channel.pk)

    def test_a_probe(self) -> None:
        now = clock.now()
        assert self.channels.take_probe(self.channel.pk, now=now, next_at=now + HOUR)

    def test_what_is_saved_as_it_was(self) -> None:
        Channel.objects.get().save()
        self.policy.save()
        self.policy.channels.set([])

    def test_what_a_streamer_is_called(self) -> None:
        Streamer.objects.update(name="A", platform="youtube", tags=["x"])

    def test_a_streamer_who_comes_and_goes(self) -> None:
        Streamer.objects.create(key="boreas", name="Boreas").delete()


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_every_transaction_gets_a_number_of_its_own(self) -> None:
        at_once(*[lambda n=n: channel_at("https://example.org", f"c{n}") for n in range(6)])
        book = rulebook.current()
        assert len(book.channels) == 6
        channel_at("https://example.org", "last")
        assert rulebook.current() is not book

    def test_one_thread_reads_them_for_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        channel = channel_at("https://example.org")
        rulebook.current()
        Channel.objects.note_slow(channel.pk, clock.now())
        version, read, times = RulesVersion.current(), rulebook._read, []

        def counted(before: rulebook.Rulebook | None) -> rulebook.Rulebook:
            times.append(version)
            return read(before)

        monkeypatch.setattr(rulebook, "_read", counted)
        books = at_once(*[lambda: rulebook.at(version)] * 8)
        assert len(times) == len({id(book) for book in books}) == 1

    def test_whoever_changes_rules_waits_for_no_other_who_does(self) -> None:
        channels = [channel_at("https://example.org") for _ in range(3)]
        first = rulebook.current().version
        with locked() as other:
            other.execute("UPDATE channels_app_channel SET enabled = false WHERE id = %s", (channels[0].pk,))
            run("SET lock_timeout = '2s'")
            Channel.objects.note_failing(channels[1].pk, clock.now())
            Channel.objects.note_slow(channels[2].pk, clock.now())
            run("RESET lock_timeout")
            second = rulebook.current()
            other.commit()
        third = rulebook.current()
        assert (first or 0) < (second.version or 0) < (third.version or 0)
        assert second.channels[channels[0].pk].candidate.enabled
        assert not third.channels[channels[0].pk].candidate.enabled


class TestLayers:
    def test_the_narrower_wins_field_by_field(self) -> None:
        aurora = Streamer.objects.create(key="aurora", name="Aurora", platform="twitch")
        Policy.objects.create(scope="global", min_priority=2, event_types=["stream_*"], enabled=True)
        Policy.objects.create(scope="platform", platform="twitch", min_priority=5)
        Policy.objects.create(scope="streamer", streamer=aurora, enabled=False)
        found = rulebook.current().effective(streamer_key="aurora", platform="twitch")
        assert (found.enabled.value, found.enabled.scope) == (False, Scope.STREAMER)
        assert (found.min_priority.value, found.min_priority.scope) == (5, Scope.PLATFORM)
        assert (found.event_types.value, found.event_types.scope) == (("stream_*",), Scope.GLOBAL)

    def test_notifications_about_nobody_know_the_global_policy_only(self) -> None:
        Policy.objects.create(scope="platform", platform="twitch", min_priority=9)
        Policy.objects.create(scope="global", min_priority=2)
        found = rulebook.current().effective(streamer_key="", platform="")
        assert found.min_priority.value == 2


class TestAChannelInUse:
    def test_a_missing_key_is_no_lasting_failure(self) -> None:
        channel = ChannelInUse(channel_at("https://example.org/hook"))
        with override_settings(BELFRY_CHANNEL_KEYS={"other": "x" * 43 + "="}), pytest.raises(SecretUnreadable):
            _ = channel.config
        assert channel.config.url == "https://example.org/hook"  # type: ignore[attr-defined]

    def test_what_was_opened_once_stays_open_until_its_settings_change(self) -> None:
        row = channel_at("https://example.org/hook")
        opened = rulebook.current().channels[row.pk].config
        Channel.objects.note_failing(row.pk, clock.now())
        again = rulebook.current().channels[row.pk]
        assert again.row.failing_since_at is not None
        assert again.config is opened
        row.configure({"url": "https://example.org/other"})
        row.save()
        assert rulebook.current().channels[row.pk].config.url == "https://example.org/other"  # type: ignore[attr-defined]

    def test_an_uninstalled_kind_is_named(self) -> None:
        row = channel_at("https://example.org")
        row.kind = "nonesuch"
        with pytest.raises(UnknownKind, match="nonesuch"):
            _ = ChannelInUse(row).transport
