"""The one seam to HTTP: every request to a channel goes through here.

libcurl does the work, driven by its socket interface and epoll: one thread keeps thousands of
requests in flight, connections are kept alive per host, and the address is checked at the moment of
connecting (`channels_app/addresses.py`). What comes back is either a `Response` (a status line and
headers arrived; the body may be cut) or a `NoAnswer`. Nothing here raises for what a far end does.

Never done, whatever a URL or the environment says: redirects, proxies, `.netrc`, cookies,
decompression, any protocol but HTTP/1.1 over TCP or TLS.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic
from typing import Any, Generic, TypeVar

import certifi
import pycurl

from channels_app.addresses import AllowedNetworks, default_networks
from channels_app.base import Request, Response
from channels_app.no_answer import NoAnswer, Reason, reason_of

#: How much of an answer's body is kept. Providers' error objects are a few hundred bytes.
MAX_ANSWER_BYTES = 64 * 1024

#: How long opening a connection may take, within the time of the whole exchange.
CONNECT_TIMEOUT_S = 10.0

#: A connection older than this is not used again, so that a name's new address is noticed.
MAX_CONNECTION_AGE_S = 600

_USER_AGENT = "Belfry"

Tag = TypeVar("Tag")
Ended = Response | NoAnswer


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for all requests of one `Exchanges`.

    `ca_file` is a PEM bundle of the authorities to trust instead of the system's.
    """

    allowed: AllowedNetworks = AllowedNetworks()
    max_answer_bytes: int = MAX_ANSWER_BYTES
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    ca_file: str = ""


class AnswerHeaders(Mapping[str, str]):
    """The headers of an answer by lower-case name, read from the raw lines when first asked for.

    Of a header that came twice the values are joined by a comma. Most answers are never asked.
    """

    __slots__ = ("_lines", "_parsed")

    def __init__(self, lines: tuple[bytes, ...]) -> None:
        self._lines = lines
        self._parsed: dict[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __repr__(self) -> str:
        return f"AnswerHeaders({', '.join(self._read())})"

    def _read(self) -> dict[str, str]:
        if self._parsed is None:
            self._parsed = _headers_of(self._lines)
        return self._parsed


def _headers_of(lines: tuple[bytes, ...]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        if line.startswith(b"HTTP/"):
            headers = {}  # what stood before belongs to an interim answer such as 100 or 103
            continue
        name, colon, value = line.decode("iso-8859-1").partition(":")
        if colon:
            key, text = name.strip().lower(), value.strip()
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


class Exchanges(Generic[Tag]):
    """Many requests at once from one thread.

    `start` and `poll` belong to the thread that made the object; `wake` may be called from any.
    Each request is known by the `tag` it was started with, which `poll` gives back with its end.
    """

    def __init__(self, rules: Rules = Rules(), *, kept_alive: int = 2000) -> None:
        self._rules = rules
        self._pool: list[_Handle] = []
        self._all: list[_Handle] = []
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
        except (pycurl.error, ValueError) as error:
            self._pool.append(handle)
            self._refused_here.append((tag, _cannot_be_sent(error)))

    def poll(self, timeout_s: float) -> list[tuple[Tag, Ended]]:
        """What has ended. Waits for the first end, a `wake` or `timeout_s`, whichever comes first."""
        deadline = monotonic() + timeout_s
        while True:
            woken = self._events.turn(self._multi, deadline)
            ended = self._collect()
            if ended or woken or monotonic() >= deadline:
                return ended

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

    def _new_handle(self) -> _Handle:
        handle = _Handle(self._rules)
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
        handle: _Handle = curl.handle
        end = handle.end(code, text)
        self._multi.remove_handle(curl)
        self._pool.append(handle)
        return end


class _Events:
    """Sockets and timer of one libcurl multi handle, on epoll, with an eventfd to be woken by."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake_fd, select.EPOLLIN)
        self._masks: dict[int, int] = {}
        self._timer_at: float | None = None

    def on_socket(self, wanted: int, fd: int, _multi: object, _data: object) -> None:
        if wanted == pycurl.POLL_REMOVE:
            if self._masks.pop(fd, None) is not None:
                with contextlib.suppress(OSError):
                    self._epoll.unregister(fd)
            return
        mask = _EPOLL_MASKS[wanted]
        if fd in self._masks:
            self._epoll.modify(fd, mask)
        else:
            self._epoll.register(fd, mask)
        self._masks[fd] = mask

    def on_timer(self, timeout_ms: int) -> None:
        self._timer_at = None if timeout_ms < 0 else monotonic() + timeout_ms / 1000

    def turn(self, multi: Any, deadline: float) -> bool:
        """Let libcurl do what is due, waiting for it until `deadline`. True when woken."""
        if self._timer_at is not None and monotonic() >= self._timer_at:
            self._timer_at = None
            multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        until = deadline if self._timer_at is None else min(deadline, self._timer_at)
        woken = False
        for fd, mask in self._epoll.poll(max(0.0, until - monotonic())):
            if fd == self._wake_fd:
                os.eventfd_read(fd)
                woken = True
            else:
                multi.socket_action(fd, _SELECT_MASKS[mask & _ANY_EVENT])
        return woken

    def wake(self) -> None:
        os.eventfd_write(self._wake_fd, 1)

    def close(self) -> None:
        self._epoll.close()
        os.close(self._wake_fd)


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


class _Handle:
    """One libcurl easy handle, used for one request after another; what never changes is set once."""

    __slots__ = (
        "curl",
        "tag",
        "_rules",
        "_url",
        "_method",
        "_timeout_s",
        "_lines",
        "_chunks",
        "_body_bytes",
        "_blocked",
        "_opened",
    )

    def __init__(self, rules: Rules) -> None:
        self.tag: Any = None
        self._rules = rules
        self._url = ""
        self._method = ""
        self._timeout_s = 0.0
        self._lines: list[bytes] = []
        self._chunks: list[bytes] = []
        self._body_bytes = 0
        self._blocked = 0
        self._opened = 0
        self.curl = pycurl.Curl()
        self.curl.handle = self
        for option, value in _fixed_options(rules.ca_file).items():
            self.curl.setopt(option, value)
        self.curl.setopt(pycurl.HEADERFUNCTION, self._lines.append)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._on_body)
        self.curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)

    def prepare(self, tag: object, request: Request, timeout_s: float) -> None:
        """Load `request`. Raises `ValueError` or `pycurl.error` when it cannot be sent at all."""
        setopt = self.curl.setopt
        self.tag = tag
        setopt(pycurl.HTTPHEADER, _header_lines(request.headers))
        if request.method != self._method:
            self._set_method(request.method)
        if request.url != self._url:
            setopt(pycurl.URL, request.url)
            self._url = request.url
        if timeout_s != self._timeout_s:
            setopt(pycurl.TIMEOUT_MS, max(1, int(timeout_s * 1000)))
            setopt(pycurl.CONNECTTIMEOUT_MS, max(1, int(min(timeout_s, self._rules.connect_timeout_s) * 1000)))
            self._timeout_s = timeout_s
        if request.method in _WITHOUT_BODY:
            return
        setopt(pycurl.POSTFIELDS, request.body)

    def end(self, code: int, text: str) -> Ended:
        """What the request came to, by libcurl's `code`; makes the handle ready for the next one."""
        status: int = self.curl.getinfo(pycurl.RESPONSE_CODE)
        if code and not self._has_headers(status):
            ended: Ended = self._no_answer(code, text)
        else:
            body = b"".join(self._chunks)[: self._rules.max_answer_bytes] if self._chunks else b""
            ended = Response(status, AnswerHeaders(tuple(self._lines)), body, code != 0)
        self._lines.clear()
        if self._chunks:
            self._chunks.clear()
            self._body_bytes = 0
        self._blocked = self._opened = 0
        return ended

    def close(self) -> None:
        self.curl.handle = None
        self.curl.close()

    def _set_method(self, method: str) -> None:
        curl = self.curl
        curl.unsetopt(pycurl.CUSTOMREQUEST)
        curl.setopt(pycurl.NOBODY, method == "HEAD")
        if method in _WITHOUT_BODY:
            curl.setopt(pycurl.HTTPGET, method == "GET")
        if method not in ("GET", "HEAD", "POST"):
            curl.setopt(pycurl.CUSTOMREQUEST, method)
        self._method = method

    def _has_headers(self, status: int) -> bool:
        """Whether the final status line and all headers arrived: then it is an answer."""
        return status >= 200 and b"\r\n" in self._lines

    def _no_answer(self, code: int, text: str) -> NoAnswer:
        getinfo = self.curl.getinfo
        only_blocked = self._blocked > 0 and self._opened == 0
        reason = Reason.BLOCKED if only_blocked else reason_of(code, getinfo(pycurl.OS_ERRNO))
        sent = getinfo(pycurl.REQUEST_SIZE) > 0
        return NoAnswer(reason, reason.explain(code, text), sent, connection_was_reused=sent and self._opened == 0)

    def _on_body(self, chunk: bytes) -> int | None:
        self._chunks.append(chunk)
        self._body_bytes += len(chunk)
        if self._body_bytes > self._rules.max_answer_bytes:
            return 0  # anything but the length of the chunk ends the transfer
        return None

    def _open_socket(self, _purpose: int, address: Any) -> Any:
        host = address.addr[0]
        if not self._rules.allowed.permits(host.decode() if isinstance(host, bytes) else host):
            self._blocked += 1
            return pycurl.SOCKET_BAD
        self._opened += 1
        return socket.socket(address.family, address.socktype, address.protocol)


_WITHOUT_BODY = frozenset({"GET", "HEAD"})


@lru_cache(maxsize=8)
def _fixed_options(ca_file: str) -> dict[int, Any]:
    return {
        pycurl.NOSIGNAL: 1,
        pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
        pycurl.FOLLOWLOCATION: 0,
        pycurl.PROXY: "",  # the empty text also switches off the proxies of the environment
        pycurl.NOPROXY: "*",
        pycurl.NETRC: pycurl.NETRC_IGNORED,
        pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
        pycurl.HTTP_CONTENT_DECODING: 0,
        pycurl.HTTP09_ALLOWED: 0,
        pycurl.MAXLIFETIME_CONN: MAX_CONNECTION_AGE_S,
        pycurl.SSL_VERIFYPEER: 1,
        pycurl.SSL_VERIFYHOST: 2,
        pycurl.CAINFO: ca_file or _system_authorities(),
        pycurl.USERAGENT: _USER_AGENT,
    }


def _system_authorities() -> str:
    """The PEM bundle of the system where it has one (an operator may have added to it), else certifi's."""
    return ssl.get_default_verify_paths().cafile or certifi.where()


def _header_lines(headers: Mapping[str, str]) -> list[str]:
    prefixes, missing = _header_names(tuple(headers))
    lines = [prefix + value for prefix, value in zip(prefixes, headers.values(), strict=True)]
    if "\r" in (joined := "".join(lines)) or "\n" in joined or "\0" in joined:
        raise ValueError("a header holds a line break")
    return lines + missing


@lru_cache(maxsize=1024)
def _header_names(names: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Line beginnings for `names`, and lines that keep libcurl from adding headers of its own."""
    if any(not name or ":" in name or ";" in name or name != name.strip() for name in names):
        raise ValueError("a header has no proper name")
    present = {name.lower() for name in names}
    kept_out = [f"{name}:" for name in ("Expect", "Accept", "Content-Type") if name.lower() not in present]
    return [f"{name}: " for name in names], kept_out


def _cannot_be_sent(error: Exception) -> NoAnswer:
    """For what fails before libcurl has begun. The error's own text may hold a secret: not repeated."""
    reason = Reason.INVALID if isinstance(error, ValueError) else reason_of(error.args[0], 0)
    return NoAnswer(reason, reason.explain(0, ""), sent=False, connection_was_reused=False)


def exchange(request: Request, *, timeout_s: float, rules: Rules | None = None) -> Ended:
    """Send one request and wait for its end, by the same rules. Connections are kept per thread.

    Without `rules` those of the settings hold (`BELFRY_ALLOWED_NETWORKS`).
    """
    exchanges = _exchanges_of_this_thread(rules or Rules(allowed=default_networks()))
    exchanges.start(None, request, timeout_s=timeout_s)
    while True:
        for _, ended in exchanges.poll(timeout_s):
            return ended


_THREAD = threading.local()


def _exchanges_of_this_thread(rules: Rules) -> Exchanges[None]:
    # The process id belongs to the key: a forked child must not talk on its parent's connections.
    key = (os.getpid(), rules)
    if getattr(_THREAD, "key", None) != key:
        _THREAD.key, _THREAD.exchanges = key, Exchanges[None](rules, kept_alive=32)
    exchanges: Exchanges[None] = _THREAD.exchanges
    return exchanges
