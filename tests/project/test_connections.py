"""What becomes of a process's connections: after the database cut everybody off, and when a thread hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from celery.signals import task_postrun, task_prerun
from django.core.handlers.wsgi import WSGIHandler
from django.db import OperationalError, connection, transaction

from channels_app.models import Channel
from channels_app.statement import AWAY
from notifications.models import ApiKey
from project import connections
from project.wsgi import ProgramHandler
from tests.notifications.locks import is_free, stranger
from tests.notifications.scene import eventually
from tests.project.test_wsgi import asked

THREADS = 6
WITHIN_S = 20.0


@pytest.fixture
def key(transactional_db: None) -> str:
    return ApiKey.objects.issue("recorder", role=ApiKey.Role.OPERATOR)[1]


@pytest.fixture
def threads() -> Iterator[list[ThreadPoolExecutor]]:
    with ExitStack() as stack:
        threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in range(THREADS)]
        yield threads
        for thread in threads:
            thread.submit(lambda: connection.close()).result()  # noqa: PLW0108  That of its own thread.


def cut_everybody_off() -> None:
    """As a server does that is restarted."""
    with stranger() as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    connection.close()


def from_a_program(key: str) -> bool:
    return asked(ProgramHandler(), "GET", "/api/v1/channels", key)[0].startswith("200")


def from_a_browser(key: str) -> bool:
    return asked(WSGIHandler(), "GET", "/api/v1/channels", key)[0].startswith("200")


def from_the_broker(key: str) -> bool:
    task_prerun.send(sender=None)
    try:
        return Channel.objects.count() == 0
    except OperationalError:
        return False
    finally:
        task_postrun.send(sender=None)


@pytest.mark.parametrize("request_", [from_a_program, from_a_browser, from_the_broker])
def test_one_of_them_fails(key: str, threads: list[ThreadPoolExecutor], request_: Callable[[str], bool]) -> None:
    for _ in range(2):
        assert all(thread.submit(request_, key).result() for thread in threads)
        cut_everybody_off()
        assert [thread.submit(request_, key).result() for thread in threads] == [False] + [True] * (THREADS - 1)


def test_what_is_whole_is_asked_once_and_kept(key: str, threads: list[ThreadPoolExecutor]) -> None:
    """Only one of them was cut off: by an administrator, say."""

    def session() -> int:
        assert from_a_program(key)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])

    before = [thread.submit(session).result() for thread in threads]
    with stranger() as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (before[0],))
    assert not threads[0].submit(from_a_program, key).result()
    after = [thread.submit(session).result() for thread in threads]
    assert after[1:] == before[1:]
    assert after[0] != before[0]
    asked_for = connections._ours.broke_at
    assert all(thread.submit(lambda: connections._mine.whole_at >= asked_for).result() for thread in threads)


def test_who_hangs_within_a_transaction_keeps_no_locks(
    key: str, threads: list[ThreadPoolExecutor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_IDLE_IN_TRANSACTION_S", 1)
    holds, wakes = threading.Event(), threading.Event()

    def hang() -> None:
        with transaction.atomic():
            ApiKey.objects.select_for_update().get()
            holds.set()
            wakes.wait(WITHIN_S)
            ApiKey.objects.update(name="too late")

    hanging = threads[0].submit(hang)
    assert holds.wait(WITHIN_S)
    assert not is_free(ApiKey.objects.get())
    eventually(lambda: is_free(ApiKey.objects.get()))
    wakes.set()
    with pytest.raises(AWAY):
        hanging.result()
    assert ApiKey.objects.get().name == "recorder"
    assert threads[0].submit(from_a_program, key).result()
