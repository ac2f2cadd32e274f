"""The command `llmcodec lm score`."""

from __future__ import annotations

import argparse
import functools
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from soundcodec_llmcodec import tokens as token_files
from soundcodec_llmcodec.cli.codec_choice import TOKEN_ENDING, load_codec
from soundcodec_llmcodec.cli.command_errors import CommandError
from soundcodec_llmcodec.data import SOUND_ENDINGS
from soundcodec_llmcodec.data.token_corpus import TokenCorpus, TokenSource, token_ids
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.lm.loading import load_token_lm
from soundcodec_llmcodec.lm.score_summary import ScoreSummary, score_all
from soundcodec_llmcodec.lm.scores import TokenLM

_COLUMNS = {
    "input": "input",
    "lm": "LM",
    "prefix": "prefix",
    "clips": "clips",
    "tokens": "tokens",
    "bits_per_token": "bits/token (audio)",
    "bits_per_token_full": "bits/token (full)",
    "perplexity": "perplexity (audio)",
    "bits_per_second": "bit/s",
}


@dataclass(frozen=True, eq=False)
class _Input:
    """What is scored: clips of tokens int64 (N,), and whose they are."""

    label: str
    source: TokenSource
    clips: list[np.ndarray]


def score(arguments: argparse.Namespace) -> int:
    """Print what each input costs under each model. Returns the exit status."""
    if not arguments.inputs:
        raise CommandError(
            "nothing to score: give INPUT, before --lm, which takes every word after it for a language model"
        )
    if arguments.batch_tokens < 1:
        raise CommandError(f"expected --batch-tokens of 1 or more, got {arguments.batch_tokens}")
    models: dict[tuple[str, str], TokenLM] = {}
    rows = []
    for item in _inputs(arguments):
        for spec in arguments.lm:
            key = (spec, item.source.codec_hash)
            if key not in models:
                models[key] = load_token_lm(spec, item.source, arguments.device, arguments.dtype)
            lm = models[key]
            scores = score_all(lm, item.clips, batch_tokens=arguments.batch_tokens, progress=not arguments.quiet)
            rows.append(_row(spec, lm, item, ScoreSummary.of(scores)))
    print(json.dumps(rows, indent=2) if arguments.json else _table(rows))
    return 0


def _inputs(arguments: argparse.Namespace) -> list[_Input]:
    """What is to be scored, in the order given; the codec is loaded where a file needs it."""
    places = [Path(text) for text in arguments.inputs]
    is_file = [path.suffix.lower() in (*SOUND_ENDINGS, TOKEN_ENDING) for path in places]
    missing = next(
        (path for path, names_a_file in zip(places, is_file, strict=True) if names_a_file and not path.is_file()), None
    )
    if missing is not None:
        raise CommandError(f"there is no file {missing}")
    codec = functools.cache(lambda: load_codec(arguments.codec, arguments.device))
    inputs = []
    for text, path, names_a_file in zip(arguments.inputs, places, is_file, strict=True):
        if names_a_file:
            inputs.append(_of_file(path, codec))
        else:
            corpus = TokenCorpus.open(text)
            inputs.append(_Input(corpus.label, corpus.source, corpus.ids()))
    return inputs


def _of_file(path: Path, codec: Callable[[], LLMCodec]) -> _Input:
    """A token file's tokens, or a sound file's by the codec; each channel is a clip."""
    is_stored = path.suffix.lower() == TOKEN_ENDING
    tokens = token_files.load(path) if is_stored else codec().encode(os.fspath(path))
    sizes = (tokens.codec_sample_rate, tokens.hop_length, tokens.codebook_size, tokens.num_quantizers)
    if tokens.codec_hash is not None:
        source = TokenSource(tokens.codec_name or "a codec without a name", tokens.codec_hash, *sizes)
    else:
        source = TokenSource.of(codec())
        expected = (source.sample_rate, source.hop_length, source.codebook_size, source.num_quantizers)
        if sizes != expected:
            raise CommandError(
                f"{path} does not say which codec made it, and its tokens (rate, hop, codes, levels {sizes}) are not "
                f"those of {source.codec_name} {expected}; name its codec with --codec"
            )
    return _Input(path.name, source, [token_ids(channel.T.reshape(-1).numpy(), source) for channel in tokens.codes])


def _row(spec: str, lm: TokenLM, item: _Input, summary: ScoreSummary) -> dict[str, Any]:
    return {
        "input": item.label,
        "lm": spec,
        "name": lm.name,
        "prefix": lm.prefix,
        "clips": summary.clips,
        "tokens": summary.tokens,
        "bits_per_token": summary.audio_bits,
        "bits_per_token_full": summary.full_bits,
        "perplexity": summary.audio_perplexity,
        "perplexity_full": summary.full_perplexity,
        "bits_per_second": summary.audio_bits * item.source.token_rate,
        "vocabulary_size": lm.vocabulary_size,
        "full_size": lm.full_size,
        "codec_hash": item.source.codec_hash,
        "lm_identity": lm.identity,
    }


def _table(rows: Sequence[dict[str, Any]]) -> str:
    """A Markdown table."""
    cells = [list(_COLUMNS.values())]
    for row in rows:
        values = [row[name] for name in _COLUMNS]
        cells.append([f"{value:.3f}" if isinstance(value, float) else str(value) for value in values])
    widths = [max(len(line[column]) for line in cells) for column in range(len(_COLUMNS))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" for line in lines)
