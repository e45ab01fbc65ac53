"""Secrets that a far end repeats are blotted out."""

from __future__ import annotations

import pytest

from channels_app.outcomes import Outcome, Verdict
from channels_app.redaction import MASK, redacted, without_secrets
from channels_app.transports.webhook import WebhookConfig

PATH = "/hooks/1/canary-token-0123456789"
CONFIG = WebhookConfig(
    url=f"https://hooks.example.org{PATH}?key=canary-key-0123456789",
    headers={"Authorization": "Bearer canary-bearer-01"},
)


@pytest.mark.parametrize(
    "text",
    [
        f"Cannot POST {PATH}",
        "You sent: Authorization: Bearer canary-bearer-01",
        "token canary-bearer-01 is not known",
        "no key canary-key-0123456789 in the list",
        f"https://hooks.example.org{PATH}?key=canary-key-0123456789",
    ],
)
def test_no_part_of_a_secret_is_left(text: str) -> None:
    assert "canary" not in redacted(text, CONFIG)
    assert MASK in redacted(text, CONFIG)


def test_a_secret_that_was_cut_off_is_blotted_out_too() -> None:
    verdict = Verdict(Outcome.TRANSIENT, 500, "x" * 480 + "Bearer canary-bearer-01")
    assert "canary" in verdict.detail
    assert "canary" not in without_secrets(verdict, CONFIG).detail


def test_other_words_stay() -> None:
    text = "The key of hooks 1 is Bearer of nothing; see example.org."
    assert redacted(text, CONFIG) == text


def test_a_verdict_keeps_everything_else() -> None:
    verdict = Verdict(Outcome.RATE_LIMITED, 429, f"slow down, {PATH}", 7.0)
    assert without_secrets(verdict, CONFIG) == Verdict(Outcome.RATE_LIMITED, 429, f"slow down, {MASK}", 7.0)
