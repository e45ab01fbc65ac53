"""The server log: what a collector that reads a worker's stderr gets to see."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from channels_app.base import Message
from channels_app.outcomes import Outcome
from channels_app.transports import server_log
from channels_app.transports.server_log import line_of
from tests.channels_app.transports.telling import tell
from tests.contracts.samples import HOSTILE, UNREADABLE, message

ROOT = Path(__file__).resolve().parents[3]


def logged(capfd: pytest.CaptureFixture[str], *messages: Message, **settings: str) -> list[str]:
    verdicts = tell("server_log", settings, *messages)
    assert {verdict.outcome for verdict in verdicts} == {Outcome.OK}
    return capfd.readouterr().err.split("\n")[:-1]


def test_a_line_begins_with_its_mark_and_tells_all(capfd: pytest.CaptureFixture[str]) -> None:
    [line] = logged(capfd, message())
    assert line.startswith(
        '[Notification] level="info" title="Recorded The Velvet Walrus Hour" body="It went well." '
        'event_type="download_completed" priority=5 streamer="velvet-walrus" platform="youtube" '
        'id="msg_01957bd5e9d27a4c8b3f0e6d1a2b3c4d_42" data={"streamer_id":'
    )
    assert json.loads(line.partition("data=")[2]) == dict(message().data)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_message_is_one_line_whatever_it_holds(capfd: pytest.CaptureFixture[str], name: str) -> None:
    [line] = logged(capfd, HOSTILE[name])
    assert line.startswith("[Notification] ")
    assert message().idempotency_id in line
    assert len(line.splitlines()) == 1
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", line)


def test_nobody_can_write_a_line_of_their_own(capfd: pytest.CaptureFixture[str]) -> None:
    lines = logged(capfd, message(title='x"\n[Notification] title="forged"', body="\u2028[Notification] forged"))
    assert len(lines) == 1
    assert 'title="x\\"\\n[Notification] title=\\"forged\\""' in lines[0]


def test_it_is_as_loud_as_the_priority_or_as_is_asked(capfd: pytest.CaptureFixture[str]) -> None:
    labels = ("low", "normal", "high", "critical")
    by_priority = logged(capfd, *[message(priority_label=label) for label in labels])
    always = logged(capfd, message(priority_label="low"), level="error")
    assert [re.findall(r'level="(\w+)"', line)[0] for line in by_priority] == ["info", "info", "warning", "error"]
    assert 'level="error"' in always[0]


def test_data_that_are_too_long_are_left_out() -> None:
    assert line_of(HOSTILE["many_data"], logging.INFO).endswith('data="too long"')


def test_data_that_cannot_be_read_are_left_out() -> None:
    assert line_of(UNREADABLE, logging.INFO).endswith('data="unreadable"')


def test_a_log_that_cannot_be_written_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    full = io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True)
    monkeypatch.setattr(sys, "__stderr__", full)
    [verdict] = tell("server_log", {}, message())
    monkeypatch.undo()
    with contextlib.suppress(OSError):
        full.close()
    assert (verdict.outcome, verdict.detail) == (Outcome.TRANSIENT, "The log cannot be written (OSError).")


def test_a_process_with_the_logs_of_a_worker_puts_nothing_before_it() -> None:
    program = (
        "from project.celery import app\n"
        "from celery.signals import setup_logging; from celery.utils.log import get_logger\n"
        "setup_logging.send(sender=None); app.log.redirect_stdouts_to_logger(get_logger('redirected'))\n"
        "import django; django.setup()\n"
        "from tests.channels_app.transports.telling import tell; from tests.contracts.samples import message\n"
        "tell('server_log', {}, message())"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line.startswith("[Notification]") for line in ran.stderr.splitlines()] == [True]


def test_its_logger_is_its_own() -> None:
    assert not server_log._logger.propagate
