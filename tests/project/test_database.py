"""PostgreSQL's URL becomes Django's settings."""

from __future__ import annotations

import pytest

from project.database import database_settings


def test_a_url_is_taken_apart() -> None:
    settings = database_settings("postgresql://me:s%40cret@db.example:6432/belfry?sslmode=require")
    assert (settings["USER"], settings["PASSWORD"], settings["HOST"], settings["PORT"], settings["NAME"]) == (
        "me",
        "s@cret",
        "db.example",
        "6432",
        "belfry",
    )
    assert settings["OPTIONS"]["sslmode"] == "require"


def test_a_server_that_vanished_is_noticed_in_seconds_unless_the_url_says_otherwise() -> None:
    usual = database_settings("postgresql://me@db/belfry")["OPTIONS"]
    assert (usual["connect_timeout"], usual["tcp_user_timeout"]) == ("5", "10000")
    assert database_settings("postgresql://me@db/belfry?connect_timeout=30")["OPTIONS"]["connect_timeout"] == "30"


def test_another_database_is_refused_without_showing_its_password() -> None:
    with pytest.raises(ValueError, match="postgresql://") as caught:
        database_settings("mysql://me:s3cret@db/belfry")
    assert "s3cret" not in str(caught.value)
