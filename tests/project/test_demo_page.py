"""The page /demo/: for superusers, in the embedded default, with what the far ends have got."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage

import pytest
import requests
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from project.outside.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(settings: Settings) -> Iterator[World]:
    with World() as running:
        settings.BELFRY_DEMO = True
        settings.BELFRY_DEMO_WORLD, settings.BELFRY_DEMO_SMTP_PORT = running.url, running.smtp_port
        yield running


def test_outside_the_embedded_default_there_is_no_such_page(admin_client: Client, settings: Settings) -> None:
    settings.BELFRY_DEMO = False
    assert admin_client.get("/demo/").status_code == 404
    assert admin_client.get("/demo/arrived").status_code == 404
    assert "/demo/" not in admin_client.get("/admin/").content.decode()


def test_it_is_for_staff(client: Client, settings: Settings) -> None:
    settings.BELFRY_DEMO = True
    assert client.get("/demo/").status_code == 302
    assert client.get("/demo/arrived").status_code == 302


def test_it_is_for_those_who_may_do_what_it_does(client: Client, settings: Settings) -> None:
    settings.BELFRY_DEMO = True
    client.force_login(User.objects.create_user("reader", is_staff=True))
    assert client.get("/demo/").status_code == 403
    assert client.get("/demo/arrived").status_code == 403
    assert "/demo/" not in client.get("/admin/").content.decode()


def test_the_front_page_leads_to_it(admin_client: Client, settings: Settings) -> None:
    settings.BELFRY_DEMO = True
    assert 'href="/demo/"' in admin_client.get("/admin/").content.decode()


def test_it_shows_the_bell_and_runs_no_script_of_its_own_in_the_page(admin_client: Client, world: World) -> None:
    html = admin_client.get("/demo/").content.decode()
    assert '<belfry-bell api="/api/v1"' in html
    assert f"{world.url}/sink/try" in html
    scripts = [part.partition(">")[0] for part in html.split("<script")[1:]]
    assert [tag for tag in scripts if "src=" not in tag and "application/json" not in tag] == []


def test_without_a_world_it_says_how_to_have_one(admin_client: Client, settings: Settings) -> None:
    settings.BELFRY_DEMO, settings.BELFRY_DEMO_WORLD = True, ""
    assert "./belfry up --demo" in admin_client.get("/demo/").content.decode()
    assert admin_client.get("/demo/arrived").json() == {"mail": [], "webhook": []}


def test_it_tells_what_the_far_ends_have_got_the_newest_first(admin_client: Client, world: World) -> None:
    for title in ("First", "Second – ☾"):
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "bell@belfry.invalid", "you@belfry.invalid", title
        mail.set_content(f"{title}.", cte="8bit")
        with smtplib.SMTP("127.0.0.1", world.smtp_port) as server:
            server.send_message(mail)
        requests.post(world.sink_url("try"), json={"title": title}, headers={"webhook-id": title[:5]}, timeout=5)
    told = admin_client.get("/demo/arrived").json()
    assert [(one["title"], one["to"], one["text"]) for one in told["mail"]] == [
        ("Second – ☾", "you@belfry.invalid", "Second – ☾.\n"),
        ("First", "you@belfry.invalid", "First.\n"),
    ]
    assert told["webhook"][0]["text"] == '{\n  "title": "Second – ☾"\n}'
    assert [one["id"] for one in told["webhook"]] == ["Secon", "First"]


def test_when_the_far_ends_are_away_it_says_so(admin_client: Client, settings: Settings) -> None:
    settings.BELFRY_DEMO, settings.BELFRY_DEMO_WORLD = True, "http://127.0.0.1:1"
    assert admin_client.get("/demo/arrived").status_code == 502
