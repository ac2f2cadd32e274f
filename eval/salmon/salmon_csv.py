"""A SALMon run's tables as CSV, from what results.json and pairs.jsonl hold: numbers as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from eval.harness.table_files import csv_text, estimate_columns

_MODEL = ("codec", "codec_hash", "lm", "lm_identity", "lm_prefix", "vocabulary_size", "token_rate", "bitrate_bps")
_COSTS = ("lm_parameters", "encode_s", "score_s", "audio_s", "timed_pairs", "pairs_per_s")
_ESTIMATE = ("accuracy", "low", "high", "n", "failed", "right", "ties", "p_adjusted")


def table_csv(document: Mapping[str, Any]) -> str:
    """A row for each normalization and model; accuracies are shares in [0, 1]."""
    return csv_text(_rows(document))


def pairs_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """A row for each model and pair: both log-likelihoods in nats, and their difference by normalization."""
    return csv_text(
        {key: value for key, value in row.items() if key != "difference"}
        | {f"difference_{how}": value for how, value in row["difference"].items()}
        for row in rows
    )


def _rows(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for model in document["models"]:
        for how, scores in model["scores"].items():
            row = {"normalize": how, "model": model["name"], **{key: model.get(key) for key in _MODEL}}
            for part, summary in (*scores["parts"].items(), ("average", scores["average"] or {})):
                row |= estimate_columns(part, summary, _ESTIMATE)
                compared = scores["against_baseline"].get(part, {})
                row |= {f"{part}_difference": compared.get("difference")}
                row |= {f"{part}_difference_p_adjusted": compared.get("p_adjusted")}
            yield row | {key: model.get(key) for key in _COSTS}
