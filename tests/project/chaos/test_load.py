"""Producers that tell things of all kinds, and ask again until they have an answer."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from random import Random
from typing import ClassVar

from project.chaos.load import Load, drafts
from project.chaos.stage import BY_MAIL, EVERYWHERE, TO_THE_BROKEN


def test_the_same_seed_tells_the_same_things() -> None:
    def shape(seed: int) -> list[tuple[object, ...]]:
        return [
            (draft["priority"], draft["streamer"], "scheduled_at" in draft, "expires_at" in draft)
            for draft in islice(drafts("case", Random(seed)), 50)
        ]

    assert shape(1) == shape(1) != shape(2)


def test_there_is_something_of_everything_and_no_two_have_a_key() -> None:
    told = list(islice(drafts("case", Random(1)), 500))
    assert set(Counter(draft["streamer"] for draft in told)) == {EVERYWHERE, BY_MAIL, TO_THE_BROKEN}
    assert {"low", "normal", "high", "critical"} == {draft["priority"] for draft in told}
    assert any("scheduled_at" in draft for draft in told)
    assert any("expires_at" in draft for draft in told)
    assert len({draft["idempotency_key"] for draft in told}) == 500


class Troubled(BaseHTTPRequestHandler):
    """An API that stores what it is told, and whose first answers are lost."""

    keys: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        keys = [draft["idempotency_key"] for draft in body.get("notifications", [])] or [
            self.headers.get("Idempotency-Key", self.path)
        ]
        self.keys.extend(keys)
        answers = [{"id": key} for key in keys]
        in_trouble = self.keys.count(self.keys[-1]) <= 2
        content = json.dumps({"notifications": answers} if "notifications" in body else answers[0]).encode()
        self.send_response(503 if in_trouble else 202)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def test_a_producer_asks_again_under_the_same_key_until_it_is_answered() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Troubled) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        load = Load(f"http://127.0.0.1:{server.server_port}", "key", name="case", rate=20.0, seed="1")
        load.start()
        time.sleep(1.2)
        load.end()
        load.wait()
        server.shutdown()
    tries = Counter(key for key in Troubled.keys if not key.startswith("/"))  # Withdrawals bear no key.
    assert load.told.accepted == set(tries)
    assert set(tries.values()) == {3}
    assert load.told.unanswered == load.told.refused == 0
    assert load.told.slowest_s >= 0.4
