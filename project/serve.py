"""Become one process of Belfry: `python -m project.serve ROLE`. For containers and service managers.

Nothing embedded: the environment must say everything (docs/settings.md).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from project import env
from project.roles import ROLES, Place, command_line

_PORTS = {"web": 8000, "rt": 8001}


def main() -> None:
    parser = argparse.ArgumentParser(prog="project.serve", description=__doc__)
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--host", default="0.0.0.0", help="where web or rt listens (%(default)s)")
    parser.add_argument("--port", type=int, help=f"where web ({_PORTS['web']}) or rt ({_PORTS['rt']}) listens")
    parser.add_argument(
        "--folder", type=Path, default=Path("/tmp"), help="where beat keeps its sign of life (%(default)s)"
    )
    options = parser.parse_args()
    port = options.port or _PORTS.get(options.role, 0)
    command = command_line(options.role, Place(options.host, port, options.folder, live_port=port))
    os.execve(command[0], command, dict(env.inherited()))


if __name__ == "__main__":
    main()
