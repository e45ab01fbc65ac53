"""From a notification to its deliveries: what policies say, in whole batches, once."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import redis
from django.db import connection, transaction

from channels_app.models import Channel
from notifications import clock, routing
from notifications.models import Delivery, Notification, Policy, Streamer, unrouted
from notifications.routing import route_batch, route_until_idle
from project.outside import World
from tests.notifications.crier import Crier
from tests.notifications.plans import analyze, blocks_of
from tests.notifications.scene import (
    SECOND,
    accept,
    accept_many,
    at_once,
    channel_at,
    configured,
    drain,
    eventually,
    in_background,
    route,
    states,
    the_delivery,
)


@pytest.fixture
def aurora() -> Streamer:
    return Streamer.objects.create(key="aurora", name="Aurora", platform="twitch")


@pytest.mark.django_db
class TestWhoIsMeant:
    def test_shared_channels_and_the_streamers_own(self, aurora: Streamer) -> None:
        shared = channel_at("https://example.org/1")
        own = channel_at("https://example.org/2", owner_key="aurora")
        channel_at("https://example.org/3", owner_key="boreas")
        accept(streamer="aurora")
        route()
        assert set(Delivery.objects.values_list("channel_id", flat=True)) == {shared.pk, own.pk}

    def test_a_narrower_policy_names_its_own_channels(self, aurora: Streamer) -> None:
        wide, narrow = channel_at("https://example.org/1"), channel_at("https://example.org/2")
        for policy, channel in (
            (Policy.objects.create(scope="global", names_channels=True), wide),
            (Policy.objects.create(scope="streamer", streamer=aurora, names_channels=True), narrow),
        ):
            policy.channels.add(channel)
        accept(streamer="aurora")
        accept()
        route()
        told = dict(Delivery.objects.values_list("notification__streamer__key", "channel_id"))
        assert told == {"aurora": narrow.pk, None: wide.pk}

    @pytest.mark.parametrize("why", ["none is configured", "the policy names none"])
    def test_without_a_channel_there_is_a_note_instead(self, why: str) -> None:
        if why == "the policy names none":
            channel_at("https://example.org")
            Policy.objects.create(scope="global", names_channels=True)
        accept()
        assert route() == 0
        notification = Notification.objects.get()
        assert notification.routing_note.startswith("No channel")
        assert (notification.routed_at is not None, notification.state) == (True, "suppressed")


@pytest.mark.django_db
class TestWhatIsWritten:
    def test_suppressed_is_a_row_with_its_reason(self) -> None:
        channel = channel_at("https://example.org")
        Policy.objects.create(scope="global", min_priority=8)
        accept(priority="low")
        route()
        delivery = the_delivery(channel)
        assert (delivery.state, delivery.reason_code) == ("suppressed", "min_priority")
        assert "global" in delivery.reason
        assert delivery.settled_at is not None

    def test_switched_off_is_suppressed_with_its_reason(self) -> None:
        channel = channel_at("https://example.org", enabled=False)
        accept()
        route()
        assert the_delivery(channel).reason_code == "channel_disabled"

    def test_scheduled_waits_for_its_time(self) -> None:
        at = clock.now() + timedelta(hours=1)
        channel = channel_at("https://example.org")
        accept(scheduled_at=at, expires_at=at + SECOND)
        route()
        delivery = the_delivery(channel)
        assert (delivery.state, delivery.reason_code, delivery.due_at) == ("scheduled", "scheduled_at", at)
        assert delivery.expires_at == at + SECOND

    def test_expired_before_routing_is_suppressed_and_says_so(self) -> None:
        channel = channel_at("https://example.org")
        ends = clock.now() + timedelta(milliseconds=30)
        accept(expires_at=ends)
        eventually(lambda: clock.now() > ends)
        route()
        delivery = the_delivery(channel)
        assert (delivery.state, delivery.reason_code) == ("suppressed", "expired")

    @pytest.mark.parametrize(
        ("word", "lane"), [("low", "http-low"), ("normal", "http-normal"), ("high", "http-high"), (10, "http-high")]
    )
    def test_urgency_chooses_the_lane(self, word: object, lane: str) -> None:
        channel = channel_at("https://example.org")
        accept(priority=word)
        route()
        assert the_delivery(channel).lane == lane

    def test_what_blocks_has_lanes_of_its_own(self, crier: type[Crier]) -> None:
        channel = configured("crier", {"place": "market"})
        accept()
        route()
        assert the_delivery(channel).lane == "blocking-normal"

    def test_a_second_routing_doubles_nothing(self) -> None:
        channel_at("https://example.org")
        accept()
        route()
        Notification.objects.update(routed_at=None)
        assert route() == 0
        assert Delivery.objects.count() == 1

    def test_what_was_routed_is_not_asked_again_when_rules_change(self) -> None:
        channel_at("https://example.org/1")
        accept()
        route()
        channel_at("https://example.org/2")
        route()
        assert Delivery.objects.count() == 1

    def test_rules_that_raw_sql_changed_hold_for_the_next_batch(self) -> None:
        channel = channel_at("https://example.org")
        accept()
        route()
        with connection.cursor() as cursor:
            cursor.execute("UPDATE channels_app_channel SET enabled = false")
        accept()
        route()
        assert states(channel) == {"pending": 1, "suppressed": 1}


@pytest.mark.django_db
class TestOneBadChannel:
    def test_a_kind_that_was_uninstalled_does_not_stop_the_others(self) -> None:
        """All notifications are meant for it, so routing meets it in every batch."""
        good, bad = channel_at("https://example.org/1"), channel_at("https://example.org/2")
        Channel.objects.filter(pk=bad.pk).update(kind="nonesuch")
        accept()
        assert route() == 2
        assert states(good) == {"pending": 1}
        assert states(bad).total() == 1

    def test_a_secret_that_cannot_be_opened_does_not_stop_routing(self) -> None:
        channel_at("https://example.org")
        Channel.objects.update(secrets="v1:lost:abc")
        accept()
        assert route() == 1


def taken(limit: int) -> list[int]:
    """The priorities of what the next batch takes."""
    rows = unrouted.take(limit)
    unrouted.mark_routed([(row.id, "") for row in rows], now=clock.now())
    return sorted(row.priority for row in rows)


def the_batch() -> list[int]:
    """The priorities of what one batch routes."""
    before = set(Delivery.objects.values_list("id", flat=True))
    route_batch(clock.now())
    return sorted(Delivery.objects.exclude(id__in=before).values_list("priority", flat=True))


@pytest.mark.django_db
class TestWhatIsUrgent:
    def test_it_passes_what_came_before_it(self) -> None:
        accept_many(50, priority="low")
        accept(priority=7)
        accept(priority="critical")
        accept(priority="high")
        assert taken(8) == [*[2] * 6, 8, 10]

    def test_what_is_not_gets_a_quarter_of_each_batch(self) -> None:
        accept_many(10, priority="low")
        accept_many(50, priority="critical")
        accept_many(10, priority="low")
        assert [taken(20) for _ in range(4)] == [
            [*[2] * 5, *[10] * 15],
            [*[2] * 5, *[10] * 15],
            [10] * 20,
            [2] * 10,
        ]

    def test_what_is_not_gets_on_where_a_batch_ends_early(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(routing, "MOST_DELIVERIES", 4)
        channel_at("https://example.org")
        accept_many(2, priority="low")
        accept_many(9, priority="critical")
        done = [the_batch() for _ in range(3)]
        assert done == [[2, 10, 10, 10], [2, 10, 10, 10], [10, 10, 10]]

    def test_a_batch_is_full_whatever_it_is_made_of(self) -> None:
        accept_many(20, priority="critical")
        assert [len(taken(8)) for _ in range(3)] == [8, 8, 4]

    def test_it_is_found_without_a_look_at_what_waits(self) -> None:
        accept_many(10_000, priority="low")
        accept(priority="critical")
        analyze()
        assert taken(1) == [10]
        assert blocks_of(lambda: unrouted.take(8)) < 50


@pytest.mark.django_db(transaction=True)
class TestManyAtOnce:
    def test_a_worker_that_dies_before_its_commit_leaves_the_batch_as_it_was(self) -> None:
        channel_at("https://example.org")
        accept_many(20)
        with transaction.atomic():
            assert route_batch(clock.now()).deliveries == 20
            transaction.set_rollback(True)
        assert not Delivery.objects.exists()
        assert Notification.objects.filter(routed_at=None).count() == 20
        assert route() == 20

    def test_a_batch_ends_where_it_has_made_enough_deliveries(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(routing, "MOST_DELIVERIES", 5)
        for number in range(3):
            channel_at(f"https://example.org/{number}")
        accept_many(5)
        batches = [route_batch(clock.now()) for _ in range(4)]
        assert [(each.notifications, each.deliveries, each.is_all) for each in batches] == [
            (2, 6, False),
            (2, 6, False),
            (1, 3, True),
            (0, 0, True),
        ]
        monkeypatch.setattr(routing, "MOST_DELIVERIES", 1)
        accept_many(3)
        assert route_until_idle(clock.now, stop=threading.Event()) == 3
        assert Delivery.objects.count() == 24

    def test_several_routers_share_the_work(self) -> None:
        for number in range(3):
            channel_at(f"https://example.org/{number}")
        accept_many(200)

        def route_some() -> int:
            return sum(route_batch(clock.now(), limit=20).notifications for _ in range(15))

        assert sum(at_once(*[route_some] * 4)) == 200
        assert Delivery.objects.count() == 600

    def test_a_router_does_not_wait_for_what_another_has_taken(self) -> None:
        channel_at("https://example.org")
        accept_many(10)
        taken, done = threading.Event(), threading.Event()

        def hold_some() -> None:
            with transaction.atomic():
                assert route_batch(clock.now(), limit=6).notifications == 6
                taken.set()
                done.wait(10)

        holder = in_background(hold_some)
        taken.wait(10)
        assert route_batch(clock.now()).notifications == 4
        done.set()
        holder.join()
        assert Delivery.objects.count() == 10

    def test_lanes_are_woken_after_the_commit(self, broker: redis.Redis) -> None:
        channel_at("https://example.org")
        accept(priority="high")
        broker.flushdb()
        with transaction.atomic():
            route_batch(clock.now())
            assert broker.llen("deliver.http-high") == 0
        assert eventually(lambda: broker.llen("deliver.http-high")) == 1
        assert broker.llen("deliver.http-normal") == 0

    def test_the_task_goes_on_until_nothing_is_left_and_hears_what_comes_meanwhile(self) -> None:
        channel_at("https://example.org")
        accept_many(3)
        stop = threading.Event()
        counted: list[int] = []
        router = in_background(lambda: counted.append(route_until_idle(clock.now, stop=stop)))
        eventually(lambda: Delivery.objects.count() == 3)
        accept_many(2)
        eventually(lambda: Delivery.objects.count() == 5)
        stop.set()
        router.join()
        assert counted == [5]
        assert route_until_idle(clock.now, stop=stop) == 0

    def test_from_acceptance_to_the_far_end(self, world: World) -> None:
        channel = channel_at(world.sink_url("whole-way"))
        ids = accept_many(50, title="שלום 🔔")
        route()
        drain()
        assert states(channel) == {"delivered": 50}
        seen = world.seen("sink/whole-way")
        assert len({one.idempotency_id for one in seen}) == len(seen) == len(ids)
        assert all("שלום 🔔" in one.body.decode() for one in seen)
