"""A process that reads cases one after another, its memory limited and measured, and dies alone."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import tempfile
import time
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

MIB = 1 << 20
# A case may hold this, and so many times what its files and its result hold: copies of both are made on the way.
SPARE = 64 * MIB
TIMES_FILE, TIMES_RESULT = 16, 4
# Address space beyond that of a worker that has read one sound case: what is asked for, even if it is never touched.
ADDRESS_SPACE = 768 * MIB
PATIENCE_S = 20.0
_START_S = 180.0
_NO_MEMORY = ("allocate memory", "bad_alloc", "malloc of size", "realloc of size", "out of memory")


@dataclass(frozen=True)
class Outcome:
    """How a case ended: "accepted", an error's name, or what went wrong; memory in bytes, time in seconds."""

    kind: str
    failure: str | None = None
    memory: int = 0
    seconds: float = 0.0


class Worker:
    """One target's reader in a process of its own, started again when it dies or hangs."""

    def __init__(self, target: str, sound: dict[str, bytes]) -> None:
        self.target, self.sound = target, sound
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self, files: dict[str, bytes]) -> Outcome:
        """The outcome of one case."""
        if self._pipe is None:
            self._start()
        assert self._pipe is not None
        began = time.monotonic()
        try:
            self._pipe.send(files)
            if not self._pipe.poll(PATIENCE_S):
                self.stop()
                return Outcome("hang", f"no answer within {PATIENCE_S:g} s", seconds=time.monotonic() - began)
            return self._pipe.recv()
        except (EOFError, OSError):
            code = self._ended()
            return Outcome("crash", f"the process ended with {code}", seconds=time.monotonic() - began)

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._ended()

    def _ended(self) -> int | None:
        assert self._process is not None
        assert self._pipe is not None
        self._process.join()
        code = self._process.exitcode
        self._pipe.close()
        self._process = self._pipe = None
        return code

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self.target, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.send(self.sound)
        if not self._pipe.poll(_START_S):
            raise TimeoutError(f"a worker for {self.target} did not start")
        first: Outcome = self._pipe.recv()
        if first.failure is not None:
            raise RuntimeError(f"a sound case of {self.target} fails: {first.failure}")


def _serve(name: str, pipe: Connection) -> None:
    """Read cases until the other end closes; the first is a sound one, after which memory is limited."""
    # Many arenas would each take address space that nobody asked for.
    os.environ["MALLOC_ARENA_MAX"] = "1"
    warnings.simplefilter("ignore")
    from fuzzing.targets import TARGETS

    target = TARGETS[name]
    with open(os.devnull, "w") as nowhere:
        # Libraries write about damaged files to the standard error output.
        os.dup2(nowhere.fileno(), 2)
    limited = False
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        while True:
            try:
                files = pipe.recv()
            except EOFError:
                return
            place = Path(scratch) / "case"
            _write(place, files)
            # The first case imports libraries, which are no part of what a case costs.
            spare = SPARE if limited else 1 << 40
            outcome = _read(target, place, sum(map(len, files.values())), spare)
            if _ran_code(Path(scratch), place):
                outcome = Outcome("executed", "the file ran code")
            shutil.rmtree(place)
            pipe.send(outcome)
            if not limited:
                limited = True
                most = _status("VmSize") + ADDRESS_SPACE
                resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _read(target, place: Path, size: int, spare: int) -> Outcome:
    # Resets the peak, VmHWM.
    Path("/proc/self/clear_refs").write_text("5")
    before, began = _status("VmRSS"), time.monotonic()
    kind, failure, result = "accepted", None, 0
    # A future holds whatever error there was: any other than the documented ones is what is looked for.
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(target.read, place)
    error = future.exception()
    if error is None:
        result = future.result()
    else:
        kind = type(error).__name__
        if kind not in target.errors or _asked_too_much(error):
            failure = "".join(traceback.format_exception(error))[-3_000:]
    seconds = time.monotonic() - began
    memory = max(0, _status("VmHWM") - before)
    allowed = spare + TIMES_FILE * size + TIMES_RESULT * result
    if failure is None and memory > allowed:
        failure = f"{memory / MIB:.0f} MiB for a case of {size:,} bytes, {allowed / MIB:.0f} allowed ({kind})"
    return Outcome(kind, failure, memory, seconds)


def _ran_code(*folders: Path) -> bool:
    """Whether the mark that a crafted file would make is in one of these folders."""
    from fuzzing.crafted import MARK

    return any((folder / MARK).exists() for folder in folders)


def _asked_too_much(error: BaseException | None) -> bool:
    """Whether an error, or one behind it, is of memory that was not to be had: a refusal by luck alone."""
    while error is not None:
        if isinstance(error, MemoryError) or any(word in str(error) for word in _NO_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


def _write(place: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    place.mkdir(exist_ok=True)


def _status(field: str) -> int:
    """A size of this process in bytes, from /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)
