"""Lanes and their queues."""

from __future__ import annotations

import pytest

from notifications.lanes import BLOCKING, HTTP, LANES, SLOW, group_of, lane_of, queue_of
from project.queues import QUEUES_OF_WORKER


@pytest.mark.parametrize("group", [HTTP, BLOCKING])
@pytest.mark.parametrize("priority", range(11))
def test_every_delivery_has_a_lane_that_is_worked(group: str, priority: int) -> None:
    lane = lane_of(group, priority)
    assert lane in LANES
    assert group_of(lane) == group
    assert queue_of(lane) in QUEUES_OF_WORKER["worker-deliver"]


@pytest.mark.parametrize(
    ("priority", "lane"),
    [(0, "low"), (3, "low"), (4, "normal"), (6, "normal"), (7, "high"), (10, "high")],
)
def test_classes_part_at_four_and_seven(priority: int, lane: str) -> None:
    assert lane_of(HTTP, priority) == f"http-{lane}"


def test_what_is_slow_has_a_lane_of_its_own_that_is_worked() -> None:
    assert group_of(SLOW) == HTTP
    assert queue_of(SLOW) in QUEUES_OF_WORKER["worker-deliver"]


def test_no_lane_is_listed_twice() -> None:
    assert len(set(LANES)) == len(LANES) == 7
