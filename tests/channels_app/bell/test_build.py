"""What browsers load is made of the sources, and stays small."""

from __future__ import annotations

import gzip
import importlib
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[3] / "channels_app/static/belfry"


def test_what_is_shipped_is_what_the_sources_make() -> None:
    """When this fails: `python channels_app/bell/build.py`."""
    pytest.importorskip("minify", reason="no minifier for this system: the bell is built on Linux")
    build = importlib.import_module("channels_app.bell.build")
    assert build.SHIPPED.read_text() == build.built()


def test_the_bell_takes_less_than_four_kilobytes() -> None:
    assert len(gzip.compress((STATIC / "bell.js").read_bytes(), 9)) < 4096


def test_the_client_without_a_face_takes_less_than_thirty_lines() -> None:
    lines = (STATIC / "feed.js").read_text().splitlines()
    assert len(lines) < 30
    assert max(map(len, lines)) <= 120
