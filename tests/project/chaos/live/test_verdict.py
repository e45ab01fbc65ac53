"""The verdict finds whatever a client lacks, has too much, or has otherwise than the database."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest

from project.chaos.live.replica import Replica
from project.chaos.live.verdict import Feed, Row, Verdict, verdict_on

#: Number 1 made the first item, which number 4 marked; 2 the second, which 3 deleted; 5 the third.
FEED = Feed(
    recipient="ada",
    last_seq=5,
    unread=1,
    rows=[
        Row("a", 4, {"id": "a", "title": "First", "read": True}),
        Row("b", 3, None),
        Row("c", 5, {"id": "c", "title": "Third", "read": False}),
    ],
)


def whole() -> Replica:
    items = {
        "a": {"id": "a", "title": "First", "read": True, "data": None},
        "c": {"id": "c", "title": "Third", "read": False, "data": None},
    }
    return Replica(name="ws-1", recipient="ada", epoch=1, seq=5, unread=1, items=items, applied=[1, 2, 3, 4, 5])


def verdict(*replicas: Replica, feed: Feed = FEED, confirmed: int = 5) -> Verdict:
    return verdict_on([feed], replicas, {"ada": confirmed})


def test_clients_that_have_everything_lack_nothing() -> None:
    found = verdict(whole(), whole())
    assert (found.accepted, found.delivered, found.lost, found.lacks, found.trouble) == (5, 5, 0, [], "")


def test_what_a_later_change_had_overtaken_is_superseded() -> None:
    caught_up = whole()
    caught_up.applied = [3, 4, 5]
    found = verdict(whole(), caught_up)
    assert (found.accepted, found.delivered, found.superseded, found.lost) == (5, 3, 2, 0)


@pytest.mark.parametrize("place", [2, 3, 4])
def test_a_client_that_was_not_told_of_an_items_latest_change_is_found(place: int) -> None:
    robbed = whole()
    number = robbed.applied.pop(place)
    found = verdict(whole(), robbed)
    assert (found.delivered, found.lost) == (4, 1)
    assert [(lack.number, lack.why) for lack in found.lacks] == [(number, "was never told of it")]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda items: items.pop("c"), "does not have the item"),
        (lambda items: items["c"].update(title="Other"), "has another title"),
        (lambda items: items["c"].pop("read"), "has another read"),
        (lambda items: items.update(b={"id": "b"}), "keeps an item that is gone"),
    ],
)
def test_a_client_that_has_something_else_is_found(spoil: Callable[[dict[str, object]], None], why: str) -> None:
    spoiled = whole()
    spoil(spoiled.items)  # type: ignore[arg-type]
    found = verdict(spoiled, whole())
    assert (found.lost, [lack.why for lack in found.lacks]) == (1, [why])


@pytest.mark.parametrize(
    ("name", "value", "trouble"),
    [
        ("late", [2], "1 clients were told something too late"),
        ("resets", 1, "1 clients had to begin anew"),
        ("unread", 2, "1 clients show another number of unread items"),
        ("applied", [1, 2, 4, 3, 5], "1 clients took changes in another order"),
    ],
)
def test_what_else_is_wrong_with_a_client_is_said(name: str, value: object, trouble: str) -> None:
    odd = whole()
    setattr(odd, name, value)
    assert verdict(odd, whole()).trouble == trouble


def test_an_item_that_is_in_no_row_is_found() -> None:
    odd = whole()
    odd.items["z"] = {"id": "z"}
    assert verdict(odd).trouble == "1 clients have items that are in no row"


def test_a_database_that_forgot_what_it_had_confirmed_is_found() -> None:
    found = verdict(whole(), confirmed=7)
    assert (found.accepted, found.delivered, found.lost) == (7, 5, 2)
    gone = verdict_on([], [], {"ada": 3})
    assert (gone.accepted, gone.lost) == (3, 3)


def test_what_is_not_written_into_a_feed_yet_waits() -> None:
    feed = Feed(recipient="ada", last_seq=5, unread=1, rows=FEED.rows, unmerged=2)
    found = verdict(whole(), feed=feed)
    assert (found.accepted, found.delivered, found.waiting) == (7, 5, 2)


def test_repetitions_of_all_clients_are_added_up() -> None:
    first, second = whole(), whole()
    first.repeated, first.announced, second.repeated = 3, 2, 1
    found = verdict(first, second)
    assert (found.repeated, found.announced) == (4, 2)


def test_a_verdict_changes_nothing_of_what_it_is_on() -> None:
    replica = whole()
    before = deepcopy(replica)
    verdict(replica)
    assert replica == before
