"""From a notification to feed items: who is meant, when it is written, and what is remembered of it."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from pytest_django.fixtures import Settings

from channels_app.feed import marking, reading
from channels_app.models import Broadcast, InboxItem
from notifications import clock, feeding, routing
from notifications.models import Delivery, Notification, Policy, Streamer
from notifications.routing import route_batch, route_until_idle
from notifications.withdrawal import withdraw
from tests.notifications.feeds import feed, follow, standing, the_notification, titles, told
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

    def test_of_much_for_everyone_no_more_is_written_at_once_than_may(self, settings: Settings) -> None:
        settings.BELFRY_BROADCAST_ROWS = 5
        for recipient in ("ada", "ben"):
            feed(recipient)
        accept_many(3, recipients=["*"])
        route()
        assert Broadcast.objects.count() == 3
        assert len(feed("ada")) == len(feed("ben")) == 3
        accept_many(2, recipients=["*"])
        route()
        assert Broadcast.objects.count() == 3
        assert len(feed("ada")) == 5

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
