"""The figures as Markdown tables: models by rows, and what the tokens are."""

from __future__ import annotations

import math

import pandas as pd

from eval.harness.reporting import NOT_FOR_REPORTING, SHORT_HASH
from eval.harness.statistics import RESAMPLES
from eval.predictability.estimates import Estimate, PredictabilityEstimates
from eval.predictability.predictability_run import PredictabilityRun
from eval.predictability.token_sets import MINI, same_clips
from soundcodec_llmcodec.measures.code_use import codes_used


def mark(run: PredictabilityRun, limit: int | None) -> str | None:
    """What a title says when its numbers must not be quoted."""
    if any(tokens.test_label == MINI for tokens in run.tokens):
        return f"{NOT_FOR_REPORTING} (synthetic clips)"
    return f"{NOT_FOR_REPORTING} (--limit {limit})" if limit is not None else None


def markdown(run: PredictabilityRun, limit: int | None = None) -> str:
    """The table of models, that of the tokens, and what the columns mean."""
    note = mark(run, limit)
    title = f"## Predictability of tokens: {', '.join(dict.fromkeys(tokens.test_label for tokens in run.tokens))}"
    parts = [
        title + (f" -- {note}" if note else ""),
        _as_markdown(frame(run), 3),
        "### The tokens",
        _as_markdown(codecs(run), 3),
        "\n".join([*warnings(run), *legend(run)]),
    ]
    return "\n\n".join(parts)


def frame(run: PredictabilityRun) -> pd.DataFrame:
    """A row for each codec and model."""
    return pd.DataFrame([_row(estimates) for estimates in run.rows])


def codecs(run: PredictabilityRun) -> pd.DataFrame:
    """A row for each codec: how many tokens there are, and how many codes are in use."""
    rows = []
    for tokens in run.tokens:
        size = tokens.source.vocabulary_size
        train = "two-fold" if tokens.train is None else f"{sum(map(len, tokens.train)):,}"
        rows.append(
            {
                "codec": tokens.label,
                "hash": tokens.source.codec_hash[:SHORT_HASH],
                "test": tokens.test_label,
                "clips": f"{len(tokens.clips):,}",
                "seconds": f"{tokens.seconds.sum():.0f}",
                "tokens": f"{tokens.n_tokens:,}",
                "tokens/s": f"{tokens.tokens_per_s:.2f}",
                "tokens counted": train,
                "codes used": f"{codes_used(tokens.clips):,}/{size:,}",
                "bit/s stored": f"{tokens.tokens_per_s * math.log2(size):.1f}",
            }
        )
    return pd.DataFrame(rows)


def legend(run: PredictabilityRun) -> list[str]:
    """What the columns mean."""
    lines = [
        "- nats, ppl, bits a token, bit/s: over the audio vocabulary, the codec's tokens alone, whose probabilities "
        "sum to one; full: over everything that the model knows (text, begin, end), which is never less",
        f"- [95% interval]: {RESAMPLES} resamples of the clips, a clip counting by its tokens; bit/s: bits a token "
        "times the tokens a second of these clips",
        "- explained: 1 - bits / the unigram's bits on the same tokens; what a context is worth, 0% for the unigram",
        "- prefix: bos: a begin token stands before a clip and every token is scored; none: the first token is not",
        "- unigram, bigram, trigram: counted with interpolated absolute discounting",
    ]
    if any(tokens.train is None for tokens in run.tokens):
        lines.append("- two-fold: each half of the clips is predicted by counts of the other half")
    if len(run.tokens) > 1:
        lines.append("- codecs differ in tokens a second and in codes: compare bit/s, not perplexities")
    return lines


def _row(estimates: PredictabilityEstimates) -> dict[str, str]:
    scored = estimates.scored
    return {
        "codec": estimates.codec,
        "model": scored.name,
        "prefix": scored.prefix,
        "nats/token": _interval(estimates.audio_nats, 3),
        "ppl": _number(estimates.audio_nats.exp().mean),
        "bits/token": f"{estimates.bits.mean:.3f}",
        "bit/s": _interval(estimates.bits_per_s, 1),
        "explained": _interval(estimates.explained.times(100), 1, "%"),
        "full: nats/token": f"{estimates.full_nats.mean:.3f}",
        "full: ppl": _number(estimates.full_nats.exp().mean),
        "full: tokens known": f"{scored.full_size:,}",
        "clips": f"{estimates.n_clips:,}",
        "tokens": f"{estimates.n_tokens:,}",
    }


def warnings(run: PredictabilityRun) -> list[str]:
    """What was left out, and what does not compare."""
    lines = [f"- {left_out.codec}, {left_out.model}: left out: {left_out.reason}" for left_out in run.left_out]
    for tokens in run.tokens:
        if tokens.repeated:
            lines.append(
                f"- WARNING: {tokens.label}: {tokens.repeated} of {len(tokens.clips)} test clips have the very tokens "
                "of a clip that was counted, so the counted models know them"
            )
    if len(run.tokens) > 1 and not same_clips(run.tokens):
        lines.append("- WARNING: the codecs' test clips are not the same, so their figures do not compare")
    return lines


def _interval(estimate: Estimate, digits: int, unit: str = "") -> str:
    text = f"{estimate.mean:.{digits}f}{unit}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def _as_markdown(table: pd.DataFrame, n_text: int) -> str:
    alignment = ["left"] * n_text + ["right"] * (table.shape[1] - n_text)
    return table.to_markdown(index=False, disable_numparse=True, colalign=alignment)
