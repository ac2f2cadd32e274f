"""What a run leaves behind: results.json, clips.jsonl and table.md, each written whole or not at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from eval.harness import results, statistics
from eval.predictability import predictability_table
from eval.predictability.estimates import Estimate, PredictabilityEstimates
from eval.predictability.predictability_run import PredictabilityRun
from eval.predictability.predictability_schema import SCHEMA
from eval.predictability.predictors import How
from eval.predictability.token_sets import TokenSet, same_clips
from soundcodec_llmcodec.measures.code_use import codes_used

PACKAGES = ("numpy", "peft", "pyarrow", "safetensors", "torch", "transformers")
FILES = results.files(SCHEMA, report=False)


def document(run: PredictabilityRun, how: How, command_line: Sequence[str], limit: int | None) -> dict[str, Any]:
    """Everything but the single clips, as JSON-ready data."""
    mark = predictability_table.mark(run, limit)
    return {
        **results.heading(
            SCHEMA,
            mark=mark,
            command_line=command_line,
            settings={"device": how.device, "dtype": how.dtype, "batch_tokens": how.batch_tokens, "limit": limit},
            statistics={"seed": statistics.SEED, "bootstrap_resamples": statistics.RESAMPLES, "confidence": 0.95},
            packages=PACKAGES,
        ),
        "same_clips": same_clips(run.tokens),
        "codecs": [_codec(tokens) for tokens in run.tokens],
        "models": [_model(estimates) for estimates in run.rows],
        "left_out": [dataclasses.asdict(model) for model in run.left_out],
    }


def clip_rows(run: PredictabilityRun) -> Iterator[dict[str, Any]]:
    """One row for each codec, model and clip: nats in whole over either vocabulary, of the scored tokens."""
    by_label = {tokens.label: tokens for tokens in run.tokens}
    for estimates in run.rows:
        tokens = by_label[estimates.codec]
        for place, clip_id in enumerate(tokens.clip_ids):
            yield {
                "codec": estimates.codec,
                "model": estimates.scored.name,
                "clip_id": clip_id,
                "seconds": float(tokens.seconds[place]),
                "tokens": len(tokens.clips[place]),
                "scored_tokens": int(estimates.clip_tokens[place]),
                "audio_nats": float(estimates.clip_audio[place]),
                "full_nats": float(estimates.clip_full[place]),
            }


def write(folder: Path, contents: dict[str, Any], run: PredictabilityRun, text: str) -> None:
    """Write the three files into a folder, which is made where it is missing; results.json comes last."""
    results.write(folder, SCHEMA, contents, clip_rows(run), text)


def _codec(tokens: TokenSet) -> dict[str, Any]:
    return {
        "label": tokens.label,
        **tokens.source.to_dict(),
        "vocabulary_size": tokens.source.vocabulary_size,
        "test": tokens.test_label,
        "train": tokens.train_label,
        "n_clips": len(tokens.clips),
        "n_tokens": tokens.n_tokens,
        "n_train_tokens": None if tokens.train is None else sum(map(len, tokens.train)),
        "seconds": float(tokens.seconds.sum()),
        "tokens_per_s": tokens.tokens_per_s,
        "codes_used": codes_used(tokens.clips),
        "train_codes_used": None if tokens.train is None else codes_used(tokens.train),
        "repeated_clips": tokens.repeated,
    }


def _model(estimates: PredictabilityEstimates) -> dict[str, Any]:
    scored = estimates.scored
    return {
        "codec": estimates.codec,
        "model": scored.name,
        "identity": scored.identity,
        "prefix": scored.prefix,
        "full_size": scored.full_size,
        "parameters": scored.parameters,
        "n_clips": estimates.n_clips,
        "n_tokens": estimates.n_tokens,
        "audio_vocabulary": _vocabulary(estimates.audio_nats),
        "full_vocabulary": _vocabulary(estimates.full_nats),
        "bits_per_token": dataclasses.asdict(estimates.bits),
        "bits_per_s": dataclasses.asdict(estimates.bits_per_s),
        "explained": dataclasses.asdict(estimates.explained),
    }


def _vocabulary(nats: Estimate) -> dict[str, Any]:
    return {"nats_per_token": dataclasses.asdict(nats), "perplexity": dataclasses.asdict(nats.exp())}
