"""`./belfry`, on machines that lack something."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: The interpreter itself: the one of the tests is an environment's, and has no pip.
PYTHON = str(Path(sys.base_prefix) / "bin" / "python3")
NOWHERE = "http://127.0.0.1:1/"


def launcher(folder: Path) -> ModuleType:
    """The launcher as a module, in a copy of the checkout."""
    for name in ("belfry", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    loader = SourceFileLoader("launcher", str(folder / "belfry"))
    spec = spec_from_loader("launcher", loader)
    assert spec
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_it_needs_the_standard_library_only() -> None:
    tree = ast.parse((ROOT / "belfry").read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert imported <= sys.stdlib_module_names


def test_an_old_python_can_read_it() -> None:
    ast.parse((ROOT / "belfry").read_text(), feature_version=(3, 4))
    assert not [node for node in ast.walk(ast.parse((ROOT / "belfry").read_text())) if isinstance(node, ast.JoinedStr)]


def test_an_old_python_is_told_which_one_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = launcher(tmp_path)
    monkeypatch.setattr(module, "OLDEST", (9, 9))
    with pytest.raises(
        module.Failed, match=r"(?s)Python 9\.9 or newer is needed, and this is 3\..*Install a newer one"
    ):
        module.check_python()


def test_without_pip_and_uv_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = launcher(tmp_path)
    monkeypatch.setattr(module, "works", lambda *_, **__: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(module.Failed, match=r"(?s)has no pip.*ensurepip.*python3-pip"):
        module.set_up()


@pytest.mark.skipif(
    subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True, check=False).returncode != 0,
    reason="this Python has no pip",
)
def test_without_a_network_the_remedy_is_told(tmp_path: Path) -> None:
    launcher(tmp_path)
    variables = {
        **os.environ,
        "PIP_INDEX_URL": NOWHERE,
        "UV_DEFAULT_INDEX": NOWHERE,
        "PIP_NO_CACHE_DIR": "1",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "PIP_RETRIES": "0",
        "UV_HTTP_RETRIES": "0",
    }
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"):
        variables.pop(name, None)
    answer = subprocess.run(
        [PYTHON, str(tmp_path / "belfry"), "up"],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert "Is there a network?" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = launcher(tmp_path)
    monkeypatch.setattr(module, "TOOLS", "/proc/nowhere")
    with pytest.raises(module.Failed, match="cannot write to"):
        module.set_up()


def test_what_is_installed_costs_next_to_nothing(tmp_path: Path) -> None:
    module = launcher(tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").touch()
    (tmp_path / ".venv/.belfry-stamp").write_text(module.fingerprint())
    started = time.perf_counter()
    module.set_up()
    assert time.perf_counter() - started < 0.1


def test_another_lock_file_is_installed_anew(tmp_path: Path) -> None:
    module = launcher(tmp_path)
    before = module.fingerprint()
    with (tmp_path / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert module.fingerprint() != before


def test_help_needs_nothing(tmp_path: Path) -> None:
    launcher(tmp_path)
    answer = subprocess.run(
        [sys.executable, str(tmp_path / "belfry"), "--help"], capture_output=True, text=True, check=True
    )
    assert "./belfry demo" in answer.stdout
    assert not (tmp_path / ".venv").exists()


def test_an_environment_is_made_without_the_venv_module(tmp_path: Path) -> None:
    module = launcher(tmp_path)
    module.make_venv()
    answer = subprocess.run(
        [tmp_path / ".venv/bin/python", "-c", "import sys; print(sys.prefix)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == str(tmp_path / ".venv")
