"""The documents say what the code says: each table is compared, each command is tried."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command, get_commands

from channels_app import registry
from channels_app.breaker import BreakerSettings
from channels_app.models import Channel
from channels_app.outcomes import Outcome
from notifications import lanes, pruning, quarantine, slowness
from notifications.states import TRANSITIONS, State
from project import commands, env
from project.embedded.home import Home
from project.embedded.supervisor import Supervisor
from project.queues import MOST_OF_BEAT
from tests.notifications.test_states import TABLE

ROOT = Path(__file__).resolve().parents[1]
README, DOCS = ROOT / "README.md", ROOT / "docs"
OPERATIONS, LIFECYCLE, GLOSSARY = DOCS / "operations.md", DOCS / "lifecycle.md", DOCS / "glossary.md"
DECISIONS = sorted((DOCS / "decisions").glob("0*.md"))
PAGES = [README, ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
SHIPPED = ("project", "notifications", "channels_app")

#: The file that the guide tells how to write.
EXAMPLES = {"channels_app/transports/loudspeaker.py"}
_PATH = re.compile(r"`((?:project|notifications|channels_app|tests|docs|benchmarks|\.ci)/[\w./-]*)`")
#: What speaks of a machine, a package index or how the text came about, and not of Belfry.
FORBIDDEN = re.compile(
    r"/(?:work|root|home)/\w|/tmp/\w|pypi|pythonhosted|\bTODO\b|\bFIXME\b|\bpart [12]\b", re.IGNORECASE
)

every_page = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])


def tables(page: Path, header: str) -> list[list[str]]:
    """The rows below every header line that begins like this: cells, without back-ticks and asterisks."""
    rows, inside = [], False
    for line in page.read_text().splitlines():
        if not line.startswith("|"):
            inside = False
        elif line.startswith(header):
            inside = True
        elif inside and not line.startswith("|-"):
            rows.append([cell.strip(" `*") for cell in line.strip("|").split("|")])
    assert rows, f"{page.name} has no table that begins with {header}"
    return rows


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def sources() -> Iterator[ast.Module]:
    for room in SHIPPED:
        for path in (ROOT / room).rglob("*.py"):
            yield ast.parse(path.read_text())


def calls() -> Iterator[tuple[str, str]]:
    """Calls in the code that ships whose first argument is a text: (what is called, the text)."""
    for tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                yield ast.unparse(node.func), str(node.args[0].value)


# --- Every page ----------------------------------------------------------------------------------


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    missing = [t for t in targets if "://" not in t and not (page.parent / t.partition("#")[0]).exists()]
    assert missing == []


@every_page
def test_files_that_are_named_exist(page: Path) -> None:
    assert [
        path for path in _PATH.findall(page.read_text()) if path not in EXAMPLES and not (ROOT / path).exists()
    ] == []


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_a_page_names_its_sources(page: Path) -> None:
    found = re.search(r"^Source: (.+?)\n\n", page.read_text(), re.MULTILINE | re.DOTALL)
    assert found, "no line that begins with `Source:`"
    named = re.findall(r"`([^`]+)`", found.group(1))
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


@every_page
def test_settings_that_are_named_exist(page: Path) -> None:
    assert set(re.findall(r"\bBELFRY_[A-Z_]+\b", page.read_text())) <= set(env.DECLARED)


@every_page
def test_commands_that_are_named_exist(page: Path) -> None:
    known = {*get_commands(), *commands.APPLICATIONS, "help", "test"}
    code = " ".join(re.findall(r"`+[^`]+`+", page.read_text()))
    assert set(re.findall(r"\./belfry ([a-z_]+)", code)) <= known


@every_page
def test_no_row_of_a_table_comes_twice(page: Path) -> None:
    rows: list[str] = []
    for line in page.read_text().splitlines():
        rows = [*rows, line.split("|")[1]] if line.startswith("| ") else []
        assert len(rows) == len(set(rows)), rows[-1]


@every_page
def test_lines_can_be_read(page: Path) -> None:
    long = [line for line in prose(page).splitlines() if len(line) > 125 and not line.startswith("|")]
    assert long == []


@every_page
def test_a_page_speaks_of_belfry_alone(page: Path) -> None:
    assert FORBIDDEN.findall(prose(page)) == []


def test_the_code_names_no_machine_and_no_package_index() -> None:
    hosts = re.compile(r"/(?:work|root|home)/\w|pypi\.|pythonhosted")
    files = [path for room in (*SHIPPED, "tests") for path in (ROOT / room).rglob("*.py")]
    files += [ROOT / name for name in ("belfry", "pyproject.toml", "docker-compose.yml", "Dockerfile", ".ci/run")]
    assert [path for path in files if path != Path(__file__) and hosts.search(path.read_text())] == []


# --- What stands in the code and in a page --------------------------------------------------------


def test_code_document_and_tests_have_the_same_letters() -> None:
    documented = {(row[0], source, row[2]) for row in tables(LIFECYCLE, "| letter |") for source in row[1].split(", ")}
    declared = {(a.letter, str(source), a.target.value) for a in TRANSITIONS.values() for source in a.sources}
    tested = {(letter, source, target) for (source, target), letter in TABLE.items()}
    assert documented == declared == tested


def test_each_letter_says_who_moves_as_the_code_says_it() -> None:
    assert {row[0]: row[3] for row in tables(LIFECYCLE, "| letter |")} == {a.letter: a.by for a in TRANSITIONS.values()}


def test_the_drawing_has_the_arrows_of_the_table() -> None:
    drawn = re.findall(r"^ +(\S+) --> (\w+): (\w)$", LIFECYCLE.read_text(), re.MULTILINE)
    assert {(letter, source.replace("[*]", "new"), target) for source, target, letter in drawn} == {
        (a.letter, str(source), a.target.value) for a in TRANSITIONS.values() for source in a.sources
    }


def test_every_state_says_who_moves_it_on() -> None:
    assert [row[0] for row in tables(LIFECYCLE, "| state |")] == [state.value for state in State]


def test_metrics_are_documented() -> None:
    kinds = {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}
    counted = {text for name, text in calls() if name.rpartition(".")[2] in kinds and text.startswith("belfry_")}
    assert counted
    assert {row[0] for row in tables(OPERATIONS, "| metric |")} == counted


def test_log_events_are_documented() -> None:
    loggers = re.compile(r"(_log|log|logger)\.(debug|info|warning|error|exception|critical)|level|log_bug")
    logged = {text for name, text in calls() if loggers.fullmatch(name)}
    assert "swept" in logged
    assert {row[0] for row in tables(OPERATIONS, "| event |")} == logged


def test_every_kind_of_channel_is_listed() -> None:
    assert [row[0] for row in tables(README, "| kind |")] == registry.all_kinds()


def test_every_command_of_ours_is_explained() -> None:
    ours = {name for name, app in get_commands().items() if app in SHIPPED} | set(commands.APPLICATIONS)
    told = README.read_text() + OPERATIONS.read_text()
    assert {name for name in ours if f"./belfry {name}" not in told} == set()


def test_every_model_is_a_word_of_the_glossary() -> None:
    words = [row[0].lower() for row in tables(GLOSSARY, "| word |")]
    models = {
        str(model._meta.verbose_name).lower() for app in SHIPPED for model in apps.get_app_config(app).get_models()
    }
    assert models
    assert models <= set(words)
    assert len(words) == len(set(words))


def test_the_glossary_names_the_outcomes() -> None:
    assert f"The outcomes are {', '.join(f'`{outcome.value}`' for outcome in Outcome)}." in " ".join(
        GLOSSARY.read_text().split()
    )


def test_decisions_are_numbered_listed_and_of_one_form() -> None:
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    titles = {page.name: page.read_text().splitlines()[0] for page in DECISIONS}
    rows = tables(DOCS / "decisions/README.md", "| number |")
    listed = [(*re.findall(r"\[(\d+)\]\((.+?)\)", number)[0], title) for number, title in rows]
    assert {name: f"# {number}: {title}" for number, name, title in listed} == titles
    for page in DECISIONS:
        assert re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE) == ["Context", "Decision", "Consequences"], page


def test_the_changelog_is_kept() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert "## [Unreleased]" in text
    assert version.group(1) in text


# --- The README ----------------------------------------------------------------------------------


def test_the_two_commands_come_first() -> None:
    first = code_blocks(README.read_text(), "sh")[0]
    assert re.findall(r"^\./belfry (\w+)", first, re.MULTILINE) == ["demo", "test"]


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert re.search(r"^exec \./belfry test\b", (ROOT / ".ci/run").read_text(), re.MULTILINE)


def test_every_page_can_be_reached_from_the_readme() -> None:
    linked = set(re.findall(r"\]\(((?:docs/)[^)#]+)\)", README.read_text()))
    assert {str(page.relative_to(ROOT)) for page in DOCS.glob("*.md")} <= linked


def test_all_promises_are_there_and_attacked() -> None:
    rows = tables(README, "| | promise |")
    assert [row[0] for row in rows] == [f"P{number}" for number in range(1, 9)]
    assert [row[0] for row in rows if "](tests/" not in row[2]] == []


def test_pictures_are_pictures_of_pages() -> None:
    shown = {page: re.findall(r"!\[[^\]]+\]\(([^)]+\.png)\)", page.read_text()) for page in PAGES}
    assert shown[README]
    for picture in [page.parent / name for page, names in shown.items() for name in names]:
        content = picture.read_bytes()
        width, height = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
        assert content.startswith(b"\x89PNG")
        assert (width >= 800, height >= 500, len(content) < 400_000) == (True, True, True)


def test_the_first_notification_arrives_and_shows_in_a_feed_as_the_readme_says(
    belfry: Supervisor, tmp_path: Path
) -> None:
    first, in_a_feed = steps("Your first notification", until="delivered"), steps("A feed in", until="NightOwl is live")
    launcher = tmp_path / "belfry"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/manage.py" "$@"\n')
    launcher.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", f"set -eu\n{first}\n{in_a_feed}".replace("http://localhost:8000", belfry.url)],
        cwd=tmp_path,
        env=belfry.env,
        capture_output=True,
        text=True,
        check=True,
        timeout=90,
    )
    assert "urn:belfry:problem" not in done.stdout
    assert '"state":"delivered"' in done.stdout
    assert '"unread":1' in done.stdout
    assert_told(belfry.home, '[Notification] level="info" title="NightOwl is live"')


def steps(title: str, *, until: str) -> str:
    """The commands of a section of the README, the last one again and again until it shows something."""
    section = README.read_text().partition(f"\n## {title}")[2].partition("\n## ")[0]
    *setting_up, looking = "\n".join(code_blocks(section, "sh")).strip().rsplit("\ncall ", 1)
    look = f"call {looking} > seen; grep -q '{until}' seen && break; sleep 0.2"
    return "\n".join([*setting_up, f"for _ in $(seq 100); do {look}; done", "cat seen"])


def assert_told(home: Home, line: str) -> None:
    log, give_up_at = home.logs / "worker-deliver.log", time.monotonic() + 10
    while line not in log.read_text() and time.monotonic() < give_up_at:
        time.sleep(0.1)
    assert line in log.read_text()


# --- Operations ----------------------------------------------------------------------------------


def test_operations_tells_the_usual_numbers() -> None:
    text = " ".join(OPERATIONS.read_text().split())
    usual = BreakerSettings()
    for told in (
        f"opens after {usual.consecutive_failures} failures in a row",
        f"{usual.failure_rate * 100:.0f} % of at least {usual.min_calls} tries in {usual.window_s / 60:.0f} minutes",
        f"alone for {usual.cooldown_s:.0f} s, doubling up to {usual.longest_cooldown_s / 60:.0f} minutes",
        f"has not closed for {quarantine.LONG_FAILURE.total_seconds() / 3600:.0f} hours",
        f"more than {slowness.SLOW_S:g} s in the moving average",
        f"comes back below {slowness.QUICK_S:g} s",
        f"no sweep while {MOST_OF_BEAT} wait, and a lane is not woken while {lanes.MOST_WAITING:,} wake-ups",
        f"{pruning.BATCH:,} a transaction, for {pruning.BUDGET_S:.0f} s at most",
    ):
        assert told in text


@every_page
def test_defaults_in_the_text_are_those_of_the_code(page: Path) -> None:
    for name, default in re.findall(r"`(BELFRY_[A-Z_]+)`(?: \(|, )([\d.]+)(?: s)?\)", page.read_text()):
        assert float(env.DECLARED[name].default) == float(default), name


def test_the_config_file_of_operations_is_taken_over_once(db: None, tmp_path: Path) -> None:
    (block,) = code_blocks(OPERATIONS.read_text(), "json")
    file = tmp_path / "config.json"
    file.write_text(block)
    answers = [StringIO(), StringIO()]
    for answer in answers:
        call_command("import", str(file), stdout=answer)
    assert "example-token" not in answers[0].getvalue()
    assert [channel.kind for channel in Channel.objects.current()] == ["discord"]
    assert "Everything is as the file says already." in answers[1].getvalue()
