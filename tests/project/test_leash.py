"""Programs on a leash: they end with their parent, and root is not root to those that refuse it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from project.embedded import leash

LEASH = leash.__file__

#: Runs the rest of its command line as root in a user namespace that lets no other be made, as containers do.
WITHOUT_NAMESPACES = """
import ctypes, os, sys
made, let = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    assert ctypes.CDLL(None).unshare(0x10000000) == 0
    os.write(made[1], b"x")
    os.read(let[0], 1)
    os.setuid(0)
    open("/proc/sys/user/max_user_namespaces", "w").write("0")
    os.execv(sys.argv[1], [a.replace("PARENT", str(os.getppid())) for a in sys.argv[1:]])
os.read(made[0], 1)
for name in ("uid_map", "gid_map"):
    open(f"/proc/{child}/{name}", "w").write("0 0 65536")
os.write(let[1], b"x")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")


def leashed(parent: str, *command: str) -> list[str]:
    return [sys.executable, "-I", "-S", LEASH, parent, "15", "--not-root", *command]


def test_a_user_stays_who_they_are() -> None:
    if os.geteuid() == 0:
        pytest.skip("this is root")
    answer = subprocess.run(leashed(str(os.getpid()), "/usr/bin/id", "-u"), capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == str(os.geteuid())


@as_root
def test_root_becomes_somebody_else_in_a_namespace() -> None:
    if not leash.namespace_works():
        pytest.skip("user namespaces are refused here")
    answer = subprocess.run(leashed(str(os.getpid()), "/usr/bin/id", "-u"), capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == str(leash.INSIDE_ID)


@as_root
def test_root_becomes_nobody_where_namespaces_are_refused_and_reaches_its_data(tmp_path: Path) -> None:
    if not leash.namespace_works():
        pytest.skip("cannot make the namespace that would refuse others")
    data = tmp_path / "private" / "data"
    data.mkdir(parents=True, mode=0o700)
    data.parent.chmod(0o700)
    (data / "file").write_text("read me")
    command = leashed("PARENT", "/bin/sh", "-c", f"id -u; cat {data}/file", "-D", str(data))
    answer = subprocess.run(
        [sys.executable, "-c", WITHOUT_NAMESPACES, *command], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split("\n", 1) == ["65534", "read me"]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells a child of its parent's death")
def test_a_program_ends_with_its_parent() -> None:
    code = (
        "import os, subprocess, sys\n"
        f"leash = [sys.executable, '-I', '-S', {LEASH!r}, str(os.getpid()), '9']\n"
        "child = subprocess.Popen([*leash, '/bin/sleep', '60'])\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = Path("/proc") / parent.stdout.readline().strip()
    time.sleep(0.3)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 5
    while child.exists() and "sleep" in (child / "cmdline").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_program_does_not_start_when_its_parent_is_gone_already() -> None:
    answer = subprocess.run(
        [sys.executable, "-I", "-S", LEASH, "1", "15", "/bin/echo", "started"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode != 0
    assert "started" not in answer.stdout
