"""Probes as a terminal shows them: a compact table, and the lines that say what it means."""

from __future__ import annotations

from eval.harness.statistics import RESAMPLES
from eval.harness.terminal_table import CompactCell, CompactTable, Terminal, below, number, render
from eval.probes import probes_table
from eval.probes.probe_scores import MAJORITY, ProbeScore
from eval.probes.probes_run import ProbesHow, ProbesRun


def compact(run: ProbesRun, how: ProbesHow) -> CompactTable:
    """Representations by rows and tasks by columns, in per cent."""
    by_name = {(score.task, score.representation): score for probed in run.tasks for score in probed.scores}
    chance = tuple(CompactCell(f"{100 * probes_table.chance(probed):.1f}") for probed in run.tasks)
    names = [MAJORITY, *(features.representation.name for features in run.features)]
    rows = [((probes_table.CHANCE,), chance)]
    for name in names:
        rows.append(((name,), tuple(_cell(by_name[probed.clips.task.name, name]) for probed in run.tasks)))
    columns = tuple(f"{probed.clips.task.name} % ↑" for probed in run.tasks)
    title = probes_table.title(run, how)
    return CompactTable(title, ("representation",), columns, tuple(rows), tuple(probes_table.warnings(run)))


def text(table: CompactTable, run: ProbesRun, terminal: Terminal, full: str) -> str:
    """What is printed; `full` says where the whole table is."""
    notes = [
        f"{probed.clips.task.name}: {len(probed.clips.clips):,} clips, {len(probed.clips.sizes)} classes, "
        + (f"{probed.clips.task.group} held out" if probed.clips.task.group else "clips held out")
        for probed in run.tasks
    ]
    notes.append(f"accuracy out of fold; ± half of the 95% interval ({RESAMPLES} resamples)")
    return "\n\n".join([render(table, terminal), below([*notes, f"all columns: {full}"], terminal)])


def _cell(score: ProbeScore) -> CompactCell:
    value = score.accuracy
    return CompactCell("-") if value is None else number(value.value, value.low, value.high, 1, 100)
