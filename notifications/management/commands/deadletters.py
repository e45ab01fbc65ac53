"""`./belfry deadletters list | replay | discard`: what failed for good, on the command line."""

from __future__ import annotations

import json
import re
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels_app.outcomes import Outcome
from notifications import clock, dead_letters, replays
from notifications.dead_letters import Group
from notifications.models import DeadLetter, ReplayJob
from notifications.replays import Preview
from notifications.selection import MOST_NAMED, Selection

#: How often `--wait` looks, in seconds.
LOOK_EVERY_S = 0.5

_AGO = re.compile(r"(\d+)\s*([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Command(BaseCommand):
    help = "List dead letters by cause, replay them, or discard them with a reason."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="list | replay | discard")
        listing = actions.add_parser("list", help="Equal failures of a channel as one line, the most frequent first.")
        listing.add_argument("--limit", type=int, default=50, help="Lines at most (%(default)s).")
        replay = actions.add_parser("replay", help="Send them once more, as a job of the workers.")
        replay.add_argument(
            "--pace",
            default=f"{replays.USUAL_PACE_PER_S:g}",
            metavar="N|max",
            help="Letters a second (%(default)s), or max: as fast as possible.",
        )
        replay.add_argument("--wait", action="store_true", help="Stay until the job is done, and help it along.")
        discard = actions.add_parser("discard", help="Decide that they are not sent. They stay readable.")
        discard.add_argument("--reason", required=True, help="Why; the next person will want to know.")
        for action in (replay, discard):
            action.add_argument("--dry-run", action="store_true", help="Show what would happen, and change nothing.")
            action.add_argument("--id", dest="ids", type=int, action="append", metavar="ID", help="This letter.")
            action.add_argument("--by", default="the command line", help="Whose decision it is, for the records.")
        for action in (listing, replay, discard):
            _add_filters(action)
            action.add_argument("--json", action="store_true", help="Answer in JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        actions: dict[str, Callable[..., object]] = {
            "list": self._list,
            "replay": self._replay,
            "discard": self._discard,
        }
        actions[options["action"]](_selection(options), options)

    def _list(self, selection: Selection, options: dict[str, Any]) -> None:
        letters = selection.of(DeadLetter.objects.waiting()).select_related("channel")
        found = dead_letters.groups(letters, limit=max(1, options["limit"]))
        if options["json"]:
            self._say_json([_shown(group) for group in found])
            return
        self._say_groups(found)
        if not found:
            self.stdout.write("No dead letter waits for a decision.")

    def _replay(self, selection: Selection, options: dict[str, Any]) -> None:
        _refuse_nothing(selection)
        pace = _pace(options["pace"])
        seen = replays.preview(selection.of(DeadLetter.objects.waiting()))
        if options["dry_run"]:
            self._say_preview(seen, options)
            return
        job = replays.start(selection, by=options["by"], pace_per_s=pace, now=clock.now(), upto=seen.newest)
        if options["wait"]:
            self._wait(job, quiet=options["json"])
        if options["json"]:
            self._say_json(replays.summary(job))
        else:
            self.stdout.write(_told(job))

    def _wait(self, job: ReplayJob, *, quiet: bool) -> None:
        """Until it is done. Workers and this command share it: whoever comes first takes the next batch."""
        while job.is_running:
            if replays.advance(job.pk, clock.now()):
                continue
            job.refresh_from_db()
            if job.is_running:
                if not quiet:
                    self.stderr.write(_told(job))
                time.sleep(LOOK_EVERY_S)
        job.refresh_from_db()

    def _discard(self, selection: Selection, options: dict[str, Any]) -> None:
        _refuse_nothing(selection)
        reason = options["reason"].strip()[:200]
        if not reason:
            raise CommandError("Say why: --reason.")
        letters = selection.of(DeadLetter.objects.waiting())
        matched, discarded = letters.count(), 0
        if not options["dry_run"]:
            discarded = dead_letters.discard_many(letters, reason=reason, by=options["by"], now=clock.now())
        if options["json"]:
            self._say_json({"matched": matched, "discarded": discarded, "dry_run": options["dry_run"]})
        elif options["dry_run"]:
            self.stdout.write(f"{matched:,} would be discarded. Nothing was changed.")
        else:
            self.stdout.write(f"{discarded:,} discarded.")

    def _say_preview(self, seen: Preview, options: dict[str, Any]) -> None:
        if options["json"]:
            self._say_json(_previewed(seen))
            return
        self._say_groups(seen.groups)
        for channel in seen.channels:
            off = "" if channel.enabled else " (switched off; sent all the same)"
            self.stdout.write(f"{channel.count:>8,}  to {channel.key}{off}")
        for line in _left_out(seen):
            self.stdout.write(line)
        self.stdout.write(f"{seen.to_replay:,} of {seen.count:,} would be sent once more. Nothing was changed.")

    def _say_groups(self, found: list[Group]) -> None:
        for group in found:
            letter, code = group.newest, group.newest.code or ""
            said = letter.detail.replace("\n", " ")[:100]
            self.stdout.write(
                f"{group.count:>8,}  {letter.channel.key}  {letter.outcome} {code}  {letter.fingerprint}  "
                f"{group.first_at:%Y-%m-%d %H:%M} to {group.last_at:%Y-%m-%d %H:%M}  {said}".rstrip()
            )

    def _say_json(self, value: object) -> None:
        self.stdout.write(json.dumps(value, default=str))


def _add_filters(parser: CommandParser) -> None:
    parser.add_argument("--channel", metavar="KEY", help="Those of this channel.")
    parser.add_argument("--fingerprint", help="Those of one cause, as `list` shows it.")
    parser.add_argument("--outcome", choices=[outcome.value for outcome in Outcome], help="What the last try came to.")
    parser.add_argument("--streamer", metavar="KEY", help="Those about this streamer.")
    parser.add_argument("--event-type", metavar="TYPE", help="Those of this type.")
    parser.add_argument(
        "--since", type=_moment, metavar="TIME", help="Buried from then: 2030-01-31T12:00 (UTC), or 2h."
    )
    parser.add_argument("--until", type=_moment, metavar="TIME", help="Buried before.")


def _moment(text: str) -> datetime:
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            return clock.now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ArgumentTypeError("use a time such as 2030-01-31T12:00 (UTC), or 30m, 2h, 7d ago") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _selection(options: dict[str, Any]) -> Selection:
    given = {name: options[name] for name in Selection.__struct_fields__ if options.get(name) is not None}
    try:
        return msgspec.convert(given, Selection)
    except msgspec.ValidationError as error:
        raise CommandError(f"{error}. At most {MOST_NAMED:,} ids.") from None


def _refuse_nothing(selection: Selection) -> None:
    if selection.is_empty:
        raise CommandError("Say which: --channel, --fingerprint, --since and so on, or --id.")


def _pace(text: str) -> float | None:
    if text == "max":
        return None
    try:
        pace = float(text)
    except ValueError:
        pace = 0.0
    if not 0 < pace <= 10_000:
        raise CommandError("--pace is a number of letters a second, up to 10,000, or max.")
    return pace


def _told(job: ReplayJob) -> str:
    return f"Job {job.pk} is {job.state}: {job.replayed:,} replayed, {job.skipped:,} skipped of {job.total:,}."


def _left_out(seen: Preview) -> Iterator[str]:
    if seen.not_dead:
        yield f"{seen.not_dead:>8,}  left out: no longer dead"
    if seen.channel_deleted:
        yield f"{seen.channel_deleted:>8,}  left out: the channel was deleted"
    if seen.withdrawn:
        yield f"{seen.withdrawn:>8,}  left out: withdrawn by its producer"
    if seen.expired:
        yield f"{seen.expired:>8,}  had expired, and are sent all the same"


def _shown(group: Group) -> dict[str, Any]:
    letter = group.newest
    return {
        "channel": letter.channel.key,
        "fingerprint": letter.fingerprint,
        "outcome": letter.outcome,
        "code": letter.code,
        "detail": letter.detail,
        "count": group.count,
        "first": group.first_at.isoformat(),
        "last": group.last_at.isoformat(),
    }


def _previewed(seen: Preview) -> dict[str, Any]:
    return {
        "dry_run": True,
        "matched": seen.count,
        "to_replay": seen.to_replay,
        "not_dead": seen.not_dead,
        "channel_deleted": seen.channel_deleted,
        "withdrawn": seen.withdrawn,
        "expired": seen.expired,
        "channels": [{"channel": one.key, "count": one.count} for one in seen.channels],
        "groups": [_shown(group) for group in seen.groups],
    }
