"""What a codec takes of memory beyond being loaded, measured alike whatever ran before it in this process.

A process's size says little by itself: the allocator keeps what one model gave back, and the next one seems to take
less. So the measured pass, which nobody times, runs with every larger block mapped by itself, and given back when it
is freed; timed passes run with the allocator as it would be after a long run.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

MIB = 2**20
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
# glibc's mallopt: parameters, and the sizes between which it moves by itself.
_PASSES = 2
_TRIM, _MAP = -1, -3
_SMALL, _LARGE = 64 * 2**10, 32 * 2**20


def peak_mib(device: str, work: Callable[[], Any]) -> float | None:
    """The most memory (MiB) on the device that `work` takes beyond what is taken before it; the lesser of two passes,
    as chance only adds.

    None where the system does not tell: on the CPU, without Linux and glibc.
    """
    if device.startswith("cuda"):
        return _cuda(device, work)
    libc = _glibc()
    if libc is None:
        return None
    libc.mallopt(_MAP, _SMALL)
    try:
        return min(_resident(libc, work) for _ in range(_PASSES))
    except OSError:
        return None
    finally:
        settle()


def settle() -> None:
    """Put the allocator where a long run would bring it, so that no model is timed with another one's history."""
    libc = _glibc()
    if libc is not None:
        libc.mallopt(_MAP, _LARGE)
        libc.mallopt(_TRIM, 2 * _LARGE)


def _resident(libc: Any, work: Callable[[], Any]) -> float:
    gc.collect()
    libc.malloc_trim(0)
    _CLEAR.write_text("5")  # starts the kernel's high-water mark anew
    before = _status("VmRSS")
    work()
    return max(_status("VmHWM") - before, 0) / MIB


def _cuda(device: str, work: Callable[[], Any]) -> float:
    import torch

    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    work()
    torch.cuda.synchronize(device)
    return max(torch.cuda.max_memory_allocated(device) - before, 0) / MIB


@functools.cache
def _glibc() -> Any | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None


def _status(key: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024
