"""A reconstruction run as a terminal shows it: compact tables, and the lines that say what they mean."""

from __future__ import annotations

from collections.abc import Sequence

from eval.harness import published
from eval.harness.leading import ALPHA
from eval.harness.statistics import Comparison, MetricSummary
from eval.harness.terminal_table import BETTER, WORSE, CompactCell, CompactTable, Terminal, below, number, render
from eval.reconstruction import published_rows
from eval.reconstruction.clip_results import ReconstructionRun
from eval.reconstruction.metrics import Metric
from eval.reconstruction.own_judges import own_judges
from eval.reconstruction.reconstruction_table import OVERALL, SplitTable, judges_and_notes, kbps
from eval.reconstruction.scoring import ORIGINALS


def compact(table: SplitTable, run: ReconstructionRun, label: str, mark: str | None) -> CompactTable:
    """A split's table: model, kbit/s, and each metric compared with the baseline; clips that failed, where any did."""
    title = f"{table.split}: {label}, {table.n_clips} clips" + (f" -- {mark}" if mark else "")
    parts = {model.info.name: model.part(table.split) for model in run.models}
    failures = any(part.failures for part in parts.values())
    rows = []
    for model in run.models:
        name, part = model.info.name, parts[model.info.name]
        labels = (name, kbps(model, part), *([str(len(part.failures))] if failures else []))
        rows.append((labels, tuple(_metric_cell(table, metric, name) for metric in run.metrics)))
    if run.originals is not None:
        floors = ((metric, table.columns[metric.name].originals) for metric in run.metrics)
        cells = tuple(
            CompactCell("-") if floor is None else _summary_cell(floor, _shared(table, metric))
            for metric, floor in floors
        )
        rows.append(((ORIGINALS, "-", *(["-"] if failures else [])), cells))
    columns = tuple(_header(metric, _shared(table, metric), table.n_clips) for metric in run.metrics)
    return CompactTable(
        title, ("model", "kbit/s", *(["failed"] if failures else [])), columns, tuple(rows), table.reasons
    )


def compact_sources(table: SplitTable, run: ReconstructionRun) -> CompactTable:
    """A split's means by source: a row for each source and model."""
    rows = []
    for source, columns in table.sources.items():
        for model in run.models:
            summaries = [columns[metric.name].summaries[model.info.name] for metric in run.metrics]
            n = max((summary.n for summary in summaries), default=0)
            rows.append(((source, model.info.name, str(n)), tuple(_summary_cell(each, n) for each in summaries)))
        floors = [columns[metric.name].originals for metric in run.metrics]
        if any(floors):
            cells = tuple(CompactCell("-") if floor is None else _summary_cell(floor, floor.n) for floor in floors)
            rows.append(((source, ORIGINALS, str(max(floor.n for floor in floors if floor))), cells))
    columns_shown = tuple(f"{metric.name} {metric.arrow}" for metric in run.metrics)
    reasons = () if table.sources else ("left out: there are too many sources",)
    return CompactTable(f"{table.split} by source", ("source", "model", "n"), columns_shown, tuple(rows), reasons, 2)


def compact_published(split: str) -> CompactTable | None:
    """The published rows of a split; None where there are none."""
    matches = [(row, row["splits"][split]) for row in published_rows.rows() if split in row["splits"]]
    if not matches:
        return None
    names = tuple(dict.fromkeys(name for _, values in matches for name in values))
    rows = tuple(
        (
            (row["label"], "-" if row["kbps"] is None else f"{row['kbps']:.3f}"),
            tuple(CompactCell(f"{values[name]:.3f}" if name in values else "-") for name in names),
        )
        for row, values in matches
    )
    notes = dict.fromkeys([*(row["note"] for row, _ in matches if row["note"]), matches[0][0]["source"]])
    return CompactTable(f"{split}: {published.MARK}", ("published model", "kbit/s"), names, rows, tuple(notes))


def text(
    tables: Sequence[SplitTable],
    run: ReconstructionRun,
    compacts: Sequence[CompactTable],
    terminal: Terminal,
    notes: Sequence[str],
    *,
    by_source: bool = False,
    published: bool = False,
) -> str:
    """All tables as the terminal shows them, and the notes below them."""
    parts = []
    for table, compact_table in zip(tables, compacts, strict=True):
        parts.append(render(compact_table, terminal))
        if by_source:
            parts.append(render(compact_sources(table, run), terminal))
        others = compact_published(table.split) if published else None
        parts += [render(others, terminal)] if others is not None else []
    parts += [f"- {codec.name}: not loaded: {codec.reason}" for codec in run.unloaded]
    return "\n\n".join([*parts, below(notes, terminal)])


def notes(tables: Sequence[SplitTable], run: ReconstructionRun, baseline: str | None, full: str) -> list[str]:
    """A line for each thing that the tables leave open; `full` says where the whole table is."""
    lines = ["± half of the 95% interval; ↓ lower is better, ↑ higher is better"]
    if any(column.comparisons for table in tables for column in table.columns.values()):
        lines.append(f"▲ better, ▼ worse than {baseline} on the same clips (p < {ALPHA})")
    if any(leader for table in tables for leader in table.leaders.values()):
        lines.append(f"bold: better than every other codec on the same clips (p < {ALPHA}), upper bounds apart")
    if any(_shared(table, metric) not in (None, table.n_clips) for table in tables for metric in run.metrics):
        lines.append("n=: clips on which every model has a value, where those are fewer than all")
    if any(
        summary.refused
        for table in tables
        for column in table.columns.values()
        for summary in column.summaries.values()
    ):
        lines.append("refused: no mean, too many clips have no value")
    if any(_rate.startswith("~") for table in tables for _rate in _rates(table, run)):
        lines.append("~ kbit/s: counted from what was coded")
    lines += [*judges_and_notes(run.metrics), *own_judges(run.models, run.metrics)]
    if run.originals is not None:
        lines.append(f"{ORIGINALS}: the clips themselves, which the same recogniser heard; no competitor")
    if any(table.split == OVERALL for table in tables):
        lines.append(f"{OVERALL}: over all clips; reasons for missing values stand below their splits")
    return [*lines, f"all columns: {full}"]


def _rates(table: SplitTable, run: ReconstructionRun) -> list[str]:
    return [kbps(model, model.part(table.split)) for model in run.models]


def _shared(table: SplitTable, metric: Metric) -> int | None:
    """The number of clips of a metric's means, the same for every model that has one; None where none has."""
    return max(
        (each.n for each in table.columns[metric.name].summaries.values() if each.mean is not None), default=None
    )


def _header(metric: Metric, n: int | None, n_clips: int) -> str:
    few = "" if n is None or n == n_clips else f" n={n}"
    return f"{metric.name} {metric.arrow}{few}"


def _metric_cell(table: SplitTable, metric: Metric, model: str) -> CompactCell:
    column = table.columns[metric.name]
    cell = _summary_cell(column.summaries[model], _shared(table, metric))
    mark = _mark(column.comparisons.get(model), metric)
    return CompactCell(cell.value, cell.half, cell.note, mark, table.leaders.get(metric.name) == model)


def _summary_cell(summary: MetricSummary, n: int | None) -> CompactCell:
    if summary.mean is None:
        return CompactCell("refused" if summary.refused else "-")
    cell = number(summary.mean, summary.low, summary.high)
    return cell if summary.n == n else CompactCell(cell.value, cell.half, f"(n={summary.n})")


def _mark(compared: Comparison | None, metric: Metric) -> int:
    if compared is None or compared.p_adjusted >= ALPHA or compared.difference == 0:
        return 0
    return BETTER if (compared.difference < 0) == (metric.direction == "lower") else WORSE
