"""Programs of other people: whether they are here, running them, and what they say when they fail."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from eval.harness.model_specs import LoadError, ReconstructionError

AT_ONCE = 2  # programs side by side in a batch
TIMEOUT_S = 300.0

T = TypeVar("T")
R = TypeVar("R")


def missing(programs: Sequence[str], package: str) -> str | None:
    """What to do about those of the programs that are not on the PATH; None when all are there."""
    absent = [program for program in programs if shutil.which(program) is None]
    if not absent:
        return None
    return f"the program {' and '.join(absent)} is not on the PATH: apt-get install {package} (Debian's name of it)"


def require(programs: Sequence[str], package: str) -> None:
    """Raise LoadError, naming the package, unless all programs are there."""
    problem = missing(programs, package)
    if problem:
        raise LoadError(problem)


def run(command: Sequence[str | Path], timeout_s: float = TIMEOUT_S) -> str:
    """Run a program, and return what it printed. Raises ReconstructionError with the last line of its errors."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise ReconstructionError(f"{words[0]} did not end within {timeout_s:g} s") from error
    except OSError as error:
        raise ReconstructionError(f"{words[0]} cannot be started: {error}") from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise ReconstructionError(f"{words[0]} ended with {done.returncode}: {lines[-1] if lines else 'no message'}")
    return done.stdout


def side_by_side(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`function` of each item, AT_ONCE at a time, in the items' order; the first failure is raised."""
    if len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(function, items))


def probe_signal(rate: int) -> np.ndarray:
    """A second of a fixed sweep and noise, float32 (S,): what a program makes of it tells one build from another."""
    time = np.arange(rate) / rate
    noise = np.random.default_rng(0).standard_normal(rate)
    return (0.3 * np.sin(2 * np.pi * (100 + 900 * time) * time) + 0.02 * noise).astype(np.float32)
