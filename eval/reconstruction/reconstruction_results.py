"""What a run leaves behind: results.json, clips.jsonl and table.md, each written whole or not at all.

The schema of both JSON files is described in docs/evaluate.md.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.harness import results, statistics
from eval.harness.clips import ClipCorpus
from eval.harness.statistics import MetricColumn
from eval.reconstruction.clip_results import CodecRun, ReconstructionRun, SplitRun
from eval.reconstruction.clip_samples import ClipSamples
from eval.reconstruction.reconstruction_schema import SCHEMA
from eval.reconstruction.reconstruction_table import SplitTable

FILES = results.files(SCHEMA)


@dataclasses.dataclass(frozen=True)
class ReconstructionSettings:
    """How the run was asked for; `rules` names whose rules made the scores, where they are not the metrics' own."""

    command_line: tuple[str, ...]
    batch_size: int
    workers: int
    device: str
    limit: int | None
    mark: str | None = None
    rules: str | None = None
    baseline: str | None = None


def document(
    run: ReconstructionRun,
    tables: Sequence[SplitTable],
    corpus: ClipCorpus,
    settings: ReconstructionSettings,
    samples: ClipSamples | None = None,
    published: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Everything but the single clips, as JSON-ready data."""
    return {
        **results.heading(
            SCHEMA,
            mark=settings.mark,
            about_scores={"rules": settings.rules},
            command_line=settings.command_line,
            settings={key: getattr(settings, key) for key in ("batch_size", "workers", "device", "limit")},
            statistics={
                "seed": statistics.SEED,
                "bootstrap_resamples": statistics.RESAMPLES,
                "sign_flips": statistics.FLIPS,
                "exact_up_to_clips": statistics.EXACT_UP_TO,
                "max_failed_share": statistics.MAX_FAILED_SHARE,
            },
        ),
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
                key: getattr(metric, key)
                for key in ("definition", "unit", "direction", "value_range", "source", "version", "judge")
            }
            for metric in run.metrics
        },
        "splits": [table.split for table in tables],
        "baseline": settings.baseline,
        "models": [
            *(_model(model, tables) for model in run.models),
            *(_unloaded(codec.name, codec.reason) for codec in run.unloaded),
        ],
        "originals": None if run.originals is None else _originals(run.originals, tables),
        "published": list(published),
        "samples": _samples(run, samples),
        "failures": [
            {"model": model.info.name, "split": clip.split, "id": clip.clip_id, "reason": clip.failure}
            for model in run.models
            for clip in model.overall.failures
        ],
    }


def clip_rows(run: ReconstructionRun) -> Iterator[dict[str, Any]]:
    """One row for each model and clip, and for the originals where a metric has a floor."""
    for model in (*run.models, *([run.originals] if run.originals else [])):
        for clip in model.overall.clips:
            yield {**clip.row(), "checkpoint_hash": model.info.checkpoint_hash}


def write(folder: Path, contents: Mapping[str, Any], rows: Iterator[dict[str, Any]], table: str) -> None:
    """Write the three files into a folder, which is made where it is missing; results.json comes last."""
    results.write(folder, SCHEMA, contents, rows, table)


def _model(model: CodecRun, tables: Sequence[SplitTable]) -> dict[str, Any]:
    splits = {table.split: _split(table, model, model.part(table.split)) for table in tables}
    info = dataclasses.asdict(model.info)
    if not info["teachers"]:
        del info["teachers"]
    return {**info, "failure": None, "splits": splits}


def _unloaded(name: str, reason: str) -> dict[str, Any]:
    return {"name": name, "kind": None, "failure": reason, "splits": {}}


def _split(table: SplitTable, model: CodecRun, split_run: SplitRun) -> dict[str, Any]:
    info, usage = model.info, split_run.usage
    size = info.codebook_size
    n_by_source = Counter(clip.source for clip in split_run.clips)
    return {
        "n": len(split_run.clips),
        "failures": [{"split": c.split, "id": c.clip_id, "reason": c.failure} for c in split_run.failures],
        "bitrate_bps": split_run.counted_bps if info.bitrate_bps is None else info.bitrate_bps,
        "bitrate_counted": info.bitrate_bps is None and split_run.counted_bps is not None,
        "token_rate": info.token_rate,
        "codes_used": None if size is None else len(usage.codes),
        "codes_total": None if size is None else size * (info.num_quantizers or 1),
        "entropy_bits": None if size is None else usage.entropy_bits(size),
        "audio_s": split_run.audio_s,
        "timed_s": usage.timed_s,
        "encode_s": usage.encode_s,
        "decode_s": usage.decode_s,
        "encode_rtf": split_run.encode_rtf,
        "decode_rtf": split_run.decode_rtf,
        "peak_memory_mib": usage.peak_mib,
        "metrics": _summaries(table.columns, info.name),
        "sources": {
            source: {"n": n_by_source[source], "metrics": _summaries(columns, info.name)}
            for source, columns in table.sources.items()
        },
        "against_baseline": {
            metric: dataclasses.asdict(column.comparisons[info.name])
            for metric, column in table.columns.items()
            if info.name in column.comparisons
        },
    }


def _originals(originals: CodecRun, tables: Sequence[SplitTable]) -> dict[str, Any]:
    """The clips themselves, in the shape of a model that has values of the metrics with a floor only."""
    splits = {}
    for table in tables:
        run = originals.part(table.split)
        n_by_source = Counter(clip.source for clip in run.clips)
        splits[table.split] = {
            "n": len(run.clips),
            "metrics": _floors(table.columns),
            "sources": {
                source: {"n": n_by_source[source], "metrics": _floors(columns)}
                for source, columns in table.sources.items()
            },
        }
    return {"name": originals.info.name, "kind": originals.info.kind, "splits": splits}


def _floors(columns: Mapping[str, MetricColumn]) -> dict[str, Any]:
    return {
        name: dataclasses.asdict(column.originals) for name, column in columns.items() if column.originals is not None
    }


def _summaries(columns: Mapping[str, MetricColumn], model: str) -> dict[str, Any]:
    return {metric: dataclasses.asdict(column.summaries[model]) for metric, column in columns.items()}


def _samples(run: ReconstructionRun, samples: ClipSamples | None) -> list[dict[str, Any]]:
    if samples is None:
        return []
    failed = {(c.model, c.split, c.clip_id) for model in run.models for c in model.overall.failures}
    samples_kept = []
    for clip in run.models[0].overall.clips:
        if not samples.wants(clip.index):
            continue
        names = [m.info.name for m in run.models if (m.info.name, clip.split, clip.clip_id) not in failed]
        files = samples.files_of(clip.split, clip.index, names)
        if files is not None:
            about = {key: getattr(clip, key) for key in ("split", "clip_id", "source", "rate", "seconds")}
            samples_kept.append({**about, **files})
    return samples_kept
