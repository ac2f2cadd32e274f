"""What a run leaves behind: results.json, clips.jsonl and table.md, each written whole or not at all."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from eval.corpora import Corpus
from eval.leaderboard import OVERALL, SplitTable
from eval.runner import ModelRun, Run, SplitRun
from soundcodec_llmcodec.files import written_whole

SCHEMA = "soundcodec-llmcodec/superb-tiny"
SCHEMA_VERSION = 1
PACKAGES = ("datasets", "librosa", "numpy", "pesq", "pystoi", "scipy", "soundfile", "soxr", "torch")


@dataclasses.dataclass(frozen=True)
class Settings:
    """How the run was asked for."""

    command_line: tuple[str, ...]
    batch_size: int
    workers: int
    device: str
    limit: int | None


def document(run: Run, tables: Sequence[SplitTable], corpus: Corpus, settings: Settings) -> dict[str, Any]:
    """Everything but the single clips, as JSON-ready data."""
    splits = [table.split for table in tables]
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "for_reporting": settings.limit is None and not corpus.synthetic,
        "command_line": list(settings.command_line),
        "settings": {key: value for key, value in dataclasses.asdict(settings).items() if key != "command_line"},
        "versions": versions(),
        "platform": {"system": platform.platform(), "machine": platform.machine(), "cpus": os.cpu_count()},
        "dataset": {
            "name": corpus.name,
            "label": corpus.label,
            "synthetic": corpus.synthetic,
            "revision": corpus.revision,
            "fingerprint": run.fingerprint,
            "clips": {table.split: table.n_clips for table in tables},
        },
        "metrics": {
            metric.name: {
                key: value for key, value in dataclasses.asdict(metric).items() if key not in ("name", "compute")
            }
            for metric in run.metrics
        },
        "models": [
            {
                **dataclasses.asdict(model.info),
                "splits": {table.split: _split(table, model, _split_run(model, table.split)) for table in tables},
            }
            for model in run.models
        ],
        "splits": splits,
    }


def clip_rows(run: Run) -> Iterator[dict[str, Any]]:
    """One row for each model and clip."""
    for model in run.models:
        for clip in model.overall.clips:
            row = {key: value for key, value in vars(clip).items() if key != "scores"}
            row["checkpoint_hash"] = model.info.checkpoint_hash
            row["scores"] = {name: score.value for name, score in clip.scores.items()}
            row["reasons"] = {name: score.reason for name, score in clip.scores.items() if score.reason is not None}
            yield row


def check_folder(folder: Path) -> None:
    """Raise OSError where `write` could not write into this folder, or not make it. Nothing is left behind."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        raise NotADirectoryError(f"cannot write results to {folder}: {there} is a file; name a folder")
    try:
        # Permissions alone do not tell: a disk may be read-only, and root passes them.
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise OSError(f"cannot write results to {folder}: {there}: {error.strerror or error}") from error


def write(folder: Path, contents: dict[str, Any], rows: Iterator[dict[str, Any]], table: str) -> None:
    """Write the three files into a folder, which is made where it is missing; results.json comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    text = json.dumps(contents, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    for name, content in (("clips.jsonl", lines), ("table.md", table + "\n"), ("results.json", text)):
        with written_whole(folder / name) as path:
            path.write_text(content, encoding="utf-8")


def versions() -> dict[str, str | None]:
    """The versions that can change a number."""
    from soundcodec_llmcodec import __version__

    found: dict[str, str | None] = {"python": platform.python_version(), "soundcodec-llmcodec": __version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def _split_run(model: ModelRun, split: str) -> SplitRun:
    return model.overall if split == OVERALL else model.splits[split]


def _split(table: SplitTable, model: ModelRun, split_run: SplitRun) -> dict[str, Any]:
    return {
        "n": len(split_run.clips),
        "failures": [{"split": c.split, "id": c.clip_id, "reason": c.failure} for c in split_run.failures],
        "codes_used": len(split_run.codes) if model.info.codebook_size else None,
        "audio_s": split_run.audio_s,
        "wall_s": split_run.wall_s,
        "real_time_factor": split_run.real_time_factor,
        "metrics": {name: dataclasses.asdict(by_model[model.info.name]) for name, by_model in table.summaries.items()},
    }
