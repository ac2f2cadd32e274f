"""A SALMon run as a terminal shows it: a compact table, and the lines that say what it means."""

from __future__ import annotations

from collections.abc import Mapping

from eval.harness import published
from eval.harness.leading import ALPHA
from eval.harness.terminal_table import BETTER, WORSE, CompactCell, CompactTable, number
from eval.salmon import accuracy, published_accuracies
from eval.salmon.accuracy import Accuracy, AccuracyColumn
from eval.salmon.pair_scores import SalmonRun
from eval.salmon.salmon_table import AVERAGE, HOW, Table, title

_BY_CHANCE = "*"


def compact(table: Table, run: SalmonRun, label: str, mark: str | None) -> CompactTable:
    """Model, kbit/s, and the accuracy of each part in %, compared with the baseline."""
    marked = f" -- {mark}" if mark else ""
    counts = set(table.pairs.values())
    n_pairs = f"{counts.pop()} pairs a part" if len(counts) == 1 else f"{sum(table.pairs.values())} pairs"
    failures = {
        model.info.name: sum(score.failure is not None for part in table.pairs for score in model.scores[part])
        for model in run.models
    }
    headers = {part: _header(part, column, table.pairs) for part, column in table.columns.items()}
    leaders = {part: _leader(table, run, part) for part in table.columns}
    rows = []
    for model in run.models:
        name = model.info.name
        labels = (
            name,
            f"{model.info.bitrate_bps / 1000:.3f}",
            *([str(failures[name])] if any(failures.values()) else []),
        )
        cells = tuple(_cell(column, name, leaders[part] == name) for part, column in table.columns.items())
        rows.append((labels, cells))
    head = ("model", "kbit/s", *(["failed"] if any(failures.values()) else []))
    about = f"SALMon: {label}, {n_pairs}, {HOW[table.normalize]}{marked}"
    return CompactTable(about, head, tuple(headers.values()), tuple(rows), table.reasons)


def compact_published() -> CompactTable:
    """The published rows."""
    rows = published_accuracies.rows()
    parts = published.document(published_accuracies.FILE)["columns"]
    lines = tuple(
        (
            (f"{row['name']} (published)",),
            tuple(CompactCell(f"{row['values'][part]:.1f}" if part in row["values"] else "-") for part in parts),
        )
        for row in rows
    )
    heads = tuple(title(part) for part in parts)
    sources = tuple(dict.fromkeys(row["source"] for row in rows))
    return CompactTable(f"{rows[0]['suite']}: {published.MARK}", ("published model",), heads, lines, sources)


def notes(table: Table, compact_table: CompactTable, full: str) -> list[str]:
    """A line for each thing that the table leaves open; `full` says where the whole table is."""
    columns = list(table.columns.values())
    accuracies = [accuracy for column in columns for accuracy in column.accuracies.values()]
    lines = [
        "accuracy in %, ± half of the 95% interval; ↑ higher is better, chance is 50",
        "a pair counts where the coherent recording is the likelier one; a tie is half",
    ]
    if any(accuracy.p_adjusted is not None and accuracy.p_adjusted < ALPHA for accuracy in accuracies):
        lines.append(f"{_BY_CHANCE} differs from chance (p < {ALPHA})")
    if any(column.comparisons for column in columns):
        lines.append(f"▲ better, ▼ worse than {table.baseline} on the same pairs (p < {ALPHA})")
    if len(table.pairs) > 1:
        lines.append(
            "Average: the mean of the parts; pairs: " + ", ".join(f"{title(p)} {n}" for p, n in table.pairs.items())
        )
    if any(accuracy.refused for accuracy in accuracies):
        lines.append("refused: no accuracy, too many pairs have no score")
    if any(cell.best for _, cells in compact_table.rows for cell in cells):
        lines.append(f"bold: better than every other model on the same pairs (p < {ALPHA})")
    return [*lines, f"all columns: {full}"]


def _header(part: str, column: AccuracyColumn, pairs: Mapping[str, int]) -> str:
    n = _shared(column)
    few = "" if n in (None, pairs.get(part)) or part == AVERAGE else f" n={n}"
    return f"{title(part)} ↑{few}"


def _shared(column: AccuracyColumn) -> int | None:
    return max((accuracy.n for accuracy in column.accuracies.values() if accuracy.accuracy is not None), default=None)


def _cell(column: AccuracyColumn, model: str, best: bool) -> CompactCell:
    accuracy: Accuracy = column.accuracies[model]
    if accuracy.accuracy is None:
        return CompactCell("refused")
    cell = number(accuracy.accuracy, accuracy.low, accuracy.high, digits=1, scale=100)
    chance = _BY_CHANCE if accuracy.p_adjusted is not None and accuracy.p_adjusted < ALPHA else ""
    compared = column.comparisons.get(model)
    mark = 0
    if compared is not None and compared.p_adjusted < ALPHA and compared.difference:
        mark = BETTER if compared.difference > 0 else WORSE
    return CompactCell(cell.value, f"{cell.half}{chance}" if cell.half else None, "", mark, best)


def _leader(table: Table, run: SalmonRun, part: str) -> str | None:
    """The model that is better than each of the others on the same pairs by more than noise; None where none is."""
    accuracies = table.columns[part].accuracies
    means = {name: one.accuracy for name, one in accuracies.items() if one.accuracy is not None}
    if len(means) < 2:
        return None
    best = max(means, key=lambda name: means[name])
    points = {
        each: {
            model.info.name: {score.pair_id: score.point(table.normalize) for score in model.scores[each]}
            for model in run.models
        }
        for each in (table.pairs if part == AVERAGE else [part])
    }
    columns = accuracy.columns(points, best)
    column = accuracy.average(points, columns, best) if part == AVERAGE else columns[part]
    compared = [column.comparisons[name] for name in means if name != best and name in column.comparisons]
    return best if compared and all(one.p_adjusted < ALPHA and one.difference < 0 for one in compared) else None
