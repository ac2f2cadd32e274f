"""Stages of a row, run one after the other; one that is done with the same settings is not done again."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.harness import journal, manifest
from eval.harness.journal import JournalError, lock
from experiments.tradeoff.tradeoff_rows import ExperimentError
from soundcodec_llmcodec.files import written_whole

ROOT = Path(__file__).resolve().parents[2]
RECORD = "stages.json"


@dataclass(frozen=True)
class Stage:
    """A command, or work in this process, that leaves `made`.

    `settings` are values that are written to a YAML file first. `unfinished` says what is missing of what was made,
    None where nothing is: a training that was stopped leaves files too. `source` says what it begins with: a
    hash of the midpoint or of another row's codec. `measures` is the folder of a stage that measures: with other
    settings it is emptied and measured anew, where other stages are refused.
    """

    name: str
    made: Path
    command: tuple[str, ...] = ()
    work: Callable[[], Any] | None = None
    settings: tuple[Path, Mapping[str, Any]] | None = None
    unfinished: Callable[[], str | None] | None = None
    source: str | None = None
    measures: Path | None = None

    def digest(self, before: str) -> str:
        """What decides its result, and that of the stages before it."""
        values = None if self.settings is None else self.settings[1]
        parts = [before, self.name, self.command, str(self.made), values]
        if self.source is not None:
            parts.append(self.source)
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def recorded(folder: Path) -> dict[str, dict[str, Any]]:
    """What was begun of a row, by stage in order: seconds, command, digest, and whether it finished."""
    path = folder / RECORD
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def is_finished(entry: Mapping[str, Any]) -> bool:
    """Whether a stage's record says that it ended well; records that do not say were written at the end."""
    return bool(entry.get("finished", True))


def run_row(stages: Iterable[Stage], folder: Path, threads: int) -> None:
    """Run a row's stages in order, and note in stages.json what each took; attempts that were stopped count, except
    what a killed process did.

    Raises ExperimentError where a stage fails or ends early, where one was begun with other settings, whose leftovers
    it would go on from, and where another process runs the row.
    """
    digest = ""
    with _alone(folder):
        for stage in stages:
            digest = stage.digest(digest)
            record = recorded(folder)
            begun = record.get(stage.name)
            if begun is not None and begun.get("digest") != digest:
                _make_way(stage, folder)
                begun = None
            if begun is not None and is_finished(begun) and stage.made.exists():
                continue
            # What came after is of what was there before.
            before = dict(_until(record, stage.name))
            spent = 0.0 if begun is None or is_finished(begun) else begun["seconds"]
            entry = {"seconds": spent, "command": list(stage.command), "digest": digest, "finished": False}
            _write(folder, {**before, stage.name: entry})
            clock = time.monotonic()
            try:
                _do(stage, folder, threads)
                entry["finished"] = True
            finally:
                entry["seconds"] = round(spent + time.monotonic() - clock, 1)
                _write(folder, {**before, stage.name: entry})


def _make_way(stage: Stage, folder: Path) -> None:
    """Make room for a stage with other settings than were noted, where that loses nothing but measures."""
    if stage.measures is None:
        raise ExperimentError(
            f"{folder.name}: {stage.name} was begun with other settings, or what it starts from has changed; "
            f"remove {folder}, or name another --out"
        )
    journal.discard(stage.measures)
    manifest.discard(stage.measures)
    stage.made.unlink(missing_ok=True)


def _until(record: Mapping[str, dict[str, Any]], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for other, entry in record.items():
        if other == name:
            return
        yield other, entry


def _write(folder: Path, record: Mapping[str, Any]) -> None:
    with written_whole(folder / RECORD) as path:
        path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a row's folder, which is made where there is none, against other processes."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "running.lock").open("a") as file:
        try:
            lock(file, folder)
        except JournalError as error:
            raise ExperimentError(f"{folder.name}: another process runs this row in {folder}") from error
        yield


def _do(stage: Stage, folder: Path, threads: int) -> None:
    if stage.settings is not None:
        import yaml

        path, values = stage.settings
        path.write_text(yaml.safe_dump(dict(values), sort_keys=False), encoding="utf-8")
    if stage.work is not None:
        stage.work()
    else:
        _run(stage, folder, threads)
    missing = stage.unfinished() if stage.unfinished is not None else None
    if missing is not None:
        raise ExperimentError(f"{folder.name}: {stage.name} ended early: {missing}; the same command goes on")


def _run(stage: Stage, folder: Path, threads: int) -> None:
    log = folder / f"{stage.name}.log"
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    with log.open("w", encoding="utf-8") as out:
        code = subprocess.run(stage.command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT).returncode
    if code:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = lines[-1] if lines else ""
        raise ExperimentError(f"{folder.name}: {stage.name} ended with {code}: {last} (see {log})")
