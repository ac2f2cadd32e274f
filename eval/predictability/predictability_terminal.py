"""Predictability as a terminal shows it: a compact table, and the lines that say what it means."""

from __future__ import annotations

from collections.abc import Callable

from eval.harness.statistics import RESAMPLES
from eval.harness.terminal_table import CompactCell, CompactTable, Terminal, below, number, render
from eval.predictability import predictability_table
from eval.predictability.estimates import Estimate, PredictabilityEstimates
from eval.predictability.predictability_run import PredictabilityRun

_PERPLEXITY = "ppl ↓"
_COLUMNS: dict[str, tuple[Callable[[PredictabilityEstimates], Estimate], int, str]] = {
    "bit/s ↓": (lambda estimates: estimates.bits_per_s, 1, "lower"),
    "bits/token ↓": (lambda estimates: estimates.bits, 3, "lower"),
    "explained % ↑": (lambda estimates: estimates.explained.times(100), 1, "higher"),
    "nats/token ↓": (lambda estimates: estimates.audio_nats, 3, "lower"),
    _PERPLEXITY: (lambda estimates: estimates.audio_nats.exp(), 1, "lower"),
}


def compact(run: PredictabilityRun, limit: int | None = None) -> CompactTable:
    """Codec, model, and what the model needs for the codec's tokens."""
    mark = predictability_table.mark(run, limit)
    data = ", ".join(dict.fromkeys(estimates.test_label for estimates in run.tokens))
    title = f"Predictability of tokens: {data}" + (f" -- {mark}" if mark else "")
    best = {name: _best(run, name) for name in _COLUMNS}
    rows = []
    for place, estimates in enumerate(run.rows):
        cells = []
        for name, (of, digits, _) in _COLUMNS.items():
            estimate = of(estimates)
            cell = number(estimate.mean, estimate.low, estimate.high, digits)
            # A perplexity's interval is far from symmetric: half of it says nothing.
            half = None if name == _PERPLEXITY else cell.half
            cells.append(CompactCell(cell.value, half, best=best[name] == place))
        rows.append(((estimates.codec, estimates.scored.name), tuple(cells)))
    reasons = tuple(line.removeprefix("- ") for line in predictability_table.warnings(run))
    return CompactTable(title, ("codec", "model"), tuple(_COLUMNS), tuple(rows), reasons, 2)


def text(table: CompactTable, run: PredictabilityRun, terminal: Terminal, full: str) -> str:
    """What is printed; `full` says where the whole table is."""
    tokens = "; ".join(f"{part.label} {len(part.clips):,} clips, {part.n_tokens:,} tokens" for part in run.tokens)
    notes = [
        tokens,
        f"over the codec's own tokens; ± half of the 95% interval ({RESAMPLES} resamples of the clips)",
        "explained: the share of the unigram's bits that the context is worth",
    ]
    if any(cell.best for _, cells in table.rows for cell in cells):
        notes.append("bold: its interval is apart from every other model's")
    if len(run.tokens) > 1:
        notes.append("codecs differ in tokens a second and in codes: compare bit/s alone between them")
    return "\n\n".join([render(table, terminal), below([*notes, f"all columns: {full}"], terminal)])


def _best(run: PredictabilityRun, name: str) -> int | None:
    """The place of the row whose interval is apart from those of all others; None where there is none.

    Between codecs, only bits a second compare.
    """
    if len(run.tokens) > 1 and not name.startswith("bit/s"):
        return None
    of, _, direction = _COLUMNS[name]
    sign = 1 if direction == "lower" else -1
    estimates = [of(estimate) for estimate in run.rows]
    if len(estimates) < 2 or any(estimate.low is None for estimate in estimates):
        return None
    ends = [sorted((sign * (estimate.low or 0.0), sign * (estimate.high or 0.0))) for estimate in estimates]
    best = min(range(len(ends)), key=lambda place: sign * estimates[place].mean)
    return best if all(ends[best][1] < end[0] for place, end in enumerate(ends) if place != best) else None
