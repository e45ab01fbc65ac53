"""A client's copy keeps what it is told, and remembers what was odd about it."""

from __future__ import annotations

from typing import Any

from project.chaos.live.replica import Replica


def greeted() -> Replica:
    replica = Replica(name="sse-0", recipient="ada")
    replica.greet("1-0")
    return replica


def told(seq: int, kind: str = "new", item: str = "a", **fields: Any) -> dict[str, Any]:
    return {"id": item, "type": kind, "seq": seq, "unread": seq, **fields}


def test_a_client_without_a_greeting_has_no_cursor() -> None:
    replica = Replica(name="sse-0", recipient="ada")
    assert replica.cursor == ""
    replica.greet("2-7")
    assert replica.cursor == "2-7"


def test_only_the_first_greeting_moves_it() -> None:
    replica = greeted()
    replica.apply(told(1))
    replica.greet("1-9")
    assert replica.cursor == "1-1"


def test_what_is_updated_changes_those_fields_alone() -> None:
    replica = greeted()
    replica.apply(told(1, title="Old", read=False))
    replica.apply(told(2, "updated", read=True))
    assert replica.items == {"a": {"id": "a", "seq": 2, "title": "Old", "read": True}}
    assert (replica.applied, replica.unread) == ([1, 2], 2)


def test_what_is_deleted_is_gone() -> None:
    replica = greeted()
    replica.apply(told(1))
    replica.apply(told(2, "deleted"))
    assert replica.items == {}


def test_what_comes_again_is_counted_and_changes_nothing() -> None:
    replica = greeted()
    for again in (False, False, True):
        replica.apply(told(1, title="First"), again=again)
    assert (replica.repeated, replica.announced, replica.applied) == (2, 1, [1])


def test_what_comes_after_something_later_is_late() -> None:
    replica = greeted()
    replica.apply(told(3))
    replica.apply(told(2))
    assert (replica.late, replica.applied) == ([2], [3])


def test_it_moves_over_what_shows_no_more_and_never_back() -> None:
    replica = greeted()
    replica.move("1-5")
    replica.move("1-3")
    replica.move("2-9")
    assert replica.cursor == "1-5"


def test_a_reset_empties_it() -> None:
    replica = greeted()
    replica.apply(told(1))
    replica.reset("2-8")
    assert (replica.cursor, replica.items, replica.applied, replica.resets) == ("2-8", {}, [], 1)
