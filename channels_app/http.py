"""The one seam to HTTP: every request to a channel goes through here.

libcurl does the work, driven by its socket interface and epoll: one thread keeps thousands of
requests in flight, connections are kept alive per host, and the address is checked at the moment of
connecting (`channels_app/addresses.py`). What comes back is either a `Response` (a status line and
headers arrived; the body may be cut) or a `NoAnswer`. Nothing here raises for what a far end does.

Never done, whatever a URL or the environment says: redirects, proxies, `.netrc`, cookies,
decompression, any protocol but HTTP/1.1 over TCP or TLS. When a kept-alive connection turns out to
have been closed before any byte of an answer, libcurl sends the request again on another one.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from time import monotonic
from typing import Any, Generic, TypeVar

import pycurl
from django.conf import settings

from channels_app.addresses import AllowedNetworks, default_networks
from channels_app.base import Request, Response
from channels_app.curl_handle import CurlHandle, Ended, Rules
from channels_app.no_answer import NoAnswer, Reason, reason_of, verdict_of

__all__ = [
    "AllowedNetworks",
    "Ended",
    "Exchanges",
    "NoAnswer",
    "Reason",
    "Request",
    "Response",
    "Rules",
    "default_rules",
    "exchange",
    "verdict_of",
]

Tag = TypeVar("Tag")

_KEPT_ALIVE_PER_THREAD = 32


class Exchanges(Generic[Tag]):
    """Many requests at once from one thread.

    `start` and `poll` belong to the thread that made the object; `wake` may be called from any.
    Each request is known by the `tag` it was started with, which `poll` gives back with its end.
    """

    def __init__(self, rules: Rules, *, kept_alive: int = 2000) -> None:
        self._rules = rules
        self._pool: list[CurlHandle] = []
        self._all: list[CurlHandle] = []
        self._refused_here: list[tuple[Tag, Ended]] = []
        self._events = _Events()
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, kept_alive)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._events.on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._events.on_timer)

    @property
    def in_flight(self) -> int:
        """How many requests were started and have not been given back by `poll`."""
        return len(self._all) - len(self._pool) + len(self._refused_here)

    def start(self, tag: Tag, request: Request, *, timeout_s: float) -> None:
        """Begin `request`; it ends within `timeout_s`, whatever the far end does."""
        handle = self._pool.pop() if self._pool else self._new_handle()
        try:
            handle.prepare(tag, request, timeout_s)
            self._multi.add_handle(handle.curl)
        except (pycurl.error, ValueError, TypeError, AttributeError) as error:
            self._pool.append(handle)
            self._refused_here.append((tag, _cannot_be_sent(error)))

    def poll(self, timeout_s: float) -> list[tuple[Tag, Ended]]:
        """What has ended. Waits for the first end, a `wake` or `timeout_s`, whichever comes first."""
        deadline = monotonic() + (0.0 if self._refused_here else timeout_s)
        while True:
            woken = self._events.turn(self._multi, deadline)
            ended = self._collect()
            if ended or woken or monotonic() >= deadline:
                return ended

    def abandon(self) -> list[Tag]:
        """Break off all that is in flight: nobody knows what became of it. Gives the tags."""
        idle = {id(handle) for handle in self._pool}
        in_flight = [handle for handle in self._all if id(handle) not in idle]
        tags = [tag for tag, _ in self._refused_here] + [handle.tag for handle in in_flight]
        for handle in in_flight:
            self._multi.remove_handle(handle.curl)
            handle.close()
        self._all, self._refused_here = list(self._pool), []
        return tags

    def wake(self) -> None:
        """Make a running or the next `poll` return at once. Callable from any thread."""
        self._events.wake()

    def close(self) -> None:
        """Drop what is in flight, close all connections. The object cannot be used afterwards."""
        for handle in self._all:
            with contextlib.suppress(pycurl.error):
                self._multi.remove_handle(handle.curl)
        self._multi.close()
        for handle in self._all:
            handle.close()
        self._all.clear()
        self._pool.clear()
        self._events.close()

    def __enter__(self) -> Exchanges[Tag]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _new_handle(self) -> CurlHandle:
        handle = CurlHandle(self._rules)
        self._all.append(handle)
        return handle

    def _collect(self) -> list[tuple[Tag, Ended]]:
        ended, self._refused_here = self._refused_here, []
        while True:
            more, succeeded, failed = self._multi.info_read()
            for curl in succeeded:
                ended.append((curl.handle.tag, self._give_back(curl, 0, "")))
            for curl, code, text in failed:
                ended.append((curl.handle.tag, self._give_back(curl, code, text)))
            if not more:
                return ended

    def _give_back(self, curl: Any, code: int, text: str) -> Ended:
        handle: CurlHandle = curl.handle
        end = handle.end(code, text)
        handle.tag = None
        self._multi.remove_handle(curl)
        self._pool.append(handle)
        return end


def _cannot_be_sent(error: Exception) -> NoAnswer:
    """For what fails before libcurl has begun. The error's own text may hold a secret: not repeated."""
    reason = reason_of(error.args[0]) if isinstance(error, pycurl.error) else Reason.INVALID
    return NoAnswer(reason, reason.explain(0, ""), sent=False, connection_was_reused=False)


def default_rules() -> Rules:
    """The rules that the settings give."""
    return Rules(
        allowed=default_networks(),
        max_answer_bytes=settings.BELFRY_MAX_ANSWER_BYTES,
        connect_timeout_s=settings.BELFRY_HTTP_CONNECT_TIMEOUT_S,
    )


def exchange(request: Request, *, timeout_s: float, rules: Rules | None = None) -> Ended:
    """Send one request and wait for its end, by the `rules` given or else by those of the settings.

    Connections are kept alive per thread.
    """
    exchanges = _exchanges_of_this_thread(rules or default_rules())
    # An end that an earlier, interrupted call did not wait for must not pass for the end of this one.
    tag = object()
    exchanges.start(tag, request, timeout_s=timeout_s)
    while True:
        for ended_tag, ended in exchanges.poll(timeout_s):
            if ended_tag is tag:
                return ended


_THREAD = threading.local()


def _exchanges_of_this_thread(rules: Rules) -> Exchanges[object]:
    # A forked child must neither talk on its parent's connections nor end them: it keeps them untouched.
    if getattr(_THREAD, "process_id", None) != os.getpid():
        _THREAD.of_the_parent = getattr(_THREAD, "by_rules", None)
        _THREAD.process_id, _THREAD.by_rules = os.getpid(), {}
    by_rules: dict[Rules, Exchanges[object]] = _THREAD.by_rules
    if rules not in by_rules:
        by_rules[rules] = Exchanges[object](rules, kept_alive=_KEPT_ALIVE_PER_THREAD)
    return by_rules[rules]


class _Events:
    """Sockets and timer of one libcurl multi handle, on epoll, with an eventfd to be woken by."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake_fd, select.EPOLLIN)
        self._idle: set[int] = set()
        self._timer_at: float | None = None

    def on_socket(self, wanted: int, fd: int, _multi: object, _data: object) -> None:
        # A connection between two requests stays registered: half the system calls of taking it out
        # and in. Should anything happen on it meanwhile, `turn` takes it out.
        if wanted == pycurl.POLL_REMOVE:
            self._idle.add(fd)
            return
        self._idle.discard(fd)
        mask = _EPOLL_MASKS[wanted]
        try:
            self._epoll.modify(fd, mask)
        except FileNotFoundError:
            self._epoll.register(fd, mask)

    def on_timer(self, timeout_ms: int) -> None:
        self._timer_at = None if timeout_ms < 0 else monotonic() + timeout_ms / 1000

    def turn(self, multi: Any, deadline: float) -> bool:
        """Let libcurl do what is due, waiting for it until `deadline`. True when woken."""
        now = monotonic()
        until = deadline
        if self._timer_at is not None:
            if self._timer_at <= now:
                self._timer_at = None
                multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
                until = now  # something may have ended by that
            else:
                until = min(deadline, self._timer_at)
        woken = False
        for fd, mask in self._epoll.poll(max(0.0, until - now)):
            if fd == self._wake_fd:
                os.eventfd_read(fd)
                woken = True
            elif fd in self._idle:
                self._forget(fd)
            else:
                multi.socket_action(fd, _SELECT_MASKS[mask & _ANY_EVENT])
        return woken

    def _forget(self, fd: int) -> None:
        self._idle.discard(fd)
        with contextlib.suppress(OSError):
            self._epoll.unregister(fd)

    def wake(self) -> None:
        os.eventfd_write(self._wake_fd, 1)

    def close(self) -> None:
        self._epoll.close()
        if self._wake_fd >= 0:
            os.close(self._wake_fd)
            self._wake_fd = -1

    def __del__(self) -> None:
        self.close()


_EPOLL_MASKS = {
    pycurl.POLL_NONE: 0,
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}
_ANY_EVENT = select.EPOLLIN | select.EPOLLOUT | select.EPOLLERR | select.EPOLLHUP
_SELECT_MASKS = {
    mask: (pycurl.CSELECT_IN if mask & select.EPOLLIN else 0)
    | (pycurl.CSELECT_OUT if mask & select.EPOLLOUT else 0)
    | (pycurl.CSELECT_ERR if mask & (select.EPOLLERR | select.EPOLLHUP) else 0)
    for mask in range(_ANY_EVENT + 1)
}
