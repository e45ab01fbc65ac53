"""The house rules, kept by the test command."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("project", "notifications", "channels_app", "tests", "benchmarks")
LONGEST_FILE, LONGEST_FUNCTION, MOST_PARAMETERS = 400, 60, 6
#: Of the code that ships: how long a function is at most in the middle, and in nineteen of twenty.
MEDIAN_LINES, MOST_LINES = 9, 40
NAMES_OF_NOTHING = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}
BIN = Path(sys.executable).parent

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(*rooms: str) -> list[Path]:
    found = [path for room in rooms for path in (ROOT / room).rglob("*.py")]
    return sorted(path for path in found if "migrations" not in path.parts)


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield node


def lines_of(function: Function) -> int:
    return (function.end_lineno or 0) - function.lineno + 1


def parameters_of(function: Function) -> int:
    arguments = function.args
    named = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in named if name not in ("self", "cls")])


def run(*command: str) -> None:
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, f"{answer.stdout}\n{answer.stderr}"


def test_no_file_holds_two_concepts() -> None:
    long = {p: n for p in sources(*ROOMS) if (n := len(p.read_text().splitlines())) > LONGEST_FILE}
    assert not long


def test_no_function_is_too_long_to_be_seen_at_once() -> None:
    long = [f"{p}:{f.lineno} {f.name}" for p in sources(*ROOMS) for f in functions(p) if lines_of(f) > LONGEST_FUNCTION]
    assert not long


def test_most_functions_are_short() -> None:
    lengths = sorted(lines_of(f) for p in sources("project", "notifications", "channels_app") for f in functions(p))
    assert lengths[len(lengths) // 2] <= MEDIAN_LINES
    assert lengths[len(lengths) * 95 // 100] <= MOST_LINES


def test_no_function_takes_too_many_parameters() -> None:
    shipped = sources("project", "notifications", "channels_app")
    #: The two roots of composition: as many parts as the whole.
    excused = {"Supervisor.__init__"}
    many = [
        f"{path}:{function.lineno} {name}"
        for path in shipped
        for name, function in named_functions(path)
        if parameters_of(function) > MOST_PARAMETERS and name not in excused
    ]
    assert not many


def named_functions(path: Path) -> Iterator[tuple[str, Function]]:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{child.name}", child) for child in node.body if isinstance(child, Function))
    yield from ((node.name, node) for node in tree.body if isinstance(node, Function))


def test_every_file_is_named_for_a_concept() -> None:
    vague = [path for path in sources(*ROOMS) if NAMES_OF_NOTHING & {path.stem, *path.parent.parts[-2:]}]
    assert not vague


def test_the_lock_file_is_complete_has_hashes_and_names_no_host() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"://|^-|(?<![\w-])--(?!hash=)", text, re.MULTILINE)
    locked = {}
    for block in re.split(r"\n(?=\S)", text.replace("\\\n", " ")):
        name = re.match(r"([\w.-]+)==\S+", block)
        if name:
            locked[normal(name.group(1))] = block
    assert locked
    assert [name for name, block in locked.items() if "--hash=sha256:" not in block] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *(w for group in project["dependency-groups"].values() for w in group),
    ]
    assert {normal(re.split(r"[\[<>=~!;, ]", line)[0]) for line in wanted} <= set(locked)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_there_is_no_second_lock_file() -> None:
    assert not (ROOT / "uv.lock").exists()


def test_the_code_is_formatted_and_linted() -> None:
    run(str(BIN / "ruff"), "format", "--check", ".")
    run(str(BIN / "ruff"), "check", ".")


def test_the_types_are_right() -> None:
    run(sys.executable, "-m", "mypy")


def test_imports_go_one_way() -> None:
    run(str(BIN / "lint-imports"), "--no-cache")


@pytest.mark.parametrize("app", ["notifications", "channels_app"])
def test_every_change_of_a_model_has_its_migration(app: str) -> None:
    run(sys.executable, "manage.py", "makemigrations", "--check", "--dry-run", app)


def test_the_schema_of_the_api_has_no_warnings() -> None:
    run(sys.executable, "manage.py", "spectacular", "--validate", "--fail-on-warn", "--file", "/dev/null")


def test_django_finds_nothing_to_warn_of() -> None:
    run(sys.executable, "manage.py", "check", "--fail-level", "WARNING")
