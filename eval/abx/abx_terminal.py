"""ABX errors as a terminal shows them: a compact table a condition, and the lines that say what they mean."""

from __future__ import annotations

from collections.abc import Sequence

from eval.abx import abx_table
from eval.abx.abx_estimates import AbxEstimate
from eval.abx.abx_run import AbxRun
from eval.harness.statistics import RESAMPLES
from eval.harness.terminal_table import CompactCell, CompactTable, Terminal, below, number, render

_COLUMNS = ("within % ↓", "across % ↓", "triplets within", "across", "pairs", "speakers")


def compact(run: AbxRun) -> list[CompactTable]:
    """A table a condition: model, errors, and of how much."""
    tables = []
    for part in run.material.conditions:
        rows = [
            (
                (row.model,),
                (
                    _cell(row.within),
                    _cell(row.across),
                    CompactCell(f"{row.within.triplets:,}"),
                    CompactCell(f"{row.across.triplets:,}"),
                    CompactCell(f"{max(row.within.pairs, row.across.pairs):,}"),
                    CompactCell(str(max(row.within.speakers, row.across.speakers))),
                ),
            )
            for row in run.rows
            if row.condition == part.condition
        ]
        tables.append(CompactTable(f"{abx_table.title(run)}, {part.condition}", ("model",), _COLUMNS, tuple(rows)))
    return tables


def text(tables: Sequence[CompactTable], run: AbxRun, terminal: Terminal, full: str) -> str:
    """What is printed; `full` says where the whole table is."""
    material = run.material
    counts = material.counts
    notes = [
        f"{len(counts.clips):,} clips, {counts.seconds / 60:.1f} minutes; phones: {material.aligner}",
        *abx_table.warnings(run),
        f"0% is perfect, 50% chance; ± half of the 95% interval ({RESAMPLES} resamples of speakers and phones)",
        f"all columns: {full}",
    ]
    return "\n\n".join([*(render(table, terminal) for table in tables), below(notes, terminal)])


def _cell(estimate: AbxEstimate) -> CompactCell:
    if estimate.error is None:
        return CompactCell("-")
    return number(estimate.error, estimate.low, estimate.high, 2, 100.0)
