"""A channel's settings on their way in and out."""

from __future__ import annotations

from typing import Any

import pytest

from channels_app import configuration, registry
from channels_app.base import secret_fields
from channels_app.configuration import MASK, InvalidConfig
from channels_app.models import Channel

URL = "https://example.org/hooks/canary-in-the-url"
SECRET = "whsec_ZXhhbXBsZS1rZXktb2YtdGhpcnR5LXR3by1ieXRlcyE="


def channel(**settings: Any) -> Channel:
    made = Channel(key="c", name="C", kind="webhook")
    made.configure(settings)
    return made


def test_right_settings_become_typed_ones() -> None:
    config = configuration.check("webhook", {"url": URL, "method": "PUT"})
    assert (getattr(config, "url"), getattr(config, "method")) == (URL, "PUT")  # noqa: B009


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({}, "url"),
        ({"url": 7}, "url"),
        ({"url": "ftp://x"}, "url"),
        ({"url": URL, "method": "GET"}, "method"),
        ({"url": URL, "headers": {"A": 1}}, "headers[...]"),
        ({"url": URL, "colour": "red"}, "colour"),
        ({"url": URL, "secret": "whsec_x"}, "secret"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        configuration.check("webhook", settings)
    assert refused.value.field == field
    assert refused.value.text.endswith(".")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "ftp://x"}, "What is wanted looks like 'https://"),
        ({"url": URL, "method": "GET"}, "Use one of POST, PUT"),
    ],
)
def test_what_would_be_right_is_said(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        configuration.check("webhook", settings)
    assert refused.value.text.startswith(words)


def test_what_is_wrong_is_said_without_the_secret() -> None:
    for settings in (
        {"url": "canary"},
        {"url": URL, "secret": "whsec_canary"},
        {"url": URL, "headers": {"A": "canary\n"}},
    ):
        with pytest.raises(InvalidConfig) as refused:
            configuration.check("webhook", settings)
        assert "canary" not in str(refused.value)


def test_a_line_end_that_was_copied_along_is_left_out() -> None:
    config = configuration.check("webhook", {"url": f"{URL}\r\n"})
    assert getattr(config, "url") == URL  # noqa: B009


def test_a_kind_that_is_not_there_is_no_matter_of_settings() -> None:
    with pytest.raises(registry.UnknownKind):
        configuration.check("pigeon", {})


def test_secrets_are_sealed_and_never_shown() -> None:
    made = channel(url=URL, secret=SECRET, headers={"Authorization": "Bearer canary"})
    assert made.config == {"method": "POST"}
    assert made.secret_names == ["headers", "secret", "url"]
    assert made.shown_config == {"method": "POST", "url": MASK, "secret": MASK, "headers": MASK}
    assert "canary" not in f"{made.config}{made.secrets}{made.secret_names}{made.typed_config()!r}"
    assert getattr(made.typed_config(), "url") == URL  # noqa: B009


def test_a_secret_that_is_left_out_or_sent_back_as_shown_stays() -> None:
    made = channel(url=URL, secret=SECRET)
    made.configure({"method": "PUT", "secret": MASK})
    typed = made.typed_config()
    assert (getattr(typed, "url"), getattr(typed, "secret")) == (URL, SECRET)  # noqa: B009
    assert made.config == {"method": "PUT"}


def test_a_secret_that_is_sent_empty_is_cleared() -> None:
    made = channel(url=URL, secret=SECRET)
    made.configure({"secret": ""})
    assert made.secret_names == ["url"]


def test_every_secret_field_of_every_transport_is_known() -> None:
    hidden = {transport.kind: secret_fields(transport.Config) for transport in registry.all_transports()}
    assert hidden["webhook"] == {"url", "secret", "old_secret", "headers"}
    assert hidden["discord"] == {"webhook_url"}
    assert hidden["email"] == {"password"}
    assert hidden["server_log"] == frozenset()
