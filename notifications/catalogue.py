"""The event types that Belfry knows by itself: words, usual priority, default texts.

A producer may send any other type; it then brings its own title. Names are compared without
regard to letter case and to `.`, `-`, `_` and spaces, so that `StreamOnline`, `stream.online` and
`stream_online` are one. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from notifications.priority import Priority

_SEPARATORS = re.compile(r"[.\-\s_]+")
_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class EventType:
    """One known type. `title` and `body` are texts with `{field}` for fields of `data`."""

    name: str
    label: str
    priority: Priority
    title: str
    body: str = ""


LOW, NORMAL, HIGH, CRITICAL = Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.CRITICAL

_TYPES = (
    EventType("stream_online", "Stream online", NORMAL, "{streamer_name} is live", "{title}"),
    EventType("stream_offline", "Stream offline", LOW, "{streamer_name} went offline"),
    EventType("download_started", "Download started", LOW, "Recording {streamer_name}", "Session {session_id}"),
    EventType(
        "download_completed",
        "Download completed",
        NORMAL,
        "Recorded {streamer_name}",
        "{file_size_bytes} bytes in {duration_secs} s",
    ),
    EventType("download_error", "Download error", HIGH, "Recording {streamer_name} failed", "{error_message}"),
    EventType("segment_started", "Segment started", LOW, "{streamer_name}: segment {segment_index}", "{segment_path}"),
    EventType(
        "segment_completed",
        "Segment completed",
        LOW,
        "{streamer_name}: segment {segment_index} done",
        "{segment_path}, {size_bytes} bytes in {duration_secs} s",
    ),
    EventType(
        "download_cancelled",
        "Download cancelled",
        NORMAL,
        "Recording {streamer_name} cancelled",
        "Session {session_id}",
    ),
    EventType("download_rejected", "Download rejected", HIGH, "Recording {streamer_name} rejected", "{reason}"),
    EventType("config_updated", "Config updated", LOW, "Configuration of {streamer_name} changed", "{update_type}"),
    EventType("pipeline_started", "Pipeline started", LOW, "{job_type} started", "Job {job_id}"),
    EventType(
        "pipeline_completed", "Pipeline completed", LOW, "{job_type} done", "{output_path}, after {duration_secs} s"
    ),
    EventType("pipeline_failed", "Pipeline failed", HIGH, "{job_type} failed", "{error_message}"),
    EventType("pipeline_cancelled", "Pipeline cancelled", NORMAL, "{job_type} cancelled", "Job {job_id}"),
    EventType("fatal_error", "Fatal error", CRITICAL, "{streamer_name}: {error_type}", "{message}"),
    EventType(
        "out_of_space",
        "Out of space",
        CRITICAL,
        "Disk almost full: {path}",
        "{available_bytes} bytes left, {threshold_bytes} are needed",
    ),
    EventType(
        "output_path_inaccessible", "Output path inaccessible", CRITICAL, "Cannot write to {path}", "{error_kind}"
    ),
    EventType("gpu_unavailable", "GPU unavailable", CRITICAL, "GPU unavailable: {error_kind}", "{message}"),
    EventType(
        "pipeline_queue_warning", "Pipeline queue long", HIGH, "{queue_depth} jobs wait", "The threshold is {threshold}"
    ),
    EventType(
        "pipeline_queue_critical",
        "Pipeline queue critical",
        CRITICAL,
        "{queue_depth} jobs wait",
        "The threshold is {threshold}",
    ),
    EventType("system_startup", "System startup", NORMAL, "Recorder started", "Version {version}"),
    EventType("system_shutdown", "System shutdown", NORMAL, "Recorder stopped", "{reason}"),
    EventType("credential_refreshed", "Credential refreshed", NORMAL, "{platform}: credentials refreshed", "{scope}"),
    EventType(
        "credential_refresh_failed",
        "Credential refresh failed",
        HIGH,
        "{platform}: credentials could not be refreshed",
        "{error}",
    ),
    EventType("credential_invalid", "Credential invalid", CRITICAL, "{platform}: credentials are invalid", "{reason}"),
    EventType(
        "credential_expiring",
        "Credential expiring",
        NORMAL,
        "{platform}: credentials expire in {days_remaining} days",
        "{scope}",
    ),
    EventType("baidupcs_relogin_failed", "Baidu re-login failed", HIGH, "Baidu re-login failed", "{message}"),
)

#: Name → type.
KNOWN = MappingProxyType({known.name: known for known in _TYPES})

_BY_FOLDED_NAME = {_SEPARATORS.sub("", known.name): known for known in _TYPES}


def canonical(name: str) -> str:
    """The catalogue's spelling of an event type, or `name` as it stands where it is not known."""
    if name in KNOWN:
        return name
    known = _BY_FOLDED_NAME.get(_SEPARATORS.sub("", name).lower())
    return known.name if known else name


def usual_priority(name: str, data: Mapping[str, Any]) -> int:
    """The priority of a type whose producer named none; a few depend on what happened."""
    if name == "download_error" and data.get("recoverable") is True:
        return NORMAL
    if name == "credential_refresh_failed" and data.get("requires_relogin") is True:
        return CRITICAL
    if name == "credential_expiring" and _at_most(data.get("days_remaining"), 3):
        return HIGH
    known = KNOWN.get(name)
    return int(known.priority) if known else int(NORMAL)


def texts(name: str, data: Mapping[str, Any]) -> tuple[str, str]:
    """Default title and body. A field that `data` lacks is left out of the text, not shown as a gap."""
    known = KNOWN.get(name)
    if known is None:
        return _SEPARATORS.sub(" ", name).strip().capitalize() or name, ""
    return _filled(known.title, data) or known.label, _filled(known.body, data)


def _filled(text: str, data: Mapping[str, Any]) -> str:
    missing = [field for field in _FIELD.findall(text) if data.get(field) in (None, "")]
    if missing:
        return ""
    return _FIELD.sub(lambda match: str(data[match[1]]), text)


def _at_most(value: object, limit: int) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value <= limit
