"""From a notification to feed items: who is meant, when it is written, and what is remembered of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django.fixtures import Settings

from channels_app import statement
from channels_app.feed import marking, reading
from channels_app.models import InboxItem
from notifications import clock, feeding, routing
from notifications.models import Delivery, Follow, Notification, Policy, Streamer, audience, unrouted
from notifications.models import statement as notifications_statement
from notifications.routing import route_batch, route_until_idle
from notifications.withdrawal import withdraw
from tests.notifications.plans import analyze, blocks_of, plans_of, whole_tables
from tests.notifications.scene import (
    HOUR,
    SECOND,
    accept,
    accept_many,
    at_once,
    channel_at,
    eventually,
    in_background,
    route,
    sweep,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def aurora() -> Streamer:
    return Streamer.objects.create(key="aurora", name="Aurora", platform="twitch")


def follow(streamer: Streamer, *recipients: str, min_priority: int = 0) -> None:
    Follow.objects.bulk_create(
        Follow(recipient=recipient, streamer=streamer, min_priority=min_priority) for recipient in recipients
    )


def feed(recipient: str) -> list[dict[str, Any]]:
    """What stands in a feed, the newest first."""
    return list(reading.page(recipient, now=clock.now()).items)


def titles(recipient: str) -> list[str]:
    return [item["title"] for item in feed(recipient)]


def told() -> set[str]:
    """Who has anything at all."""
    return set(InboxItem.objects.filter(deleted_at=None).values_list("recipient", flat=True))


def the_notification() -> Notification:
    return Notification.objects.with_state().get()


def standing() -> tuple[str, int | None, str]:
    found = the_notification()
    return found.state, found.feeds, found.routing_note


class TestWhoIsMeant:
    def test_the_recipients_that_are_named(self) -> None:
        accept(recipients=["ada", "ben", "ada"], title="Hello")
        route()
        assert told() == {"ada", "ben"}
        assert titles("ada") == ["Hello"]
        assert standing() == ("delivered", 2, "Written into 2 feeds.")

    def test_recipients_have_one_spelling(self) -> None:
        """S3-AP-05"""
        accept(recipients=[" 0xAB ", "0Xab", "Ada "])
        assert the_notification().recipients == ["0xab", "Ada"]
        route()
        assert told() == {"0xab", "Ada"}

    def test_who_follows_its_streamer_from_their_priority_on(self, aurora: Streamer) -> None:
        follow(aurora, "all")
        follow(aurora, "high", min_priority=8)
        follow(Streamer.objects.create(key="boreas", name="Boreas"), "other")
        accept(streamer="aurora", priority="normal")
        accept(streamer="aurora", priority="critical")
        accept(priority="critical")
        route()
        assert (len(feed("all")), len(feed("high")), len(feed("other"))) == (2, 1, 0)

    def test_who_is_named_and_follows_gets_it_once(self, aurora: Streamer) -> None:
        follow(aurora, "ada", "ben")
        accept(streamer="aurora", recipients=["ada", "cy"])
        route()
        assert told() == {"ada", "ben", "cy"}
        assert standing()[1] == 3
        assert len(feed("ada")) == 1

    @pytest.mark.parametrize("at_most", [100, 0])
    def test_everyone_who_has_a_feed(self, settings: Settings, at_most: int) -> None:
        """S2-AR-03: written out, or where feeds are many, when they are next looked at."""
        settings.BELFRY_BROADCAST_ROWS = at_most
        for recipient in ("ada", "ben"):
            feed(recipient)
        accept(recipients=["*"], title="Maintenance")
        route()
        assert titles("ada") == titles("ben") == ["Maintenance"]
        assert standing() == ("delivered", 2, "Written into 2 feeds.")
        assert titles("new") == []

    def test_everyone_and_who_follows_without_a_feed_so_far(self, aurora: Streamer) -> None:
        follow(aurora, "ada", "new")
        feed("ada")
        accept(recipients=["*"], streamer="aurora")
        route()
        assert (len(feed("ada")), len(feed("new"))) == (1, 1)
        assert standing()[1] == 2

    def test_nobody(self, aurora: Streamer) -> None:
        accept(streamer="aurora")
        route()
        assert standing() == ("suppressed", None, routing.NO_CHANNEL)

    def test_everyone_where_nobody_has_a_feed(self) -> None:
        accept(recipients=["*"])
        route()
        assert standing() == ("suppressed", 0, "Written into 0 feeds.")

    def test_policies_of_channels_say_nothing_of_feeds(self) -> None:
        channel_at("https://example.org")
        Policy.objects.create(scope="global", enabled=False)
        accept(recipients=["ada"])
        route()
        assert Delivery.objects.get().state == "suppressed"
        assert standing() == ("delivered", 1, "Written into 1 feed.")


class TestWhatIsWritten:
    def test_an_item_says_what_the_notification_says(self, aurora: Streamer) -> None:
        ends = clock.now() + HOUR
        accept(
            event_type="stream.online",
            title="",
            streamer="aurora",
            priority=7,
            recipients=["ada"],
            data={"title": "Speedrun", "url": "https://example.org/live"},
            expires_at=ends,
        )
        route()
        (item,) = feed("ada")
        expected = {
            "source": str(the_notification().pk),
            "category": "stream_online",
            "priority": 7,
            "title": "Aurora is live",
            "body": "Speedrun",
            "url": "https://example.org/live",
            "content_type": "application/json",
            "data": {"title": "Speedrun", "url": "https://example.org/live"},
            "ack": True,
            "expires": ends.isoformat().replace("+00:00", "Z"),
            "read": False,
        }
        assert {name: item[name] for name in expected} == expected

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("/inbox/7", "/inbox/7"),
            ("HTTP://example.org", "HTTP://example.org"),
            ("//evil.example", ""),
            ("/\\evil.example", ""),
            ("javascript:alert(1)", ""),
            ("x" * 3000, ""),
            (7, ""),
            (None, ""),
        ],
    )
    def test_an_item_leads_to_a_page_and_to_nothing_that_runs(self, url: object, shown: str) -> None:
        accept(recipients=["ada"], data={"url": url})
        route()
        assert feed("ada")[0]["url"] == shown

    def test_data_that_nests_too_deeply_to_be_read_keeps_nobody_else_waiting(self) -> None:
        accept(event_type="disk full", title="", recipients=["ada"])
        deep = '{"a":' * 4000 + "1" + "}" * 4000
        with connection.cursor() as cursor:
            cursor.execute("UPDATE notifications_notification SET data = %s::jsonb", [deep])
        accept(recipients=["ada"], title="Next")
        route()
        assert titles("ada") == ["Next", "Disk full"]
        assert feed("ada")[1]["data"] is None

    def test_it_is_written_once_however_often_it_is_routed(self) -> None:
        accept(recipients=["ada"])
        route()
        Notification.objects.update(routed_at=None)
        route()
        assert len(feed("ada")) == 1


class TestWhenItIsWritten:
    def test_what_is_scheduled_waits_for_its_time(self) -> None:
        at = clock.now() + HOUR
        accept(recipients=["ada"], scheduled_at=at)
        route()
        assert told() == set()
        assert standing() == ("waiting", None, f"It is written into feeds at {at:%Y-%m-%d %H:%M:%S} UTC.")
        assert feeding.write_due(at - SECOND).notifications == 0
        assert feeding.write_due(at).items == 1
        assert standing() == ("delivered", 1, "Written into 1 feed.")
        assert feeding.write_due(at + HOUR).notifications == 0

    def test_who_follows_when_the_time_has_come_is_meant(self, aurora: Streamer) -> None:
        at = clock.now() + HOUR
        follow(aurora, "early")
        accept(streamer="aurora", scheduled_at=at)
        route()
        follow(aurora, "late")
        feeding.write_due(at)
        assert told() == {"early", "late"}

    def test_what_expires_first_is_written_nowhere(self) -> None:
        """S2-AR-04"""
        at = clock.now() + HOUR
        accept(recipients=["ada"], scheduled_at=at, expires_at=at + SECOND)
        route()
        assert feeding.write_due(at + SECOND).items == 0
        assert told() == set()
        assert standing() == ("suppressed", None, feeding.EXPIRED)

    def test_what_expired_before_it_was_routed_is_written_nowhere(self) -> None:
        ends = clock.now() + timedelta(milliseconds=30)
        accept(recipients=["ada"], expires_at=ends)
        eventually(lambda: clock.now() > ends)
        route()
        assert (told(), standing()) == (set(), ("suppressed", None, feeding.EXPIRED))

    def test_the_sweep_wakes_routing_for_what_is_due_within_a_second(self) -> None:
        accept(recipients=["ada"], scheduled_at=clock.now() + HOUR)
        route()
        assert "route" not in sweep().woken
        assert "route" in sweep(ahead=HOUR - SECOND).woken


class TestWithdrawing:
    def test_it_is_taken_out_of_all_feeds(self, aurora: Streamer) -> None:
        follow(aurora, "ben")
        accept(recipients=["ada"], streamer="aurora")
        route()
        withdraw(the_notification(), by="test", now=clock.now())
        assert (feed("ada"), feed("ben")) == ([], [])
        assert reading.state("ada", now=clock.now()).unread == 0
        assert standing()[0] == "cancelled"
        assert withdraw(the_notification(), by="test", now=clock.now()) == 0

    def test_what_waits_is_never_written(self) -> None:
        at = clock.now() + HOUR
        accept(recipients=["ada"], scheduled_at=at)
        route()
        withdraw(the_notification(), by="test", now=clock.now())
        assert feeding.write_due(at + SECOND).notifications == 0
        assert (told(), standing()[0]) == (set(), "cancelled")

    def test_what_was_withdrawn_before_it_was_routed_is_never_written(self) -> None:
        accept(recipients=["ada"])
        withdraw(the_notification(), by="test", now=clock.now())
        route()
        assert (told(), standing()) == (set(), ("cancelled", None, routing.WITHDRAWN))

    def test_what_is_told_to_everyone_too(self, settings: Settings) -> None:
        settings.BELFRY_BROADCAST_ROWS = 0
        feed("ada")
        accept(recipients=["*"])
        route()
        withdraw(the_notification(), by="test", now=clock.now())
        assert feed("ada") == []


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_what_is_withdrawn_while_it_is_written_is_gone_again(self) -> None:
        accept(recipients=["ada"])
        written, go_on = threading.Event(), threading.Event()

        def write() -> None:
            with transaction.atomic():
                route_batch(clock.now())
                written.set()
                go_on.wait(10)

        writer = in_background(write)
        written.wait(10)
        taker = in_background(lambda: withdraw(Notification.objects.get(), by="test", now=clock.now()))
        go_on.set()
        writer.join()
        taker.join()
        assert (feed("ada"), standing()[0]) == ([], "cancelled")

    def test_several_routers_and_a_recipient_who_reads_end_with_dense_numbers(self, aurora: Streamer) -> None:
        fans = [f"fan-{n}" for n in range(20)]
        follow(aurora, *fans)
        accept_many(60, streamer="aurora")

        def route_some() -> None:
            for _ in range(6):
                route_batch(clock.now(), limit=10)

        def read_all() -> None:
            for _ in range(20):
                marking.read("fan-3", everything=True, now=clock.now())

        at_once(route_some, route_some, route_some, read_all)
        route()
        for fan in fans:
            assert InboxItem.objects.filter(recipient=fan).count() == 60
        marking.read("fan-3", everything=True, now=clock.now())
        assert reading.state("fan-3", now=clock.now()).unread == 0
        numbers = InboxItem.objects.filter(recipient="fan-0").order_by("seq").values_list("seq", flat=True)
        assert list(numbers) == list(range(1, 61))

    def test_a_router_that_dies_before_its_commit_has_told_nobody(self) -> None:
        accept(recipients=["ada"])
        with transaction.atomic():
            assert route_batch(clock.now()).feed_items == 1
            transaction.set_rollback(True)
        assert told() == set()
        route()
        assert told() == {"ada"}

    def test_the_task_writes_what_comes_due_while_it_runs(self) -> None:
        accept(recipients=["ada"], scheduled_at=clock.now() + timedelta(milliseconds=400))
        assert route_until_idle(clock.now, stop=threading.Event()) == 1
        assert told() == {"ada"}


class TestManyFollowers:
    @pytest.fixture(autouse=True)
    def _few_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(feeding, "MOST_ITEMS", 4)

    def test_they_are_reached_a_part_at_a_time(self, aurora: Streamer) -> None:
        everybody = [f"fan-{n:02}" for n in range(10)]
        follow(aurora, *everybody)
        accept(streamer="aurora", recipients=["zoe"])
        route()
        assert told() == set(everybody[:4])
        assert standing() == ("waiting", 4, "Written into 4 feeds. The others follow.")
        now = clock.now()
        assert [feeding.write_due(now).items for _ in range(4)] == [4, 3, 0, 0]
        assert told() == {*everybody, "zoe"}
        assert standing() == ("delivered", 11, "Written into 11 feeds.")

    def test_what_is_urgent_waits_for_none_of_them(self, aurora: Streamer) -> None:
        follow(aurora, "a", "b", "c")
        accept_many(2, streamer="aurora")
        urgent = accept(streamer="aurora", priority="critical")
        route()
        assert Notification.objects.get(pk=urgent).feeds == 3

    def test_nobody_waits_longer_than_those_before_them(self, aurora: Streamer) -> None:
        follow(aurora, "a", "b", "c")
        ids = accept_many(3, streamer="aurora")
        route()
        assert list(Notification.objects.order_by("id").values_list("feeds", flat=True)) == [3, 1, None]
        assert [feeding.write_due(clock.now()).items for _ in range(3)] == [4, 1, 0]
        assert [len(feed(who)) for who in "abc"] == [3, 3, 3]
        assert len(ids) == 3

    @pytest.mark.parametrize("at_most", [100, 0])
    def test_everyone_is_told_once(self, aurora: Streamer, settings: Settings, at_most: int) -> None:
        settings.BELFRY_BROADCAST_ROWS = at_most
        feed("ada")
        follow(aurora, "a", "b", "c", "d", "e")
        accept(streamer="aurora", recipients=["*"])
        route()
        feeding.write_due(clock.now())
        assert [len(feed(who)) for who in ("ada", *"abcde")] == [1] * 6
        assert standing()[1] == 6

    def test_an_expiry_ends_it_half_way(self, aurora: Streamer) -> None:
        follow(aurora, *"abcdef")
        ends = clock.now() + HOUR
        accept(streamer="aurora", expires_at=ends)
        route()
        assert feeding.write_due(ends).items == 0
        assert standing() == ("delivered", 4, "Written into 4 feeds. It expired before the others.")


def statements(step: Callable[[], object]) -> list[str]:
    """The statements over many rows that a step runs."""
    ran: list[str] = []

    def run(sql: str, *arguments: Any, **options: Any) -> list[Any]:
        ran.append(sql)
        return run_really(sql, *arguments, **options)

    run_really = statement.run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statement, "run", run)
        patch.setattr(notifications_statement, "run", run)
        step()
    return ran


def routed(count: int, **fields: Any) -> Callable[[], object]:
    accept_many(count, **fields)
    return lambda: route_batch(clock.now())


class TestCost:
    def test_what_is_for_no_feed_costs_no_statement(self, aurora: Streamer) -> None:
        channel_at("https://example.org")
        follow(aurora, "ada", min_priority=9)
        ran = statements(routed(20, streamer="aurora"))
        assert {audience._PART, audience._CONTENTS, audience._NOTE}.isdisjoint(ran)
        assert len(ran) == 3

    def test_a_batch_costs_the_same_however_large_it_is(self, aurora: Streamer) -> None:
        follow(aurora, *"abc")
        assert len(statements(routed(2, streamer="aurora"))) == len(statements(routed(40, streamer="aurora")))

    def test_of_a_large_audience_only_what_is_written_is_read(self, aurora: Streamer) -> None:
        follow(aurora, *(f"fan-{n:06}" for n in range(20_000)))
        accept_many(50, streamer="aurora")
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE notifications_follow")
        rows = unrouted.take(50)
        assert blocks_of(lambda: audience.part(rows, limit=100)) < 50

    def test_whether_anybody_wants_to_hear_of_it_is_seen_without_a_look_at_who_follows(self, aurora: Streamer) -> None:
        follow(aurora, *(f"fan-{n:06}" for n in range(20_000)), min_priority=9)
        accept_many(50, streamer="aurora")
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE notifications_follow")
        analyze()
        (plan,) = plans_of(lambda: unrouted.take(50))
        assert "notifications_follow" not in whole_tables(plan)
        with_many = blocks_of(lambda: unrouted.take(50))
        Follow.objects.all().delete()
        assert with_many - blocks_of(lambda: unrouted.take(50)) <= 3 * 50

    def test_what_is_due_is_found_without_a_look_at_what_is_not(self) -> None:
        accept_many(5_000, recipients=["ada"], scheduled_at=clock.now() + HOUR)
        route()
        analyze()
        assert blocks_of(lambda: audience.is_due(clock.now())) < 10
