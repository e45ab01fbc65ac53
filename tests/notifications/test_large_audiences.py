"""Large audiences: reached a part at a time, and at what cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from channels_app import statement
from notifications import clock, feeding
from notifications.models import Follow, Notification, Streamer, audience, unrouted
from notifications.models import statement as notifications_statement
from notifications.routing import route_batch
from tests.notifications.feeds import feed, follow, standing, told
from tests.notifications.plans import analyze, blocks_of, plans_of, whole_tables
from tests.notifications.scene import (
    HOUR,
    accept,
    accept_many,
    channel_at,
    route,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def aurora() -> Streamer:
    return Streamer.objects.create(key="aurora", name="Aurora", platform="twitch")


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
