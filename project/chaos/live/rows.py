"""Questions to the rows of feeds: where they stand, and what is in them. Reads, and writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from project.chaos.live.verdict import Feed, Row

_HEADS = """
SELECT s.recipient, s.last_seq, s.unread,
    (SELECT count(*) FROM channels_app_broadcast b
     WHERE b.id > s.broadcast_upto AND b.withdrawn_at IS NULL) AS unmerged
FROM channels_app_inbox_state s WHERE s.recipient = ANY(%(people)s)
"""

_ITEMS = """
SELECT recipient, id, seq, changed_seq, event_type, priority, title, body, url, source, wants_ack,
    seen_at IS NOT NULL AS seen, read_at IS NOT NULL AS read, archived_at IS NOT NULL AS archived,
    deleted_at IS NOT NULL AS is_deleted
FROM channels_app_inbox_item WHERE recipient = ANY(%(people)s)
"""


class Rows:
    """Asks the database at `url`, over a new connection each time: it may have been away."""

    def __init__(self, url: str) -> None:
        self._url = url

    def heads(self, people: Sequence[str]) -> dict[str, int]:
        """Where these feeds stand. Raises `psycopg.OperationalError` while the database is away."""
        return {row.recipient: row.last_seq for row in self._ask(_HEADS, people)}

    def unmerged(self, people: Sequence[str]) -> int:
        """How much is told to everybody and not written into these feeds yet. Raises the same."""
        return sum(row.unmerged for row in self._ask(_HEADS, people))

    def feeds(self, people: Sequence[str]) -> list[Feed]:
        """These feeds with all that is in them."""
        rows: dict[str, list[Row]] = {}
        for item in self._ask(_ITEMS, people):
            shows = None if item.is_deleted else _shown(item)
            rows.setdefault(item.recipient, []).append(Row(str(item.id), item.changed_seq, shows))
        return [
            Feed(
                recipient=head.recipient,
                last_seq=head.last_seq,
                unread=head.unread,
                rows=rows.get(head.recipient, []),
                unmerged=head.unmerged,
            )
            for head in self._ask(_HEADS, people)
        ]

    def _ask(self, question: str, people: Sequence[str]) -> list[Any]:
        with psycopg.connect(self._url, autocommit=True, connect_timeout=2, row_factory=namedtuple_row) as connection:
            return connection.execute(question.encode(), {"people": list(people)}).fetchall()


def _shown(item: Any) -> dict[str, Any]:
    """What a client has to have of an item."""
    return {
        "id": str(item.id),
        "seq": item.changed_seq,
        "position": item.seq,
        "category": item.event_type,
        "priority": item.priority,
        "title": item.title,
        "body": item.body,
        "url": item.url,
        "source": str(item.source) if item.source else None,
        "ack": item.wants_ack,
        "seen": item.seen,
        "read": item.read,
        "archived": item.archived,
    }
