"""The engines that the tests themselves run on."""

from __future__ import annotations

import psycopg
import pytest
import redis
from django.conf import settings
from django.db import connection
from redis.backoff import NoBackoff
from redis.retry import Retry


@pytest.mark.django_db
def test_the_database_is_a_real_postgresql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT version()")
        assert cursor.fetchone()[0].startswith("PostgreSQL")


def test_redis_runs_lua_scripts() -> None:
    with redis.Redis.from_url(settings.BELFRY_REDIS_URL) as server:
        assert server.eval("return ARGV[1] + 1", 0, "41") == 42


def test_postgresql_asks_for_a_password() -> None:
    database = settings.DATABASES["default"]
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(host=database["HOST"], port=database["PORT"], user=database["USER"], passfile="/nowhere")


def test_redis_asks_for_a_password() -> None:
    port = redis.Redis.from_url(settings.BELFRY_REDIS_URL).connection_pool.connection_kwargs["port"]
    with redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as server, pytest.raises(redis.AuthenticationError):
        server.ping()
