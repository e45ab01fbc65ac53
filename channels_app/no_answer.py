"""A request that got no answer: why, in Belfry's words, and what that means for the delivery.

libcurl's own messages can name the host and, in odd cases, parts of the URL, in which many
providers keep their secret. So the texts are ours; libcurl's number stands beside them. Only for
TLS, where the number says too little, its message is kept: it speaks of certificates alone.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import StrEnum

import pycurl

from channels_app.outcomes import Outcome, Verdict


class Reason(StrEnum):
    """Why a request got no answer."""

    #: The name does not lead to an address.
    DNS = "dns"
    #: Nobody listens on that port.
    REFUSED = "refused"
    #: The network has no way there.
    UNREACHABLE = "unreachable"
    #: Connecting, or waiting for the status line and headers, took too long.
    TIMEOUT = "timeout"
    #: The certificate is not to be trusted, or the TLS handshake failed.
    TLS = "tls"
    #: The connection ended before an answer came.
    RESET = "reset"
    #: What came back is not HTTP.
    GARBAGE = "garbage"
    #: The address is neither public nor opened by the operator.
    BLOCKED = "blocked"
    #: The URL or a header cannot be sent as it stands.
    INVALID = "invalid"
    #: Anything else that libcurl may report.
    FAILED = "failed"

    def explain(self, curl_code: int, curl_text: str) -> str:
        """A sentence for people, without secrets."""
        sentence = _SENTENCES[self]
        if self is Reason.TLS and curl_text:
            return f"{sentence} {curl_text[:_MAX_TLS_TEXT_CHARS]}"
        return f"{sentence} (libcurl {curl_code})" if curl_code else sentence


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """What is known about a request that got no answer.

    `sent` says whether any byte of the request left this machine: if so, nobody knows whether the
    far end acted on it.
    """

    reason: Reason
    detail: str
    sent: bool
    connection_was_reused: bool


def verdict_of(no_answer: NoAnswer) -> Verdict:
    """What it means for the delivery: worth another try, unless the channel's own settings are at fault."""
    outcome = Outcome.PERMANENT if no_answer.reason in _OF_THE_SETTINGS else Outcome.TRANSIENT
    return Verdict(outcome, 0, no_answer.detail)


def reason_of(curl_code: int, os_errno: int = 0, *, sent: bool = False) -> Reason:
    """The reason behind a libcurl result code; `os_errno` is the system's word on a failed connection."""
    if curl_code == pycurl.E_COULDNT_CONNECT:
        return Reason.REFUSED if os_errno == errno.ECONNREFUSED else Reason.UNREACHABLE
    if sent and curl_code == pycurl.E_UNSUPPORTED_PROTOCOL:
        return Reason.GARBAGE  # libcurl's way to say that the answer has no status line
    if curl_code == pycurl.E_OK:
        return Reason.RESET  # it makes do with headers that break off; we do not
    return _REASONS.get(curl_code, Reason.FAILED)


_MAX_TLS_TEXT_CHARS = 200

_OF_THE_SETTINGS = frozenset({Reason.BLOCKED, Reason.INVALID})

_SENTENCES = {
    Reason.DNS: "The host's name could not be resolved.",
    Reason.REFUSED: "The connection was refused.",
    Reason.UNREACHABLE: "The host could not be reached.",
    Reason.TIMEOUT: "No answer came in time.",
    Reason.TLS: "No safe connection could be made.",
    Reason.RESET: "The connection was closed before an answer came.",
    Reason.GARBAGE: "What came back is not HTTP.",
    Reason.BLOCKED: "The address is not public. BELFRY_ALLOWED_NETWORKS can open its network.",
    Reason.INVALID: "The URL or a header cannot be sent as it stands.",
    Reason.FAILED: "The request failed.",
}

_REASONS = {
    pycurl.E_COULDNT_RESOLVE_HOST: Reason.DNS,
    pycurl.E_OPERATION_TIMEDOUT: Reason.TIMEOUT,
    pycurl.E_URL_MALFORMAT: Reason.INVALID,
    pycurl.E_UNSUPPORTED_PROTOCOL: Reason.INVALID,
    pycurl.E_SEND_ERROR: Reason.RESET,
    pycurl.E_RECV_ERROR: Reason.RESET,
    pycurl.E_GOT_NOTHING: Reason.RESET,
    pycurl.E_PARTIAL_FILE: Reason.RESET,
    pycurl.E_FTP_WEIRD_SERVER_REPLY: Reason.GARBAGE,
    pycurl.E_WRITE_ERROR: Reason.GARBAGE,
    pycurl.E_SSL_CONNECT_ERROR: Reason.TLS,
    pycurl.E_PEER_FAILED_VERIFICATION: Reason.TLS,
    pycurl.E_SSL_CACERT_BADFILE: Reason.TLS,
    pycurl.E_SSL_CERTPROBLEM: Reason.TLS,
    pycurl.E_SSL_CIPHER: Reason.TLS,
    pycurl.E_SSL_ISSUER_ERROR: Reason.TLS,
    pycurl.E_SSL_INVALIDCERTSTATUS: Reason.TLS,
}
