"""How many exchanges a second the HTTP seam makes, and what one costs of this process's CPU.

    python -m benchmarks.http_seam [--count 100000] [--in-flight 100] [--body-bytes 300]

Against a sink of our own in another process, which answers 204 at once over kept-alive loopback
connections. Prints one JSON line: `exchanges, in_flight, body_bytes, per_s, cpu_us`. The sink takes
part of the machine too, so believe `cpu_us` before `per_s`. What flatters us: loopback, no TLS, one
host, answers without a body.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import time
from multiprocessing.connection import Connection

from channels_app.http import AllowedNetworks, Exchanges, Request, Response, Rules

_ANSWER = b"HTTP/1.1 204 No Content\r\nServer: sink\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"


class Sink(asyncio.Protocol):
    """Answers each request with 204. Understands `Content-Length` alone, as libcurl sends it."""

    def __init__(self) -> None:
        self.seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.seen += data
        while (end := self.seen.find(b"\r\n\r\n")) >= 0:
            length_at = self.seen.find(b"Content-Length: ", 0, end)
            length = int(self.seen[length_at + 16 : self.seen.index(b"\r", length_at)]) if length_at >= 0 else 0
            if len(self.seen) < end + 4 + length:
                return
            self.seen = self.seen[end + 4 + length :]
            self.transport.write(_ANSWER)


async def _serve(tell_port: Connection) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
    tell_port.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def sink_process(tell_port: Connection) -> None:
    """Run the sink until terminated; its port goes through `tell_port`."""
    asyncio.run(_serve(tell_port))


def measure(port: int, *, count: int, in_flight: int, body_bytes: int) -> dict[str, float]:
    """Make `count` exchanges with the sink on `port`, `in_flight` at a time."""
    rules = Rules(allowed=AllowedNetworks.of(["127.0.0.0/8"]))
    with Exchanges[int](rules) as exchanges:
        _run(exchanges, port, count=in_flight * 10, in_flight=in_flight, body=b"x" * body_bytes)
        wall, cpu = time.perf_counter(), time.process_time()
        _run(exchanges, port, count=count, in_flight=in_flight, body=b"x" * body_bytes)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "exchanges": count,
        "in_flight": in_flight,
        "body_bytes": body_bytes,
        "per_s": round(count / wall),
        "cpu_us": round(cpu / count * 1e6, 1),
    }


def _run(exchanges: Exchanges[int], port: int, *, count: int, in_flight: int, body: bytes) -> None:
    request = _request(f"http://127.0.0.1:{port}/hooks/1", body)
    started = ended = 0
    while ended < count:
        while started < count and exchanges.in_flight < in_flight:
            exchanges.start(started, request, timeout_s=10.0)
            started += 1
        for _, end in exchanges.poll(1.0):
            assert isinstance(end, Response), end
            assert end.status == 204, end
            ended += 1


def _request(url: str, body: bytes) -> Request:
    headers = {
        "content-type": "application/json",
        "webhook-id": "msg_0190b5a2c7e37d4e8f1a2b3c4d5e6f70_1234567",
        "webhook-timestamp": "1700000000",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    return Request(url, body, headers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--in-flight", type=int, default=100)
    parser.add_argument("--body-bytes", type=int, default=300)
    options = parser.parse_args()
    hear_port, tell_port = multiprocessing.Pipe(duplex=False)
    sink = multiprocessing.Process(target=sink_process, args=(tell_port,), daemon=True)
    sink.start()
    try:
        print(json.dumps(measure(hear_port.recv(), **vars(options))))
    finally:
        sink.terminate()


if __name__ == "__main__":
    main()
