"""Every change of a delivery's state: one function a letter, one guarded statement a function.

The guard is the table in `notifications.states`: each statement names the states it may leave, and
where a worker holds the row, the fencing token too. Rows that someone else has moved meanwhile are
simply not changed; each function says how many, or which, it did change.

A statement that may have to wait for rows locks them in the order of their ids, so that no two wait for
each other; the others skip what is locked.

Times come from the caller (`now`, aware). Nothing here decides anything.
"""

from notifications.models.transitions.claiming import Room, claim, claim_one
from notifications.models.transitions.creating import NewDelivery, create
from notifications.models.transitions.ending import cancel, cancel_of_channel, cancel_overdue, replay
from notifications.models.transitions.leasing import give_back, renew, take_back
from notifications.models.transitions.settling import Result, settle
from notifications.models.transitions.waiting import change_lane, postpone, promote, release, release_restored, stretch

__all__ = [
    "NewDelivery",
    "Result",
    "Room",
    "cancel",
    "cancel_of_channel",
    "cancel_overdue",
    "change_lane",
    "claim",
    "claim_one",
    "create",
    "give_back",
    "postpone",
    "promote",
    "release",
    "release_restored",
    "renew",
    "replay",
    "settle",
    "stretch",
    "take_back",
]
