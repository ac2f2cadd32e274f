"""Damaged files for everything that reads one: nothing may crash, hang, run code or ask for absurd memory.

    python benchmarks/fuzz.py --cases 20000 --seed 0
    python benchmarks/fuzz.py --replay fuzz-failures/audio-123.zip

A case passes when the reader accepts it or refuses it with its documented error (`fuzzing/targets.py` has the table),
within 20 s and within 64 MiB + 16 times the files' size + 4 times the result's size of resident memory, measured at its
peak, and 768 MiB of address space beyond a worker at rest. A case that fails is kept as a zip to be replayed. The same
seed gives the same cases. Linux only: memory is read from /proc.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

from fuzzing.targets import TARGETS
from fuzzing.worker import MIB, Outcome, Worker
from tqdm import tqdm


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000, help="of all targets together, by their shares")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--targets", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"), help="where failing cases are kept")
    parser.add_argument("--replay", type=Path, help="a case that was kept")
    arguments = parser.parse_args()
    if arguments.replay:
        return replay(arguments.replay)
    print("| target | cases | accepted | refused | failures | most memory, MiB | slowest, s |")
    print("| --- | ---: | ---: | --- | ---: | ---: | ---: |")
    shares = sum(TARGETS[name].share for name in arguments.targets)
    failed = 0
    for name in arguments.targets:
        cases = max(1, round(arguments.cases * TARGETS[name].share / shares))
        failed += sum(outcome.failure is not None for outcome in run(name, cases, arguments.seed, arguments.failures))
    return 1 if failed else 0


def run(name: str, cases: int, seed: int, failures: Path) -> list[Outcome]:
    """Read so many cases of a target, keep those that fail, and print its row."""
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as scratch:
        seeds = target.seeds(Path(scratch))
    outcomes = []
    with Worker(name, warm_up(name, seeds)) as worker:
        for index in tqdm(range(cases), desc=name, disable=None):
            files = target.damage(seeds, random.Random(f"{seed}-{name}-{index}"))
            outcome = worker.run(files)
            outcomes.append(outcome)
            if outcome.failure is not None:
                kept = keep(failures / f"{name}-{index}.zip", name, files)
                print(f"{kept}: {outcome.kind}: {outcome.failure}", file=sys.stderr)
    print(row(name, outcomes), flush=True)
    return outcomes


def warm_up(name: str, seeds: list[dict[str, bytes]]) -> dict[str, bytes]:
    """The case that a worker starts with; no case of the pickles is sound, so theirs is refused."""
    return seeds[0]


def row(name: str, outcomes: list[Outcome]) -> str:
    """A target's line of the table."""
    fine = Counter(outcome.kind for outcome in outcomes if outcome.failure is None)
    accepted = fine.pop("accepted", 0)
    refused = ", ".join(f"{kind} {count}" for kind, count in sorted(fine.items())) or "0"
    failed = sum(outcome.failure is not None for outcome in outcomes)
    memory = max(outcome.memory for outcome in outcomes) / MIB
    slowest = max(outcome.seconds for outcome in outcomes)
    return f"| {name} | {len(outcomes)} | {accepted} | {refused} | {failed} | {memory:.0f} | {slowest:.2f} |"


def keep(path: Path, name: str, files: dict[str, bytes]) -> Path:
    """Write a case to a zip, its target in the comment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = name.encode()
        for file, content in files.items():
            archive.writestr(file, content)
    return path


def replay(path: Path) -> int:
    """Read one kept case and say how it ended."""
    with zipfile.ZipFile(path) as archive:
        name = archive.comment.decode()
        files = {file: archive.read(file) for file in archive.namelist()}
    with tempfile.TemporaryDirectory() as scratch:
        seeds = TARGETS[name].seeds(Path(scratch))
    with Worker(name, warm_up(name, seeds)) as worker:
        outcome = worker.run(files)
    print(f"{outcome.kind}, {outcome.memory / MIB:.0f} MiB, {outcome.seconds:.2f} s")
    if outcome.failure is not None:
        print(outcome.failure)
    return 1 if outcome.failure is not None else 0


if __name__ == "__main__":
    sys.exit(main())
