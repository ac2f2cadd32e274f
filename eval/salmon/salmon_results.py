"""What a run leaves behind: results.json, pairs.jsonl and table.md, each written whole or not at all.

results.json has the table for both normalizations, whichever was asked for; pairs.jsonl has a row for each model and
pair with both log-likelihoods, so that any other can be computed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.harness import results, statistics
from eval.salmon import accuracy
from eval.salmon.pair_samples import PairSamples
from eval.salmon.pair_scores import NORMALIZATIONS, PairScore, SalmonModelRun, SalmonRun
from eval.salmon.salmon_parts import PARTS
from eval.salmon.salmon_schema import SCHEMA
from eval.salmon.salmon_table import AVERAGE, Table, pairs_per_s, tables, title
from eval.salmon.suite import Suite

PACKAGES = ("datasets", "numpy", "pyroomacoustics", "scipy", "soundfile", "soxr", "torch", "transformers")
FILES = results.files(SCHEMA)


@dataclasses.dataclass(frozen=True)
class SalmonSettings:
    """How the run was asked for; `mark` says why its numbers are not for reporting, where they are not."""

    command_line: tuple[str, ...]
    normalize: str
    batch_size: int
    device: str
    limit: int | None = None
    mark: str | None = None
    baseline: str | None = None


def document(
    run: SalmonRun,
    table: Table,
    suite: Suite,
    settings: SalmonSettings,
    samples: PairSamples | None = None,
    published: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Everything but the single pairs, as JSON-ready data. Accuracies are shares in [0, 1], published ones in %."""
    by_how = {how: table if how == table.normalize else tables(run, how, settings.baseline) for how in NORMALIZATIONS}
    return {
        **results.heading(
            SCHEMA,
            mark=settings.mark,
            command_line=settings.command_line,
            settings={key: getattr(settings, key) for key in ("normalize", "batch_size", "device", "limit")},
            statistics={
                "chance": accuracy.CHANCE,
                "confidence": accuracy.CONFIDENCE,
                "seed": statistics.SEED,
                "bootstrap_resamples": statistics.RESAMPLES,
                "sign_flips": statistics.FLIPS,
                "max_failed_share": statistics.MAX_FAILED_SHARE,
            },
            packages=PACKAGES,
        ),
        "suite": {
            "name": suite.name,
            "label": suite.label,
            "synthetic": suite.synthetic,
            "revision": suite.revision,
            "fingerprint": run.fingerprint,
        },
        "normalize": table.normalize,
        "baseline": settings.baseline,
        "parts": {part: _part(part, n) for part, n in table.pairs.items()},
        "models": [
            *(_model(model, by_how) for model in run.models),
            *({"name": unloaded.name, "failure": unloaded.reason, "scores": {}} for unloaded in run.unloaded),
        ],
        "published": list(published),
        "samples": [row for part in table.pairs for row in (samples.pairs_of(part) if samples else ())],
        "failures": [
            {"model": model.info.name, "part": score.part, "id": score.pair_id, "reason": score.failure}
            for model in run.models
            for score in _scores(model, table.pairs)
            if score.failure is not None
        ],
    }


def pair_rows(run: SalmonRun) -> Iterator[dict[str, Any]]:
    """One row for each model and pair: what the records have, and the difference by normalization."""
    for model in run.models:
        identity = {
            "model": model.info.name,
            "codec_hash": model.info.codec_hash,
            "lm_identity": model.info.lm_identity,
        }
        for score in _scores(model, run.parts):
            yield {**identity, **score.row(), "difference": {how: score.difference(how) for how in NORMALIZATIONS}}


def write(folder: Path, contents: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], table_text: str) -> None:
    """Write the three files into a folder, which is made where it is missing; results.json comes last."""
    results.write(folder, SCHEMA, contents, rows, table_text)


def _part(part: str, n_pairs: int) -> dict[str, Any]:
    return {"title": title(part), "about": PARTS[part].about if part in PARTS else None, "pairs": n_pairs}


def _model(model: SalmonModelRun, by_how: Mapping[str, Table]) -> dict[str, Any]:
    name = model.info.name
    scores = {
        how: {
            "parts": {
                part: dataclasses.asdict(column.accuracies[name])
                for part, column in table.columns.items()
                if part != AVERAGE
            },
            "average": dataclasses.asdict(table.columns[AVERAGE].accuracies[name])
            if AVERAGE in table.columns
            else None,
            "against_baseline": {
                part: dataclasses.asdict(column.comparisons[name])
                for part, column in table.columns.items()
                if name in column.comparisons
            },
        }
        for how, table in by_how.items()
    }
    costs = {key: getattr(model, key) for key in ("encode_s", "score_s", "audio_s", "timed_pairs")}
    return {
        **dataclasses.asdict(model.info),
        "failure": None,
        **costs,
        "pairs_per_s": pairs_per_s(model),
        "scores": scores,
    }


def _scores(model: SalmonModelRun, parts: Iterable[str]) -> list[PairScore]:
    return [score for part in parts for score in model.scores[part]]
