"""From what was ticked, or filtered, on the list of dead letters to a selection that a job can keep."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from notifications.models.dead_letter import DeadLetterQuerySet
from notifications.selection import MOST_NAMED, Narrowed, Selection, restored

#: Filters of the list that a selection knows too, by their names in the address.
_FIELDS = {"channel": "channel_id", "outcome__exact": "outcome", "fingerprint__exact": "fingerprint"}
#: What stands in the address and narrows nothing.
_IDLE = frozenset({"p", "o", "all", "decision"})


class TooWide(Exception):
    """More letters than can be named one by one, by a filter that a job cannot keep."""

    def __init__(self) -> None:
        super().__init__(
            f"That is more than {MOST_NAMED:,}. Filter by channel, outcome or cause alone, or choose fewer."
        )


def selection_of(request: HttpRequest, letters: DeadLetterQuerySet) -> Selection:
    """`letters` by their ids, or, where there are too many, by the filters of the list. Raises `TooWide`."""
    ids = list(letters.waiting().order_by("pk").values_list("pk", flat=True)[: MOST_NAMED + 1])
    if len(ids) <= MOST_NAMED:
        return Narrowed(ids=ids)
    asked = {name: value for name, value in request.GET.items() if name not in _IDLE}
    if not asked or set(asked) - set(_FIELDS):
        raise TooWide
    fields: dict[str, Any] = {_FIELDS[name]: value for name, value in asked.items()}
    if "channel_id" in fields:
        fields["channel_id"] = int(fields["channel_id"])
    return restored(fields)
