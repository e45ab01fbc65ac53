"""The example of `docs/adding_a_transport.md`, as one more file: all that a new transport takes."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from channels_app import http, registry, transports
from channels_app.base import HttpTransport, Response
from channels_app.configuration import MASK, InvalidConfig
from channels_app.models import Channel
from channels_app.outcomes import Outcome
from notifications.models import ApiKey
from project.outside import World
from tests.contracts.contract import clauses_of
from tests.contracts.samples import NOW, config_of, message, settings_of

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "adding_a_transport.md"
#: A name of its own: whoever follows the guide to the letter has a file with that of the guide.
KIND = "loudspeaker_of_the_guide"


@pytest.fixture(autouse=True)
def _one_more_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The guide's example in a folder that is part of the package for the time of a test."""
    found = re.search(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert found, "the guide has an example"
    (tmp_path / f"{KIND}.py").write_text(found[1].replace('kind = "loudspeaker"', f'kind = "{KIND}"'))
    monkeypatch.setattr(transports, "__path__", [*transports.__path__, str(tmp_path)])
    registry.forget()
    yield
    monkeypatch.undo()
    sys.modules.pop(f"{transports.__name__}.{KIND}", None)
    registry.forget()


@pytest.fixture
def loudspeaker() -> HttpTransport[Any]:
    found = registry.get(KIND)
    assert isinstance(found, HttpTransport)
    return found


def test_it_is_found(loudspeaker: HttpTransport[Any]) -> None:
    assert KIND in registry.all_kinds()
    assert loudspeaker.label == "Loudspeaker"


def test_it_keeps_the_contract(loudspeaker: HttpTransport[Any]) -> None:
    for clause in clauses_of(loudspeaker):
        clause(loudspeaker)


def test_a_channel_can_be_of_its_kind(loudspeaker: HttpTransport[Any]) -> None:
    channel = Channel(key="studio", name="Studio", kind=KIND)
    channel.configure(settings_of(loudspeaker))
    assert channel.typed_config() == config_of(loudspeaker)
    assert channel.shown_config["token"] == MASK
    with pytest.raises(InvalidConfig, match="voice"):
        channel.configure({"voice": "shrill"})


def test_it_reaches_the_world(loudspeaker: HttpTransport[Any]) -> None:
    with World(seed=3) as world:
        channel = Channel(key="studio", kind=KIND)
        channel.configure({"url": world.sink_url("studio"), "token": "t"})
        request = loudspeaker.build(message(), channel.typed_config(), now=NOW)
        ended = http.exchange(request, timeout_s=5)
        assert isinstance(ended, Response)
        assert loudspeaker.interpret(ended, now=NOW).outcome is Outcome.OK
        [seen] = world.seen("sink/studio")
        assert seen.body == b'{"say":"Recorded The Velvet Walrus Hour","voice":"calm"}'


def test_the_api_tells_of_it_and_takes_a_channel(db: None) -> None:
    _, key = ApiKey.objects.issue("test", role="operator")
    api = APIClient(HTTP_AUTHORIZATION=f"Bearer {key}")
    [shown] = [one for one in api.get("/api/v1/transports").json()["results"] if one["kind"] == KIND]
    assert shown["label"] == "Loudspeaker"
    assert shown["config_schema"]["properties"]["token"]["writeOnly"]
    settings = {"url": "https://studio.example.org/say", "token": "canary"}
    made = api.post("/api/v1/channels", {"key": "studio", "name": "Studio", "kind": KIND, "config": settings})
    assert made.status_code == 201, made.json()
    assert made.json()["config"] == {"url": settings["url"], "token": MASK, "voice": "calm"}


def test_the_admin_offers_it_and_draws_its_form(admin_client: Client) -> None:
    add = reverse("admin:channels_app_channel_add")
    choice = admin_client.get(add).content.decode()
    form = admin_client.get(f"{add}?kind={KIND}").content.decode()
    assert "Loudspeaker" in choice
    assert "A box in the studio reads the title aloud." in choice
    assert "Where the box listens." in form
    assert "urgent" in form
