"""The product's Celery app, in a process that can be ordered to have bad luck (`project.chaos.traps`)."""

from __future__ import annotations

from pathlib import Path

import django

from project import env
from project.celery import app

django.setup()

from project.chaos import traps  # noqa: E402  its wrappers go around what exists only now

__all__ = ["app"]

traps.obey(Path(env.HOME.read()), Path(env.READY_FILE.read()).stem)
