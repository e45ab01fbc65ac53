"""The compose file for production, as far as it can be checked without a container engine."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from project.embedded.home import free_port
from project.embedded.supervisor import Supervisor
from project.env import DECLARED, inherited
from project.roles import ROLES

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "belfry"}
ENGINES = {"postgres", "redis"}
ROOTS = {None, "", "root", "0", "0:0", "root:root"}


def test_every_role_and_every_engine_has_a_service() -> None:
    assert set(SERVICES) == {*ROLES, "migrate", *ENGINES}


@pytest.mark.parametrize("name", ROLES)
def test_a_role_is_served_by_its_name(name: str) -> None:
    assert OURS[name]["command"] == ["python", "-m", "project.serve", name]


def test_commands_name_what_exists() -> None:
    subprocess.run([sys.executable, "-m", "project.serve", "--help"], cwd=ROOT, check=True, capture_output=True)
    assert OURS["migrate"]["command"][:2] == ["python", "manage.py"]


def test_every_variable_is_declared() -> None:
    for service in OURS.values():
        assert set(service["environment"]) <= set(DECLARED)


def test_no_password_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    used = re.findall(r"\$\{(\w+)(:\?|:-[^}]*)?\}", text)
    required = {name for name, rule in used if rule == ":?"}
    assert {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "BELFRY_SECRET_KEY", "BELFRY_CHANNEL_KEYS"} <= required
    assert not [name for name, rule in used if re.search("PASSWORD|SECRET|KEY", name) and rule != ":?"]
    assert not [name for name, rule in used if rule == ""]


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_runs_as_root_or_writes_where_it_need_not(name: str) -> None:
    service = SERVICES[name]
    assert service.get("user") not in ROOTS
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate"}))
def test_what_stays_up_is_restarted_and_looked_after(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


@pytest.mark.parametrize("name", sorted(set(OURS) - {"migrate"}))
def test_nothing_starts_before_the_database_is_migrated(name: str) -> None:
    assert OURS[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_the_grace_of_a_container_is_longer_than_that_of_a_worker() -> None:
    service = OURS["worker-deliver"]
    assert int(service["stop_grace_period"].rstrip("s")) >= int(service["environment"]["BELFRY_SHUTDOWN_GRACE_S"]) + 10


def test_engines_are_not_open_to_the_outside() -> None:
    assert all("ports" not in SERVICES[name] for name in ENGINES)
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["web"]["ports"])


def test_every_volume_is_declared() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


def test_the_image_is_not_root_and_holds_no_engines() -> None:
    lines = (ROOT / "Dockerfile").read_text()
    assert lines.rindex("USER 10001") > lines.rindex("RUN ")
    assert "--require-hashes" in lines
    assert not re.search(r"--group|embedded|--no-verify-hashes", lines.split("\n", 1)[1])
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", lines, re.MULTILINE)
    assert all((ROOT / name).exists() for line in copied for name in line.split())


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("static")
    environment = {"PATH": os.environ["PATH"], "BELFRY_STATIC_ROOT": str(folder)}
    command = [sys.executable, "manage.py", "collectstatic", "--noinput", "-v0"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    return folder


@pytest.fixture(scope="module")
def web(collected: Path) -> Iterator[int]:
    """The web service, with the variables of the compose file and no others; yields its port."""
    port = free_port()
    given = {
        **{name: inherited()[name] for name in ("DATABASE_URL", "REDIS_URL", "BROKER_URL")},
        **{name: inherited()[name] for name in ("BELFRY_SECRET_KEY", "BELFRY_CHANNEL_KEYS")},
        "BELFRY_PUBLIC_URL": "https://belfry.example",
    }
    defaults = {name: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value) for name, value in OURS["web"]["environment"].items()}
    environment = {**defaults, **given, "BELFRY_STATIC_ROOT": str(collected), "PATH": os.environ["PATH"]}
    command = [sys.executable, *OURS["web"]["command"][1:], "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, env=environment)
    deadline = time.monotonic() + 30
    while True:
        try:
            ask(port, "/")
            break
        except OSError:
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
    yield port
    server.terminate()
    assert server.wait(20) == 0


def ask(port: int, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def test_plain_requests_are_sent_on_to_tls(web: int) -> None:
    answer = ask(web, "/admin/", Host="belfry.example")
    assert answer.status == 301
    assert answer.headers["Location"] == "https://belfry.example/admin/"


def test_behind_its_proxy_it_serves_securely(web: int) -> None:
    answer = ask(web, "/admin/login/", Host="belfry.example", X_Forwarded_Proto="https")
    assert answer.status == 200
    assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]
    assert "Secure" in answer.headers["Set-Cookie"]
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_another_host_name_is_refused(web: int) -> None:
    assert ask(web, "/admin/login/", Host="evil.example", X_Forwarded_Proto="https").status == 400


def test_its_health_is_answered_without_tls(web: int) -> None:
    code = SERVICES["web"]["healthcheck"]["test"][-1].replace(":8000", f":{web}")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


@pytest.mark.parametrize("name", ["worker-deliver", "worker-control"])
def test_a_worker_answers_the_question_after_its_health(belfry: Supervisor, name: str) -> None:
    asked = SERVICES[name]["healthcheck"]["test"][1].replace("$$", "$")
    command = asked.replace("celery ", f"{shlex.quote(sys.executable)} -m celery ", 1)
    answer = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, env=belfry.env, capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert "pong" in answer.stdout
