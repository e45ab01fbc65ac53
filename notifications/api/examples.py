"""Bodies for the documentation."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample

_ONLINE = {
    "event_type": "stream_online",
    "streamer": "nightowl",
    "data": {"title": "Speedrun marathon", "category": "Retro"},
}
_OUT_OF_SPACE = {
    "event_type": "out_of_space",
    "priority": "critical",
    "data": {"path": "/srv/recordings", "available_bytes": 1048576, "threshold_bytes": 10737418240},
}
_OWN_TYPE = {
    "event_type": "backup_finished",
    "priority": "low",
    "title": "Backup finished",
    "body": "All 14 archives are in place.",
    "expires_at": "2030-01-01T12:00:00Z",
}
_ACCEPTED = {
    "id": "0198c2a4-6f0e-7c31-9d0b-5a7f1f0f2b11",
    "event_type": "stream_online",
    "accepted_at": "2030-01-01T11:00:00Z",
    "state": "waiting",
    "url": "/api/v1/notifications/0198c2a4-6f0e-7c31-9d0b-5a7f1f0f2b11",
}

NOTIFICATION = [
    OpenApiExample("A stream goes live", value=_ONLINE, request_only=True),
    OpenApiExample("A disk fills up", value=_OUT_OF_SPACE, request_only=True),
    OpenApiExample("A type of your own", value=_OWN_TYPE, request_only=True),
    OpenApiExample("Accepted", value=_ACCEPTED, response_only=True, status_codes=["202"]),
]

BULK = [
    OpenApiExample("Two at once", value={"notifications": [_ONLINE, _OUT_OF_SPACE]}, request_only=True),
    OpenApiExample("Accepted", value={"notifications": [_ACCEPTED]}, response_only=True, status_codes=["202"]),
]

_STATE = {"cursor": "7-1042", "unread": 3, "read_upto": 990}
_ITEM_ID = "0198c2a4-7a10-7e62-8f3d-1b2c3d4e5f60"
_ITEM = {
    "id": _ITEM_ID,
    "seq": 1042,
    "position": 1042,
    "source": _ACCEPTED["id"],
    "category": "stream_online",
    "priority": 5,
    "title": "NightOwl is live",
    "body": "Speedrun marathon",
    "url": "https://example.org/nightowl",
    "content_type": "application/json",
    "data": {"title": "Speedrun marathon", "url": "https://example.org/nightowl"},
    "ack": True,
    "created": "2030-01-01T11:00:00Z",
    "expires": None,
    "seen": False,
    "read": False,
    "archived": False,
}
_MARKED = OpenApiExample("Marked", value={"changed": 1, "state": _STATE}, response_only=True, status_codes=["200"])

FEED_STATE = [OpenApiExample("Three are unread", value=_STATE, response_only=True, status_codes=["200"])]
FEED_PAGE = [
    OpenApiExample(
        "The newest",
        value={"items": [_ITEM], "cursor": "7-1042", "state": _STATE, "next": 1042},
        response_only=True,
    )
]
FEED_CHANGES = [
    OpenApiExample(
        "One is new, one was deleted",
        value={
            "items": [
                {"id": "0198c2a4-6f0e-7c31-9d0b-5a7f1f0f2b12", "type": "deleted", "seq": 1041, "unread": 3},
                {**_ITEM, "type": "new", "unread": 3},
            ],
            "cursor": "7-1042",
            "state": _STATE,
            "reset": "",
            "more": False,
        },
        response_only=True,
    )
]
ACK = [
    OpenApiExample("Everything so far", value={"device": "phone", "upto": "7-1042"}, request_only=True),
    OpenApiExample("One item", value={"device": "phone", "ids": [_ITEM_ID]}, request_only=True),
]
ITEMS = [OpenApiExample("One item", value={"ids": [_ITEM_ID]}, request_only=True), _MARKED]
READ = [
    OpenApiExample("Up to here", value={"upto": "7-1042"}, request_only=True),
    OpenApiExample("All", value={"all": True}, request_only=True),
    *ITEMS,
]
TICKET = [OpenApiExample("For a phone", value={"device": "phone"}, request_only=True)]
FOLLOW = OpenApiExample(
    "From high on", value={"recipient": "user-17", "streamer": "nightowl", "min_priority": "high"}, request_only=True
)
