"""Taking over a config file: its channels, and its rules as the policy of everyone, a platform or a streamer.

The file is compared with what stands, object by object. What it does not mention stays, what is
equal is not written (so that workers need not read their rules anew), and either all of it is taken
over or nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from channels_app import registry
from channels_app.base import Config, secret_fields
from channels_app.configuration import MASK, InvalidConfig
from channels_app.models import Channel
from channels_app.secrets import NoSecretKeys, SecretUnreadable
from notifications import channel_control
from notifications.import_block import Block, Entry, Faulty, read
from notifications.models import Policy, Streamer, imported
from notifications.policy import Scope

#: Columns of a policy that a file may set.
_RULES = ("enabled", "min_priority", "event_types")
#: Other systems' names for settings, taken where the transport knows ours and not theirs.
_ALIASES = {"smtp_host": "host", "smtp_port": "port", "from": "from_address", "to_addresses": "to"}
_NOT_IN_A_KEY = re.compile(r"[^a-zA-Z0-9_.:-]+")
_MAX_KEY_CHARS = 100


@dataclass(frozen=True, slots=True)
class Target:
    """Whose policy the file becomes. Neither: everyone's."""

    platform: str = ""
    streamer_key: str = ""
    #: Make the streamer if it is not there.
    create: bool = False

    @property
    def scope(self) -> Scope:
        return Scope.STREAMER if self.streamer_key else Scope.PLATFORM if self.platform else Scope.GLOBAL

    @property
    def word(self) -> str:
        """As it stands in the keys of channels."""
        return "-".join(filter(None, (self.scope.value, self.streamer_key or self.platform)))


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one object. `fields`: name → (before, after), secrets masked."""

    what: str
    key: str
    action: str
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class Imported:
    """What a file came to, or would."""

    changes: list[Change] = field(default_factory=list)
    #: What the reader should know beside it.
    notes: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return any(change.action != "unchanged" for change in self.changes)


def import_file(path: Path, target: Target, *, now: datetime, dry_run: bool = False) -> Imported:
    """Take the file over, or only say what that would change. Raises `Faulty`; then nothing has changed."""
    block = read(path)
    with transaction.atomic():
        return _Import(block, target).run(now, dry_run=dry_run)


class _Import:
    """One file on its way. Faults are collected, so that all of them can be put right at once."""

    def __init__(self, block: Block, target: Target) -> None:
        self.block, self.target = block, target
        self.done = Imported()
        self.problems: list[tuple[str, str]] = []
        self.streamer = self._find_streamer()

    def run(self, now: datetime, *, dry_run: bool) -> Imported:
        planned = [self._channel(entry, key) for entry, key in self._keyed()]
        channels = [channel for channel, _ in planned if channel is not None]
        policy, policy_changed = self._policy(channels)
        if self.problems:
            raise Faulty(self.problems)
        self._note(policy, channels)
        if not dry_run:
            imported.store(
                streamer=self.streamer if self.streamer and self.streamer.pk is None else None,
                channels=[channel for channel, changed in planned if channel is not None and changed],
                policy=policy if policy_changed else None,
                told=None if self.block.channels is None else channels,
                change=lambda channel, save: self._change(channel, save, now),
            )
        return self.done

    def _change(self, channel: Channel, save: Callable[[], object], now: datetime) -> None:
        if channel_control.change_settings(channel, save, by="an import", now=now):
            self.done.notes.append(f"It has new settings, and is back in service: {channel.key}.")

    def _find_streamer(self) -> Streamer | None:
        key = self.target.streamer_key
        if not key:
            return None
        found = Streamer.objects.filter(key=key).first()
        if found is None and not self.target.create:
            raise Faulty([("", f"No streamer has the key {key!r}. Add --create to make it, or make it in the admin.")])
        if found is None:
            found = Streamer(key=key, name=key)
            self._check(found, "--streamer")
            self.done.changes.append(Change("streamer", key, "create", {"name": (None, key)}))
        return found

    def _keyed(self) -> Iterator[tuple[Entry, str]]:
        """Each channel with its key: its own, or one that is the same at the next import."""
        seen: Counter[str] = Counter()
        keys: set[str] = set()
        for entry in self.block.channels or ():
            seen[entry.kind] += 1
            key = entry.key or derived_key(self.target, entry.kind, seen[entry.kind])
            if key in keys:
                self.problems.append((f"{entry.path}.key", f"Another channel of the file has the key {key!r}."))
            keys.add(key)
            yield entry, key

    def _channel(self, entry: Entry, key: str) -> tuple[Channel | None, bool]:
        if entry.kind not in registry.all_kinds():
            self.problems.append((f"{entry.path}.type", str(registry.UnknownKind(entry.kind))))
            return None, False
        old = Channel.objects.current().filter(key=key).first()
        owner = self.target.streamer_key
        if old is not None and (old.kind, old.owner_key) != (entry.kind, owner):
            whose = old.owner_key or "everyone"
            text = f"There is a channel with the key {key!r} already, of the kind {old.kind}, for {whose}."
            self.problems.append((f"{entry.path}.key", text))
            return None, False
        channel = old or Channel(key=key, kind=entry.kind, owner_key=owner, name=_name(entry, self.streamer))
        before = _columns(old) if old else {}
        try:
            config = _config(old) if old else None
            channel.configure(_settings(entry))
        except InvalidConfig as error:
            self._blame(entry, error)
            return None, False
        except (NoSecretKeys, SecretUnreadable) as error:
            self.problems.append((entry.path, str(error)))
            return None, False
        given = {"name": entry.name, "enabled": entry.enabled, **entry.patience}
        for name, value in given.items():
            if value is not None:
                setattr(channel, name, value)
        self._check(channel, entry.path)
        fields = _differences(before, _columns(channel)) | _config_differences(config, channel.typed_config())
        return channel, self._record("channel", key, old is None, fields)

    def _blame(self, entry: Entry, error: InvalidConfig) -> None:
        path = f"{entry.path}.{error.field}" if error.field else entry.path
        if error.field == "min_priority":
            text = "A channel has none of its own: set it for the block, or import the channel with --streamer."
            self.problems.append((path, text))
        else:
            self.problems.append((path, error.text))

    def _policy(self, channels: list[Channel]) -> tuple[Policy, bool]:
        target = self.target
        old = Policy.objects.filter(**_whose(target, self.streamer)).prefetch_related("channels").first()
        policy = old or Policy(scope=target.scope.value, platform=target.platform, streamer=self.streamer)
        before = {name: getattr(policy, name) for name in _RULES} if old else {}
        before_told = _told(old) if old and old.names_channels else None
        for name in _RULES:
            value = getattr(self.block, name)
            if value is not None:
                setattr(policy, name, value)
        self._check(policy, "--platform", {"streamer", "event_types"})
        fields = _differences(before, {name: getattr(policy, name) for name in _RULES})
        if self.block.channels is not None:
            policy.names_channels = True
            told = sorted(channel.key for channel in channels)
            fields |= {} if told == before_told else {"channels": (before_told, told)}
            gone = sorted(set(before_told or ()) - set(told))
            if gone:
                self.done.notes.append(f"No longer told by this policy, and still there: {', '.join(gone)}.")
        return policy, self._record("policy", " ".join(filter(None, (target.scope, _of(target)))), old is None, fields)

    def _note(self, policy: Policy, channels: list[Channel]) -> None:
        everyone = Policy.objects.filter(scope=Scope.GLOBAL).first() if self.target.platform else policy
        if channels and self.target.platform and not (everyone and everyone.names_channels):
            self.done.notes.append(
                "No policy for everyone names channels, so every shared channel hears of everybody: these too."
            )

    def _record(self, what: str, key: str, is_new: bool, fields: dict[str, tuple[Any, Any]]) -> bool:
        action = "create" if is_new else "update" if fields else "unchanged"
        self.done.changes.append(Change(what, key, action, fields))
        return action != "unchanged"

    def _check(self, row: Streamer | Channel | Policy, path: str, without: Collection[str] = ()) -> None:
        try:
            row.full_clean(exclude={"config", *without})
        except ValidationError as error:
            for name, texts in error.message_dict.items():
                place = path if path.startswith("--") else f"{path}.{name}"
                self.problems.extend((place, text) for text in texts)


def derived_key(target: Target, kind: str, number: int) -> str:
    """The key of a channel that has none in the file: by whom it is for, its kind, and its place among its kind."""
    key = _NOT_IN_A_KEY.sub("-", f"import-{target.word}-{kind}-{number}")
    if len(key) <= _MAX_KEY_CHARS and _NOT_IN_A_KEY.search(target.word) is None:
        return key
    # Cut or changed, two names could become one.
    digest = hashlib.sha256(f"{target.word}|{kind}|{number}".encode()).hexdigest()[:12]
    return f"{key[: _MAX_KEY_CHARS - 13]}-{digest}"


def _told(policy: Policy) -> list[str]:
    """Keys of the channels that a policy names, without those that were deleted since."""
    return sorted(channel.key for channel in policy.channels.all() if channel.deleted_at is None)


def _of(target: Target) -> str:
    return target.streamer_key or target.platform


def _whose(target: Target, streamer: Streamer | None) -> dict[str, Any]:
    if target.scope is Scope.STREAMER:
        # One that is not saved yet has no policy, and `pk=None` finds none.
        return {"streamer_id": streamer.pk if streamer else None, "scope": Scope.STREAMER}
    return {"scope": target.scope, "platform": target.platform}


def _name(entry: Entry, streamer: Streamer | None) -> str:
    label = registry.get(entry.kind).label
    return entry.name or (f"{label} of {streamer.name}" if streamer else label)


def _settings(entry: Entry) -> dict[str, Any]:
    """The transport's settings, in its own words."""
    known = set(registry.get(entry.kind).Config.__struct_fields__)
    return {
        _ALIASES[name] if name not in known and _ALIASES.get(name) in known else name: value
        for name, value in entry.settings.items()
    }


def _columns(channel: Channel) -> dict[str, Any]:
    """What a file may set of a channel beside its settings."""
    return {name: getattr(channel, name) for name in imported.CHANNEL_COLUMNS}


def _config(channel: Channel) -> Config | None:
    """The settings that stand, or None where they do not fit the transport any more."""
    try:
        return channel.typed_config()
    except ValueError:
        return None


def _differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = (name for name in after if before.get(name) != after[name])
    return {name: (before.get(name), after[name]) for name in names}


def _config_differences(before: Config | None, after: Config) -> dict[str, tuple[Any, Any]]:
    """Settings that differ. Of a secret one hears that it was or will be set, and no more."""
    hidden = secret_fields(type(after))
    changed = {}
    for name in after.__struct_fields__:
        old, new = getattr(before, name, None), getattr(after, name)
        if old != new:
            changed[name] = (_masked(old), _masked(new)) if name in hidden else (old, new)
    return changed


def _masked(value: Any) -> str | None:
    return MASK if value else None
