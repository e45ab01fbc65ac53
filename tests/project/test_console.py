"""What `belfry up` shows."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from project.embedded.console import Console, Follower


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_every_line_bears_the_name_of_its_process() -> None:
    stream = io.StringIO()
    Console(stream).say("web", "one\ntwo")
    assert stream.getvalue().splitlines() == ["web            | one", "web            | two"]


def test_colours_are_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for stream, coloured in ((io.StringIO(), False), (Terminal(), True)):
        Console(stream).tell("web", "[error] it broke")
        assert ("\x1b[31m" in stream.getvalue()) is coloured


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    Console(stream).tell("web", "[error] it broke")
    assert "\x1b[" not in stream.getvalue()


def test_engines_speak_up_only_when_something_is_wrong() -> None:
    stream = io.StringIO()
    console = Console(stream)
    console.tell("postgres", "2026-01-01 UTC [7] LOG:  listening on IPv4 address")
    console.tell("postgres", "2026-01-01 UTC [7] FATAL:  out of space")
    assert [line.partition("| ")[2] for line in stream.getvalue().splitlines()] == [
        "2026-01-01 UTC [7] FATAL:  out of space"
    ]


def test_a_terminal_that_is_gone_stops_nothing() -> None:
    Console(Closed()).say("web", "anybody there?")


def test_logs_are_followed_from_now_on_line_by_line(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("from before\n")
    stream = io.StringIO()
    follower = Follower(tmp_path, Console(stream))
    follower.begin()
    with log.open("a") as file:
        file.write("whole\nhal")
        file.flush()
        time.sleep(0.3)
        file.write("f\n")
    follower.end()
    assert [line.partition("| ")[2] for line in stream.getvalue().splitlines()] == ["whole", "half"]
