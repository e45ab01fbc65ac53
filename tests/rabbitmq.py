"""A RabbitMQ of our own for tests: its own node, ports, folders and cookie, gone at the end."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from project.embedded.home import free_port

_STARTS_WITHIN_S = 60.0

#: Debian's wrapper changes the user when root calls it; the server behind it does not.
_BEHIND_THE_WRAPPER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class RabbitMQ:
    """`with RabbitMQ(folder) as broker: broker.url`."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self._epmd_port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}//"

    def __enter__(self) -> Self:
        (self._folder / "plugins").write_text("[].")
        with (self._folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [self._program()], env=self._environment(), stdout=output, stderr=output, start_new_session=True
            )
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "output").read_text()[-2000:])
            time.sleep(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        subprocess.run(["epmd", "-port", str(self._epmd_port), "-kill"], capture_output=True, check=False)

    def kill(self) -> None:
        """The whole group: the script, and the virtual machine that it became."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def empty(self) -> None:
        """Forget everything; only while it does not run."""
        shutil.rmtree(self._folder / "mnesia", ignore_errors=True)

    def _program(self) -> str:
        return str(_BEHIND_THE_WRAPPER) if _BEHIND_THE_WRAPPER.exists() else shutil.which("rabbitmq-server") or ""

    def _environment(self) -> dict[str, str]:
        folder = str(self._folder)
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": folder,
            "RABBITMQ_NODENAME": f"belfry{self._port}@localhost",
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": f"{folder}/none",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=0.5):
            return True
        return False
