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
