"""Bad luck at an exact place: a worker that dies at a step, and a process whose clock jumps.

Orders are files in `<data folder>/orders/`, one for each process by name, so that they can be
given while it runs:

    worker-deliver.trap    `before-claim`, `after-claim` or `before-settle`: die there, once
    beat.clock             `3600`: the wall clock is an hour ahead from now on

Nothing of this is in the product. `project.chaos.worker` is the product's own Celery app with these
wrapped around it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from notifications.models import transitions
from notifications.states import State

BEFORE_CLAIM, AFTER_CLAIM, BEFORE_SETTLE = "before-claim", "after-claim", "before-settle"
_LOOK_EVERY_S = 0.05


def orders_folder(home: Path) -> Path:
    """Where the orders are."""
    return home / "orders"


def obey(home: Path, name: str) -> None:
    """From now on this process, known as `name`, obeys the orders for it."""
    folder = orders_folder(home)
    folder.mkdir(exist_ok=True)
    _set_trap(folder / f"{name}.trap")
    threading.Thread(target=_follow_clock, args=(folder / f"{name}.clock",), name="chaos-clock", daemon=True).start()


# --- Death at a step.


def _set_trap(order: Path) -> None:
    claim, settle = transitions.claim, transitions.settle

    def trapped_claim(*args: Any, **kwargs: Any) -> Any:
        _die_at(BEFORE_CLAIM, order)
        rows = claim(*args, **kwargs)
        if rows:
            _die_at(AFTER_CLAIM, order)
        return rows

    def trapped_settle(results: Any, **kwargs: Any) -> Any:
        if any(result.state is State.DELIVERED for result in results):
            _die_at(BEFORE_SETTLE, order)
        return settle(results, **kwargs)

    transitions.claim, transitions.settle = trapped_claim, trapped_settle


def _die_at(step: str, order: Path) -> None:
    try:
        if order.read_text() != step:
            return
        order.rename(order.with_suffix(".sprung"))
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


# --- A clock that jumps. Monotonic time goes on as it does when somebody sets the wall clock.

_shift = timedelta()
_real_time: Callable[[], float] = time.time
_RealDatetime = datetime


class _AnyDatetime(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _RealDatetime)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _RealDatetime)


class _ShiftedDatetime(_RealDatetime, metaclass=_AnyDatetime):
    """Makes real ones, and knows another `now`."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return _RealDatetime(*args, **kwargs)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Any:
        return _RealDatetime.now(tz) + _shift

    @classmethod
    def utcnow(cls) -> Any:
        return _RealDatetime.now(None) + _shift  # Who asks for it gets what the jumped clock says; tests run in UTC.


def _shifted_time() -> float:
    return _real_time() + _shift.total_seconds()


def _follow_clock(order: Path) -> None:
    global _shift  # noqa: PLW0603  one clock a process
    installed = False
    while True:
        try:
            wanted = timedelta(seconds=float(order.read_text() or 0))
        except (FileNotFoundError, ValueError):
            wanted = timedelta()
        if wanted != _shift:
            _shift = wanted
            if not installed:
                _replace(_real_time, _shifted_time)
                _replace(_RealDatetime, _ShiftedDatetime)
                installed = True
        time.sleep(_LOOK_EVERY_S)


def _replace(real: object, shifted: object) -> None:
    """Wherever a module has the one, it gets the other."""
    for module in list(sys.modules.values()):
        if module is sys.modules[__name__]:
            continue
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is real:
                setattr(module, name, shifted)
