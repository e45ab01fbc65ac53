"""What is shown, to a terminal and to a file."""

import io

from project.demo.ledger import DeliveryFact, NotificationFact, draw_up
from project.demo.screen import Screen, proof


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_line_that_moves() -> None:
    stream = Terminal()
    Screen(stream).progress(0.5, "half of it")
    assert stream.getvalue().startswith("\r")
    assert "\n" not in stream.getvalue()


def test_a_file_gets_plain_lines() -> None:
    stream = io.StringIO()
    Screen(stream).progress(0.5, "half of it")
    assert stream.getvalue().endswith("half of it\n")
    assert "\x1b" not in stream.getvalue()


def test_the_tables_show_every_account_and_channel() -> None:
    stream = io.StringIO()
    fact = NotificationFact("n", "delivered", (DeliveryFact("a", "ops", "webhook", "delivered", 2),))
    Screen(stream).ledger(draw_up(["n"], [fact], {"a": 1}))
    text = stream.getvalue()
    for word in (
        "accepted",
        "delivered",
        "retried",
        "suppressed",
        "dead",
        "ops",
        "seen outside",
        "Nothing is missing.",
    ):
        assert word in text


def test_what_is_lost_is_named() -> None:
    lines = proof(draw_up(["n"], [], {}))
    assert "  LOST n" in lines
    assert "SOMETHING IS MISSING." in lines[-1]
