"""What Discord documents about the body of "Execute Webhook", as a check that names every mistake.

Limits are those of Discord's developer documentation (resources/webhook, resources/message: embed
limits). Texts are trimmed before they are measured, as Discord does. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

CONTENT_CHARS = 2000
USERNAME_CHARS = 80
EMBEDS = 10
TITLE_CHARS = 256
DESCRIPTION_CHARS = 4096
FIELDS = 25
FIELD_NAME_CHARS = 256
FIELD_VALUE_CHARS = 1024
FOOTER_CHARS = 2048
AUTHOR_CHARS = 256
#: All texts of all embeds of a message together.
EMBED_TEXT_CHARS = 6000
MAX_COLOR = 0xFFFFFF
FORBIDDEN_IN_USERNAMES = ("discord", "clyde")
MENTIONS = frozenset({"roles", "users", "everyone"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake: where (keys and indexes from the top), Discord's code for it, and its text."""

    path: tuple[str, ...]
    code: str
    message: str


Faults = Iterator[Fault]


def faults_of(body: Mapping[str, Any]) -> list[Fault]:
    """Everything that Discord would refuse in the form of `body`."""
    return [
        *_text(body, ("content",), limit=CONTENT_CHARS),
        *_username(body),
        *_url(body, ("avatar_url",)),
        *_boolean(body, ("tts",)),
        *_mentions(body),
        *_embeds(body.get("embeds")),
    ]


def is_empty(body: Mapping[str, Any]) -> bool:
    """Whether there is nothing to show: neither a text nor an embed with something in it."""
    content = body.get("content")
    has_text = isinstance(content, str) and bool(content.strip())
    return not has_text and not any(body.get("embeds") or ())


def errors_tree(faults: Sequence[Fault]) -> dict[str, Any]:
    """The faults as the nested object of Discord's answers: `_errors` lists at the end of each path."""
    tree: dict[str, Any] = {}
    for fault in faults:
        node = tree
        for key in fault.path:
            node = node.setdefault(key, {})
        node.setdefault("_errors", []).append({"code": fault.code, "message": fault.message})
    return tree


def _embeds(embeds: Any) -> Faults:
    if embeds is None:
        return
    if not isinstance(embeds, list):
        yield Fault(("embeds",), "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType.")
        return
    if len(embeds) > EMBEDS:
        yield _too_long(("embeds",), EMBEDS)
    for index, embed in enumerate(embeds):
        yield from _embed(embed, ("embeds", str(index)))
    if sum(map(_embed_chars, embeds)) > EMBED_TEXT_CHARS:
        message = f"Embed size exceeds maximum size of {EMBED_TEXT_CHARS}"
        yield Fault(("embeds",), "MAX_EMBED_SIZE_EXCEEDED", message)


def _embed(embed: Any, path: tuple[str, ...]) -> Faults:
    if not isinstance(embed, dict):
        yield _not_an_object(path)
        return
    yield from _text(embed, (*path, "title"), limit=TITLE_CHARS)
    yield from _text(embed, (*path, "description"), limit=DESCRIPTION_CHARS)
    yield from _url(embed, (*path, "url"))
    yield from _color(embed, (*path, "color"))
    yield from _timestamp(embed, (*path, "timestamp"))
    yield from _part(embed, (*path, "footer"), required="text", limit=FOOTER_CHARS)
    yield from _part(embed, (*path, "author"), required="name", limit=AUTHOR_CHARS)
    for name in ("image", "thumbnail"):
        yield from _picture(embed, (*path, name))
    yield from _fields(embed.get("fields"), (*path, "fields"))


def _fields(fields: Any, path: tuple[str, ...]) -> Faults:
    if fields is None:
        return
    if not isinstance(fields, list):
        yield Fault(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType.")
        return
    if len(fields) > FIELDS:
        yield _too_long(path, FIELDS)
    for index, item in enumerate(fields):
        place = (*path, str(index))
        if not isinstance(item, dict):
            yield _not_an_object(place)
            continue
        yield from _text(item, (*place, "name"), limit=FIELD_NAME_CHARS, required=True)
        yield from _text(item, (*place, "value"), limit=FIELD_VALUE_CHARS, required=True)
        yield from _boolean(item, (*place, "inline"))


def _part(embed: Mapping[str, Any], path: tuple[str, ...], *, required: str, limit: int) -> Faults:
    part = embed.get(path[-1])
    if part is None:
        return
    if not isinstance(part, dict):
        yield _not_an_object(path)
        return
    yield from _text(part, (*path, required), limit=limit, required=True)
    yield from _url(part, (*path, "icon_url"))


def _picture(embed: Mapping[str, Any], path: tuple[str, ...]) -> Faults:
    picture = embed.get(path[-1])
    if picture is None:
        return
    if not isinstance(picture, dict):
        yield _not_an_object(path)
        return
    if not picture.get("url"):
        yield _missing((*path, "url"))
    yield from _url(picture, (*path, "url"))


def _text(holder: Mapping[str, Any], path: tuple[str, ...], *, limit: int, required: bool = False) -> Faults:
    text = holder.get(path[-1])
    if text is None:
        if required:
            yield _missing(path)
    elif not isinstance(text, str):
        yield Fault(path, "STRING_TYPE_CONVERT", "Could not interpret value as string.")
    elif len(text.strip()) > limit:
        yield _too_long(path, limit)
    elif required and not text.strip():
        yield _missing(path)


def _username(body: Mapping[str, Any]) -> Faults:
    name = body.get("username")
    if name is None:
        return
    yield from _text(body, ("username",), limit=USERNAME_CHARS)
    if not isinstance(name, str):
        return
    if not name.strip():
        yield Fault(("username",), "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {USERNAME_CHARS} in length.")
    for word in FORBIDDEN_IN_USERNAMES:
        if word in name.lower():
            yield Fault(("username",), "USERNAME_INVALID_CONTAINS", f'Username cannot contain "{word}"')


def _color(embed: Mapping[str, Any], path: tuple[str, ...]) -> Faults:
    color = embed.get("color")
    if color is None:
        return
    if isinstance(color, bool) or not isinstance(color, int):
        yield Fault(path, "NUMBER_TYPE_COERCE", f'Value "{color}" is not int.')
    elif color > MAX_COLOR:
        yield Fault(path, "NUMBER_TYPE_MAX", f"int value should be less than or equal to {MAX_COLOR}.")
    elif color < 0:
        yield Fault(path, "NUMBER_TYPE_MIN", "int value should be greater than or equal to 0.")


def _timestamp(embed: Mapping[str, Any], path: tuple[str, ...]) -> Faults:
    stamp = embed.get("timestamp")
    if stamp is None:
        return
    try:
        datetime.fromisoformat(stamp)
    except (TypeError, ValueError):
        yield Fault(path, "DATE_TIME_TYPE_PARSE", f"Could not parse {stamp}. Should be ISO8601.")


def _url(holder: Mapping[str, Any], path: tuple[str, ...]) -> Faults:
    url = holder.get(path[-1])
    if not url:
        return
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or not parts.scheme or not parts.netloc:
        yield Fault(path, "URL_TYPE_INVALID_URL", "Not a well formed URL.")
    elif parts.scheme not in ("http", "https"):
        message = f"Scheme \"{parts.scheme}\" must be one of ('http', 'https')."
        yield Fault(path, "URL_TYPE_INVALID_SCHEME", message)


def _boolean(holder: Mapping[str, Any], path: tuple[str, ...]) -> Faults:
    value = holder.get(path[-1])
    if value is not None and not isinstance(value, bool):
        yield Fault(path, "BOOLEAN_TYPE_CONVERT", "Must be either true or false.")


def _mentions(body: Mapping[str, Any]) -> Faults:
    mentions = body.get("allowed_mentions")
    if mentions is None:
        return
    if not isinstance(mentions, dict):
        yield _not_an_object(("allowed_mentions",))
        return
    parse = mentions.get("parse") or ()
    for name in ("users", "roles"):
        if name in parse and mentions.get(name):
            message = f'parse:["{name}"] and {name}: [ids...] are mutually exclusive.'
            yield Fault(("allowed_mentions",), "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", message)
    for index, kind in enumerate(parse):
        if kind not in MENTIONS:
            path = ("allowed_mentions", "parse", str(index))
            yield Fault(path, "BASE_TYPE_CHOICES", f"Value must be one of {tuple(sorted(MENTIONS))}.")


def _embed_chars(embed: Any) -> int:
    if not isinstance(embed, dict):
        return 0
    holders: list[tuple[Any, tuple[str, ...]]] = [
        (embed, ("title", "description")),
        (embed.get("footer"), ("text",)),
        (embed.get("author"), ("name",)),
    ]
    fields = embed.get("fields")
    holders += [(item, ("name", "value")) for item in (fields if isinstance(fields, list) else ())]
    return sum(len(_trimmed(holder, key)) for holder, keys in holders for key in keys)


def _trimmed(holder: Any, key: str) -> str:
    text = holder.get(key) if isinstance(holder, dict) else None
    return text.strip() if isinstance(text, str) else ""


def _missing(path: tuple[str, ...]) -> Fault:
    return Fault(path, "BASE_TYPE_REQUIRED", "This field is required")


def _too_long(path: tuple[str, ...], limit: int) -> Fault:
    return Fault(path, "BASE_TYPE_MAX_LENGTH", f"Must be {limit} or fewer in length.")


def _not_an_object(path: tuple[str, ...]) -> Fault:
    return Fault(path, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
