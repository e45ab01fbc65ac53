"""Telling a message through a transport, as the engine does: build, send, interpret."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from channels_app import configuration, http, registry
from channels_app.base import BlockingTransport, HttpTransport, Message, Response
from channels_app.no_answer import verdict_of
from channels_app.outcomes import Verdict


def tell(kind: str, settings: Mapping[str, Any], *messages: Message, within_s: float = 10.0) -> list[Verdict]:
    """What became of each of `messages` on a channel with these settings."""
    transport = registry.get(kind)
    config = configuration.check(kind, settings)
    if isinstance(transport, HttpTransport):
        return [_ask(transport, config, message) for message in messages]
    assert isinstance(transport, BlockingTransport)
    return list(transport.send(messages, config, now=datetime.now(UTC), deadline=time.monotonic() + within_s))


def _ask(transport: HttpTransport[Any], config: Any, message: Message) -> Verdict:
    request = transport.build(message, config, now=datetime.now(UTC))
    ended = http.exchange(request, timeout_s=5)
    return transport.interpret(ended, now=datetime.now(UTC)) if isinstance(ended, Response) else verdict_of(ended)
