"""Samples for the contract: settings made of a transport's own examples, and messages, also hostile ones."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import msgspec
from hypothesis import strategies as st

from channels_app import configuration
from channels_app.base import BlockingTransport, Config, Message, secret_fields
from channels_app.payload import Payload
from channels_app.registry import AnyTransport

NOW = datetime(2026, 3, 14, 21, 9, 26, 535897, tzinfo=UTC)

#: A transport that speaks to a server of its own calls the fields so; nobody listens there.
NOBODY = MappingProxyType({"host": "127.0.0.1", "port": 1})


def settings_of(transport: AnyTransport) -> dict[str, Any]:
    """The example of each field that has one. Fields without a default must."""
    settings: dict[str, Any] = {}
    for field in msgspec.inspect.type_info(transport.Config).fields:  # type: ignore[attr-defined]
        examples = (getattr(field.type, "extra_json_schema", None) or {}).get("examples")
        assert examples or not field.required, f"`{field.encode_name}` has no default, so it needs an example"
        if examples:
            settings[field.encode_name] = examples[0]
    if isinstance(transport, BlockingTransport):
        settings |= {name: value for name, value in NOBODY.items() if name in settings}
    return settings


def config_of(transport: AnyTransport) -> Config:
    """Typed sample settings, checked as those of a person are."""
    return configuration.check(transport.kind, settings_of(transport))


def secret_texts(config: Config) -> list[str]:
    """Every text that stands in a secret field."""
    values = [getattr(config, name) for name in secret_fields(type(config))]
    return [text for value in values for text in _texts(value) if text]


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [str(item) for item in value.values()]
    return list(map(str, value)) if isinstance(value, list | tuple) else [str(value)]


def message(**changes: Any) -> Message:
    """An ordinary message."""
    usual: dict[str, Any] = {
        "idempotency_id": "msg_01957bd5e9d27a4c8b3f0e6d1a2b3c4d_42",
        "notification_id": "01957bd5-e9d2-7a4c-8b3f-0e6d1a2b3c4d",
        "event_type": "download_completed",
        "priority": 5,
        "priority_label": "normal",
        "title": "Recorded The Velvet Walrus Hour",
        "body": "It went well.",
        "data": {
            "streamer_id": "UC-vw-7F3kQ2",
            "streamer_name": "The Velvet Walrus Hour",
            "session_id": "walrus-1",
            "file_size_bytes": 1932735283,
            "duration_secs": 7871.5,
            "nested": {"codec": "av1"},
            "timestamp": "2026-03-14T21:09:00Z",
        },
        "accepted_at": NOW,
        "streamer_key": "velvet-walrus",
        "streamer_name": "The Velvet Walrus Hour",
        "platform": "youtube",
    }
    return Message(**{**usual, **changes})


def _everywhere(text: str, **more: Any) -> Message:
    """`text` in every place where a producer or a platform can put one."""
    places = {"title": text, "body": text, "event_type": text, "streamer_key": text, "streamer_name": text}
    return message(**places, platform=text, data={"text": text, text: text}, **more)


def _nested(depth: int) -> dict[str, Any]:
    nest: dict[str, Any] = {}
    for _ in range(depth):
        nest = {"nest": nest}
    return nest


#: What no channel should ever get, and every one will.
HOSTILE: dict[str, Message] = {
    "nothing": message(
        title="", body="", event_type="", data={}, streamer_key="", streamer_name="", platform="", priority_label=""
    ),
    "only_spaces": _everywhere(" \t\n\u3000"),
    "no_streamer": message(streamer_key="", streamer_name="", platform="", data={}),
    "endless": _everywhere("lorem ipsum " * 10_000),
    "endless_word": _everywhere("x" * 100_000),
    "endless_marks": _everywhere("*_\\" * 30_000),
    "families": _everywhere("👩🏽\u200d👩🏻\u200d👧\u200d👦" * 5_000),
    "right_to_left": _everywhere("\u202eשלום עולם\u202c مرحبا \u2067abc\u2069"),
    "many_accents": _everywhere("Z̷̡̢̛͈͎̬̣̀́̓a̴͇̽l̸̞̍g̷̳̈́o̶̰͝" * 2_000),
    "half_a_pair": _everywhere("a\ud83db\udc00c"),
    "controls": _everywhere("".join(map(chr, [*range(32), *range(127, 160)])) + "end"),
    "nul": _everywhere("before\0after"),
    "line_ends": _everywhere("a\rb\nc\r\nd\x85e\u2028f\u2029g"),
    "header": _everywhere("x\r\nBcc: everyone@example.org\r\n\r\nbody", address="a@example.org\r\nBcc: b@example.org"),
    "markdown": _everywhere("@everyone **bold** [click](https://evil.example) ||spoiler|| <@123> ```\n# big\n> quote"),
    "html": _everywhere("<script>alert('1')</script><img src=x onerror=alert(1)>&amp;\"'"),
    "template": _everywhere("{{ secret }}{% include 'x' %}{title}%s$(id)`id`"),
    "many_data": message(data={f"field_{number}": "value " * 200 for number in range(500)}),
    "deep_data": message(data=_nested(5_000)),
    "odd_data": message(
        data={
            "": "",
            " ": "x",
            "none": None,
            "big_bytes": 10**400,
            "nan": float("nan"),
            "inf_secs": float("inf"),
            "l": [],
        }
    ),
    "unread_data": message(data=Payload('{"note": "x\\u0000",\n "count": 3}')),
    "unknown_priority": message(priority=-1, priority_label="purple"),
}

#: Never accepted, since it cannot be decoded; but a stored text is only decoded when somebody looks inside.
UNREADABLE = message(data=Payload('{"nest": ' * 5_000 + "{}" + "}" * 5_000))

_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)

any_message = st.builds(
    message,
    title=st.text(),
    body=st.text(),
    event_type=st.text(max_size=120),
    streamer_name=st.text(),
    platform=st.text(max_size=20),
    priority_label=st.sampled_from(["low", "normal", "high", "critical"]),
    data=st.dictionaries(st.text(), _json_values, max_size=8),
)
