"""What was freed goes back to the system, also from below something that is still in use."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from notifications import draining, freed_memory
from project.outside import World
from tests.notifications.scene import channel_at, drain, many_deliveries

_BLOCK_BYTES, _BLOCKS = 32 * 1024, 2000


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.skipif(freed_memory._trim is None, reason="this C library has nothing to give back by hand")
def test_what_was_freed_below_something_in_use_goes_back_to_the_system() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    blocks = [libc.malloc(_BLOCK_BYTES) for _ in range(_BLOCKS)]
    for block in blocks:
        libc.memset(block, 1, _BLOCK_BYTES)
    *freed, kept = blocks
    for block in freed:
        libc.free(block)
    full = resident_bytes()
    freed_memory.give_back()
    assert full - resident_bytes() > _BLOCK_BYTES * _BLOCKS / 2
    libc.free(kept)


@pytest.mark.django_db(transaction=True)
def test_a_pump_that_moved_much_gives_its_memory_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[None] = []
    monkeypatch.setattr(freed_memory, "give_back", lambda: times.append(None))
    channels = [channel_at(world.sink_url(f"memory/{number}")) for number in range(4)]
    many_deliveries(channels[:1], 3)
    drain()
    assert times == []
    many_deliveries(channels, draining.MUCH // 4)
    drain()
    assert times == [None]
