"""One libcurl easy handle: a request goes in, what came of it comes out, and it is ready for the next.

Part of the HTTP seam (`channels_app/http.py`), which is the only user. Setting an option costs as
much as a system call, so what is the same for all requests is set once, and what is the same as the
last time is not set again.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import certifi
import pycurl

from channels_app.addresses import AllowedNetworks
from channels_app.base import Request, Response
from channels_app.no_answer import NoAnswer, Reason, reason_of

#: How much of an answer's body is kept. Providers' error objects are a few hundred bytes.
MAX_ANSWER_BYTES = 64 * 1024

#: How long opening a connection may take, within the time of the whole exchange.
CONNECT_TIMEOUT_S = 10.0

#: A connection older than this is not used again, so that a name's new address is noticed.
MAX_CONNECTION_AGE_S = 600

#: What each handle keeps for requests on their way out: the least that libcurl allows, a quarter of what it takes
#: unless told. A larger body leaves in pieces of that size.
_SEND_BUFFER_BYTES = 16 * 1024

_USER_AGENT = "Belfry"

Ended = Response | NoAnswer


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for all requests of one `Exchanges`.

    `ca_file` is a PEM bundle of the authorities to trust instead of the system's.
    """

    allowed: AllowedNetworks = field(default_factory=AllowedNetworks)
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


class CurlHandle:
    """One libcurl easy handle, used for one request after another; what never changes is set once."""

    __slots__ = (
        "_blocked",
        "_body_bytes",
        "_born",
        "_chunks",
        "_lines",
        "_method",
        "_opened",
        "_rules",
        "_timeout_s",
        "_url",
        "curl",
        "tag",
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
        self._born: socket.socket | None = None
        self.curl = pycurl.Curl()
        self.curl.handle = self
        for option, value in _fixed_options(rules.ca_file).items():
            self.curl.setopt(option, value)
        self.curl.setopt(pycurl.HEADERFUNCTION, self._lines.append)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._on_body)
        self.curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        self.curl.setopt(pycurl.SOCKOPTFUNCTION, self._take_over_socket)

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
        if status < 200 or not _are_whole(self._lines):
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

    def _no_answer(self, code: int, text: str) -> NoAnswer:
        getinfo = self.curl.getinfo
        sent = getinfo(pycurl.REQUEST_SIZE) > 0
        only_blocked = self._blocked > 0 and self._opened == 0
        reason = Reason.BLOCKED if only_blocked else reason_of(code, getinfo(pycurl.OS_ERRNO), sent=sent)
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
        try:
            self._born = socket.socket(address.family, address.socktype, address.protocol)
        except OSError:  # out of file descriptors, or a family that this machine does not speak
            return pycurl.SOCKET_BAD
        return self._born

    def _take_over_socket(self, fd: int, _purpose: int) -> int:
        # pycurl works on a duplicate of what `_open_socket` returned, and child processes would inherit it.
        os.set_inheritable(fd, False)
        if self._born is not None:
            self._born.close()
            self._born = None
        return int(pycurl.SOCKOPT_OK)


def _are_whole(lines: list[bytes]) -> bool:
    """Whether the header lines of the final answer came to their end. Trailers may stand after it."""
    for line in reversed(lines):
        if line in _BLANK_LINES:
            return True
        if line.startswith(b"HTTP/"):
            return False
    return False


_BLANK_LINES = frozenset({b"\r\n", b"\n"})

_WITHOUT_BODY = frozenset({"GET", "HEAD"})


@lru_cache(maxsize=8)
def _fixed_options(ca_file: str) -> dict[int, Any]:
    return {
        pycurl.NOSIGNAL: 1,
        pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
        pycurl.FOLLOWLOCATION: 0,
        pycurl.PROXY: "",  # the empty text also switches off the proxies of the environment
        pycurl.NETRC: pycurl.NETRC_IGNORED,
        pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
        pycurl.HTTP_CONTENT_DECODING: 0,
        pycurl.HTTP09_ALLOWED: 0,
        pycurl.MAXLIFETIME_CONN: MAX_CONNECTION_AGE_S,
        pycurl.SSL_VERIFYPEER: 1,
        pycurl.SSL_VERIFYHOST: 2,
        pycurl.CAINFO: ca_file or _system_authorities(),
        pycurl.USERAGENT: _USER_AGENT,
        pycurl.UPLOAD_BUFFERSIZE: _SEND_BUFFER_BYTES,
    }


def _system_authorities() -> str:
    """The PEM bundle of the system where it has one (an operator may have added to it), else certifi's."""
    return ssl.get_default_verify_paths().cafile or certifi.where()


def _header_lines(headers: Mapping[str, str]) -> list[str]:
    prefixes, missing = _header_names(tuple(headers))
    # libcurl drops a header whose value is empty, unless a semicolon stands in place of the colon.
    lines = [
        prefix + value if value else f"{prefix[:-2]};" for prefix, value in zip(prefixes, headers.values(), strict=True)
    ]
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
