"""Stages of a row, run one after the other; one that is done with the same settings is not done again."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.tradeoff.rows import ExperimentError
from soundcodec_llmcodec.files import written_whole

ROOT = Path(__file__).resolve().parents[2]
RECORD = "stages.json"


@dataclass(frozen=True)
class Stage:
    """A command, or work in this process, that leaves `made`.

    `settings` are values that are written to a YAML file first. `unfinished` says what is missing of what was made,
    None where nothing is: a training that was stopped leaves files too. `source` says what it begins with: a
    hash of the midpoint or of another row's codec.
    """

    name: str
    made: Path
    command: tuple[str, ...] = ()
    work: Callable[[], Any] | None = None
    settings: tuple[Path, Mapping[str, Any]] | None = None
    unfinished: Callable[[], str | None] | None = None
    source: str | None = None

    def digest(self, before: str) -> str:
        """What decides its result, and that of the stages before it."""
        values = None if self.settings is None else self.settings[1]
        told = [before, self.name, self.command, str(self.made), values]
        if self.source is not None:
            told.append(self.source)
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def run_row(stages: Iterable[Stage], folder: Path, threads: int) -> None:
    """Run a row's stages in order, and note what each took in stages.json: all attempts, stopped ones too.

    Raises ExperimentError where a stage fails or ends early, and where one was done with other settings.
    """
    digest = ""
    for stage in stages:
        digest = stage.digest(digest)
        record_path = folder / RECORD
        record = json.loads(record_path.read_text(encoding="utf-8")) if record_path.is_file() else {}
        begun = record.get(stage.name)
        same = begun is not None and begun.get("digest") == digest
        finished = begun is not None and begun.get("finished", True)
        if finished and not same:
            raise ExperimentError(
                f"{folder.name}: {stage.name} was done with other settings; remove {folder}, or name another --out"
            )
        if finished and stage.made.exists():
            continue
        # What came after is of what was there before; what was stopped goes on.
        record = {name: record[name] for name in list(record)[: list(record).index(stage.name)]} if begun else record
        before = begun["seconds"] if begun and same and not finished else 0.0
        folder.mkdir(parents=True, exist_ok=True)
        clock, finished = time.monotonic(), False
        try:
            _do(stage, folder, threads)
            finished = True
        finally:
            seconds = round(before + time.monotonic() - clock, 1)
            entry = {"seconds": seconds, "command": list(stage.command), "digest": digest, "finished": finished}
            with written_whole(record_path) as path:
                path.write_text(json.dumps({**record, stage.name: entry}, indent=2) + "\n", encoding="utf-8")


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
