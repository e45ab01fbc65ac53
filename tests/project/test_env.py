"""The environment is declared once, and documented as it is declared."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from project import env

ROOT = Path(__file__).resolve().parents[2]


def test_the_documented_settings_are_the_declared_ones() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (?:`(.*?)`)? ?\| (.*) \|$", (ROOT / "docs/settings.md").read_text(), re.MULTILINE
    )
    assert rows == [(v.name, v.default, v.meaning) for v in env.DECLARED.values()]


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELFRY_LEASE_S", "")
    assert env.LEASE_S.read() == float(env.LEASE_S.default)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BELFRY_LEASE_S", "0"),
        ("BELFRY_LIVE_ACCEPTS_PER_S", "0"),
        ("BELFRY_LIVE_CONNECTIONS_PER_RECIPIENT", "-1"),
        ("BELFRY_BROADCAST_ROWS", "-5"),
        ("BELFRY_HTTP_TIMEOUT_S", "soon"),
        ("BELFRY_HTTP_TIMEOUT_S", "inf"),
        ("BELFRY_DEBUG", "perhaps"),
        ("BELFRY_ALLOWED_NETWORKS", "10.0.0.0/33"),
        ("BELFRY_CHANNEL_KEYS", "nocolon"),
        ("BELFRY_CHANNEL_KEYS", "k1:a,k1:b"),
    ],
)
def test_a_bad_value_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, f"{value}")
    with pytest.raises(env.BadVariable) as caught:
        env.DECLARED[name].read()
    assert name in str(caught.value)
    assert value not in str(caught.value).replace(name, "")


def test_channel_keys_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELFRY_CHANNEL_KEYS", "k2:new=, k1:old=")
    assert list(env.CHANNEL_KEYS.read().items()) == [("k2", "new="), ("k1", "old=")]


@pytest.mark.parametrize("entry", ["project.wsgi", "project.asgi"])
def test_nothing_is_served_without_the_secrets(entry: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", f"import {entry}"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode != 0
    assert "BELFRY_SECRET_KEY and BELFRY_CHANNEL_KEYS must be set" in answer.stderr


def test_a_worker_does_not_start_without_the_secrets() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "project.celery", "worker", "-P", "solo", "-Q", "control"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "BROKER_URL": "redis://127.0.0.1:1/0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert answer.returncode != 0
    assert "BELFRY_SECRET_KEY and BELFRY_CHANNEL_KEYS must be set" in answer.stderr


def test_settings_can_be_read_with_nothing_set() -> None:
    code = "import django; django.setup()"
    variables = {"PATH": "/usr/bin:/bin", "DJANGO_SETTINGS_MODULE": "project.settings"}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=variables, check=True)
