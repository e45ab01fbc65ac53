"""What ends by itself comes back, ever more slowly."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from project.embedded.process import Process, StartFailed, wait_until
from project.embedded.watch import Watch, pause_s


def process(folder: Path, code: str) -> Process:
    return Process(
        name="probe",
        command=[sys.executable, "-c", code],
        environment={},
        log=folder / "probe.log",
        folder=folder,
    )


def test_the_pause_doubles_up_to_its_longest() -> None:
    assert [pause_s(n) for n in (1, 2, 3, 4)] == [0.2, 0.4, 0.8, 1.6]
    assert pause_s(50) == 30.0


def test_what_ends_is_started_again_and_said_so(tmp_path: Path) -> None:
    heard: list[str] = []
    watch = Watch(lambda name, text: heard.append(f"{name}: {text}"))
    mortal = process(tmp_path, "print('ran', flush=True)")
    mortal.start()
    watch.add(mortal, mortal.start, now=time.monotonic())
    watch.begin()
    deadline = time.monotonic() + 10
    while (tmp_path / "probe.log").read_text().count("ran") < 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    watch.end()
    mortal.kill()
    assert heard[0] == "probe: ended with code 0; starting it again in 0.2 s"
    assert heard[1] == "probe: ended with code 0; starting it again in 0.4 s"


def test_what_is_not_wanted_stays_down(tmp_path: Path) -> None:
    watch = Watch(lambda *_: None)
    mortal = process(tmp_path, "pass")
    mortal.start()
    watch.add(mortal, mortal.start, now=time.monotonic())
    watch.want("probe", False)
    watch.begin()
    time.sleep(0.5)
    watch.end()
    assert not mortal.alive


def test_a_failed_start_shows_the_end_of_the_log(tmp_path: Path) -> None:
    mortal = process(tmp_path, "raise SystemExit('no such luck')")
    mortal.start()
    with pytest.raises(StartFailed, match=r"(?s)ended with code 1.*probe\.log.*no such luck"):
        wait_until(mortal, lambda: False, within_s=10)


def test_a_stubborn_process_is_killed_with_its_children(tmp_path: Path) -> None:
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)"
    )
    stubborn = process(tmp_path, code)
    stubborn.start()
    wait_until(stubborn, lambda: (tmp_path / "probe.log").read_text().endswith("\n"), within_s=10)
    child = Path("/proc") / (tmp_path / "probe.log").read_text().strip()
    stubborn.stop(within_s=0.2)
    assert not stubborn.alive
    deadline = time.monotonic() + 5
    while child.exists() and "Z" not in (child / "stat").read_text().split()[2]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
