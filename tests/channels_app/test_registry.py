"""Transports are found by their presence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from channels_app import registry, transports
from channels_app.base import BlockingTransport, HttpTransport

ONE = """
from channels_app.base import Config, HttpTransport

class One(HttpTransport[Config]):
    kind, label, Config = "{kind}", "One", Config

    def build(self, message, config, *, now):
        raise NotImplementedError
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose files are transports too."""
    monkeypatch.setattr(transports, "__path__", [*transports.__path__, str(tmp_path)])
    registry.forget()
    yield tmp_path
    monkeypatch.undo()
    registry.forget()


def test_each_file_is_found() -> None:
    files = {path.stem for folder in transports.__path__ for path in Path(folder).glob("[a-z]*.py")}
    assert set(registry.all_kinds()) == files


def test_kinds_are_in_order_and_each_gives_its_transport() -> None:
    assert registry.all_kinds() == sorted(registry.all_kinds())
    assert [registry.get(kind) for kind in registry.all_kinds()] == registry.all_transports()
    assert all(isinstance(one, HttpTransport | BlockingTransport) for one in registry.all_transports())


def test_a_kind_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(registry.UnknownKind, match=r"'pigeon'.*discord, email") as unknown:
        registry.get("pigeon")
    assert unknown.value.kind == "pigeon"


def test_a_file_that_is_added_is_found_once_the_old_is_forgotten(folder: Path) -> None:
    registry.all_kinds()
    (folder / "found_late.py").write_text(ONE.format(kind="found_late"))
    assert "found_late" not in registry.all_kinds()
    registry.forget()
    assert registry.get("found_late").label == "One"


def test_two_of_the_same_kind_are_refused(folder: Path) -> None:
    (folder / "second_webhook.py").write_text(ONE.format(kind="webhook"))
    with pytest.raises(ImportError, match="'webhook'"):
        registry.all_kinds()
