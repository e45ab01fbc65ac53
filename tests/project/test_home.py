"""The data folder: private, held by one at a time, and found by those beside it."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from project.embedded.home import Home, InUse, free_port


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_random_kept_and_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "a")
    secret = home.secret("thing")
    assert Home(tmp_path / "a").secret("thing") == secret
    assert Home(tmp_path / "b").secret("thing") != secret
    assert mode(home.secrets / "thing") == 0o600
    assert mode(home.path) == 0o700


def test_a_second_start_on_the_same_data_is_told_what_to_do(tmp_path: Path) -> None:
    with Home(tmp_path).locked(), pytest.raises(InUse, match=r"already runs .* BELFRY_HOME"), Home(tmp_path).locked():
        pass


def test_the_folder_is_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with Home(tmp_path).locked():
            pass


def test_what_is_published_is_found_while_it_runs(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.locked():
        home.publish({"DATABASE_URL": "postgresql://x:y'z @h/d", "REDIS_URL": "redis://h/1"})
        assert mode(home.env_file) == 0o600
        assert Home(tmp_path).running() == {"DATABASE_URL": "postgresql://x:y'z @h/d", "REDIS_URL": "redis://h/1"}


def test_what_a_killed_one_has_left_is_not_believed(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.publish({"DATABASE_URL": "postgresql://gone"})
    assert home.running() == {}
    assert not home.env_file.exists()


def test_the_first_login_is_kept_until_it_is_forgotten(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.first_login() is None
    home.keep_first_login("admin", "a b")
    assert home.first_login() == ("admin", "a b")
    assert mode(home.path / "first-login") == 0o600
    home.forget_first_login()
    assert home.first_login() is None


def test_a_free_port_is_none_that_an_outgoing_connection_could_take_before_it_is_used() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))
        taken = listener.getsockname()[1]
        found = {free_port() for _ in range(200)}
    assert max(found) < 32_768
    assert taken not in found
