"""Server log: one line in the log of the worker, for log collectors to read.

The line begins with `[Notification]`, which dashboards look for; so it has a logger of its own,
whose handler puts nothing before it. What follows is `key="value"` pairs, values in JSON.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, TextIO

from channels_app.base import BlockingTransport, CannotBuild, Config, Message, json_body, setting
from channels_app.outcomes import Outcome, Verdict
from channels_app.plain_text import cleaned, shortened

PREFIX = "[Notification]"

TITLE_CHARS = 500
BODY_CHARS = 2000
#: Data that are longer than this, as JSON, are left out: cut JSON could not be read.
DATA_CHARS = 4000

_LATE = Verdict(Outcome.RATE_LIMITED, 0, "The log is slow. This line was not begun in time.", retry_after_s=1.0)

_LEVELS = {"low": logging.INFO, "normal": logging.INFO, "high": logging.WARNING, "critical": logging.ERROR}


class ServerLogConfig(Config):
    level: Annotated[
        Literal["priority", "info", "warning", "error"],
        setting("How loud: by priority (info, warning, error), or always the same.", example="priority"),
    ] = "priority"


class ServerLog(BlockingTransport[ServerLogConfig]):
    kind = "server_log"
    label = "Server log"
    Config = ServerLogConfig

    def send(
        self, messages: Sequence[Message], config: ServerLogConfig, *, now: datetime, deadline: float
    ) -> list[Verdict]:
        return [_LATE if time.monotonic() > deadline else _write(message, config) for message in messages]


def _write(message: Message, config: ServerLogConfig) -> Verdict:
    level = _level(message, config)
    try:
        _logger.log(level, "%s", line_of(message, level))
    except OSError as error:
        return Verdict(Outcome.TRANSIENT, 0, f"The log cannot be written ({type(error).__name__}).")
    return Verdict(Outcome.OK)


def line_of(message: Message, level: int) -> str:
    """The whole line, without its end."""
    pairs = {
        "level": logging.getLevelName(level).lower(),
        "title": shortened(cleaned(message.title), TITLE_CHARS),
        "body": shortened(cleaned(message.body), BODY_CHARS),
        "event_type": cleaned(message.event_type),
        "priority": message.priority,
        "streamer": cleaned(message.streamer_key),
        "platform": cleaned(message.platform),
        "id": message.idempotency_id,
        "data": _data_of(message),
    }
    shown = (f"{key}={_json(value)}" for key, value in pairs.items() if value not in ("", {}))
    return _on_one_line(f"{PREFIX} {' '.join(shown)}")


def _data_of(message: Message) -> object:
    try:
        return dict(message.data)
    except RecursionError:  # Text of JSON that nests too deeply is only noticed when it is read.
        return "unreadable"


def _level(message: Message, config: ServerLogConfig) -> int:
    if config.level == "priority":
        return _LEVELS.get(message.priority_label, logging.INFO)
    return logging.getLevelNamesMapping()[config.level.upper()]


def _json(value: Any) -> str:
    try:
        text = json_body(value).decode()
    except CannotBuild:
        return '"unreadable"'
    return text if len(text) <= DATA_CHARS else '"too long"'


def _on_one_line(text: str) -> str:
    """What could end a line, or make a terminal do or hide something, is written as JSON writes it."""
    return "".join(c if c.isprintable() or c in _HARMLESS else _escaped(c) for c in text)


#: Not printable by Unicode's word, but usual: what joins emoji to one picture, and wide and fixed spaces.
_HARMLESS = "\u200d\u3000\xa0"


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be").hex(" ", 2).split()
    return "".join(f"\\u{unit}" for unit in units)


class _PlainHandler(logging.StreamHandler[TextIO]):
    """Bare lines to the process's own stderr: what a worker puts in place of `sys.stderr` adds its own prefix."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.__stderr__ or sys.stderr  # Not `setStream`: it would flush the one before, which may be gone.
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        raise  # noqa: PLE0704 - logging calls it while the error is being handled.


def _own_logger() -> logging.Logger:
    logger = logging.getLogger("belfry.server_log")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    if not logger.handlers:
        logger.addHandler(_PlainHandler())
    return logger


_logger = _own_logger()
