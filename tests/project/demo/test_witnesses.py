"""The witness of the outside world reads only what was written after it was called."""

from pathlib import Path

import requests

from project.demo.witnesses import Witness
from project.outside import World

FIRST, SECOND, THIRD = (f"msg_{'0a' * 16}_{number}" for number in (1, 2, 3))


def line(name: str) -> str:
    return f'[Notification] level="info" title="Süß" id="{name}" data={{"session_id":"x"}}\n'


def test_the_log_counts_from_the_moment_on_which_one_listens(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text(line(FIRST))
    witness = Witness(World(), log)
    with log.open("a") as file:
        file.write(f"{line(SECOND)}another line with {THIRD}\n{line(SECOND)}")
    assert witness.seen() == {SECOND: 2}


def test_a_log_that_is_not_there_yet_says_nothing(tmp_path: Path) -> None:
    assert Witness(World(), tmp_path / "worker.log").seen() == {}


def test_the_world_and_the_log_are_one_account(tmp_path: Path) -> None:
    with World() as world:
        witness = Witness(world, tmp_path / "worker.log")
        requests.post(world.sink_url(), data=b"x", headers={"webhook-id": FIRST})
        requests.post(world.behaving_url("never"), data=b"x", headers={"webhook-id": SECOND})
        (tmp_path / "worker.log").write_text(line(THIRD))
        assert witness.seen() == {FIRST: 1, THIRD: 1}
