"""A reconstruction leaderboard of codecs: `python eval/superb_tiny.py --models llmcodec identity`; see `--help`."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.harness import command, include
from eval.harness.command import DONE, INCOMPLETE
from eval.harness.model_specs import check_baseline, load_each
from eval.reconstruction import reconstruction_arguments

# torch comes with the rest, which is imported where it is used: worker processes import this file and do without.
if TYPE_CHECKING:
    from eval.harness.model_specs import Unloaded
    from eval.harness.terminal_table import CompactTable
    from eval.reconstruction.clip_journal import ClipJournal
    from eval.reconstruction.clip_results import ReconstructionRun
    from eval.reconstruction.clip_samples import ClipSamples
    from eval.reconstruction.codecs import CodecSpec, MeasuredCodec
    from eval.reconstruction.reconstruction_plan import ReconstructionPlan
    from eval.reconstruction.reconstruction_table import SplitTable
    from eval.reconstruction.score_cache import Cache
    from eval.reconstruction.scoring import Scorer


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parse, left_behind = reconstruction_arguments.parse, command.of_a_resumable_run
    return command.main("superb_tiny", argv, parse, _measure, left_behind)


def _measure(arguments: argparse.Namespace, command_line: Sequence[str]) -> int:
    from eval.reconstruction import metrics  # noqa: F401  the names that included metrics cannot take
    from eval.reconstruction.scoring import Scorer

    include.load(arguments.include)
    if arguments.list:
        return _list()
    with Scorer(arguments.workers) as scorer:
        return _run(_plan(arguments, scorer), arguments, scorer, command_line)


def _plan(arguments: argparse.Namespace, scorer: Scorer) -> ReconstructionPlan:
    """What the arguments ask for, with codecs loaded. Raises ValueError or OSError for what cannot be had."""
    from eval.harness import corpora
    from eval.harness.run_files import check_folder
    from eval.reconstruction import codecs
    from eval.reconstruction import metrics as all_metrics
    from eval.reconstruction.reconstruction_plan import ReconstructionPlan
    from soundcodec_llmcodec.checkpoints import usable_device

    names = all_metrics.SUPERB_NAMES if arguments.compat else arguments.metrics or all_metrics.DEFAULT
    metrics = all_metrics.named(names)
    all_metrics.require(metrics)
    corpus = corpora.load(arguments.dataset)
    splits = corpus.chosen(arguments.splits)
    corpus.check(splits)
    usable_device(arguments.device)
    try:
        specs = codecs.check(arguments.models, checkpoint=arguments.checkpoint)
    except codecs.LoadError as error:  # names cannot be looked up where a package is broken
        raise ValueError(str(error)) from error
    if arguments.output:
        # A run takes hours on the full set: better to hear now that its results have no place.
        check_folder(Path(arguments.output))
    scorer.start()
    models, unloaded = _load(specs, arguments)
    return ReconstructionPlan(models, corpus, splits, metrics, arguments.batch_size, arguments.limit, unloaded)


def _load(
    specs: Sequence[CodecSpec], arguments: argparse.Namespace
) -> tuple[list[MeasuredCodec], tuple[Unloaded, ...]]:
    """The codecs that can be had, and those that cannot. Raises ValueError where there is none to measure."""
    from eval.reconstruction import codecs

    def load(spec: CodecSpec) -> MeasuredCodec:
        checkpoint = arguments.checkpoint if spec.takes_checkpoint else None
        return codecs.load(spec, checkpoint=checkpoint, device=arguments.device)

    return load_each(specs, load, "superb_tiny", "codec")


def _run(plan: ReconstructionPlan, arguments: argparse.Namespace, scorer: Scorer, command_line: Sequence[str]) -> int:
    # The report's modules too: better to hear now that a package is missing.
    from eval.harness import journal, manifest
    from eval.reconstruction import (
        reconstruction_results,
        reconstruction_run,
        reconstruction_table,
    )
    from eval.reconstruction.clip_samples import ClipSamples

    baseline = arguments.baseline
    names = [model.info.name for model in plan.models]
    check_baseline(baseline, names, "codec")
    output = Path(arguments.output) if arguments.output else None
    samples = ClipSamples(output, arguments.report_clips) if output else None
    if output and samples:
        places = (*reconstruction_results.FILES, *samples.names(plan.splits, names), *_compat_files(plan, arguments))
        manifest.check(output, places, resumed=arguments.resume)
        if arguments.overwrite:
            journal.discard(output)
            manifest.discard(output)
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(_journal(output, plan, arguments)) if output else None
        cache = stack.enter_context(_cache(arguments.cache)) if arguments.cache else None
        run = reconstruction_run.run(
            plan, scorer, journal=log, cache=cache, samples=samples, progress=not arguments.quiet
        )
        baseline = baseline or reconstruction_table.default_baseline(run.models)
        _report(run, plan, arguments, samples, baseline, command_line)
    failed = any(model.overall.failures for model in run.models) or run.unloaded
    return INCOMPLETE if failed else DONE


def _compat_files(plan: ReconstructionPlan, arguments: argparse.Namespace) -> list[str]:
    """The result file by Codec-SUPERB's name, where it is asked for."""
    from eval.harness.reporting import mark
    from eval.reconstruction import superb_json

    if not arguments.compat:
        return []
    for_reporting = mark(plan.corpus.synthetic, plan.limit) is None
    return [superb_json.file_name(plan.corpus.label, for_reporting=for_reporting)]


def _journal(output: Path, plan: ReconstructionPlan, arguments: argparse.Namespace) -> ClipJournal:
    from eval.harness import journal
    from eval.harness.provenance import versions
    from eval.reconstruction.clip_journal import ClipJournal

    identity = {
        "dataset": {"label": plan.corpus.label, "revision": plan.corpus.revision},
        "splits": list(plan.splits),
        "limit": plan.limit,
        "models": {model.info.name: journal.identity_of(model.info) for model in plan.models},
        "metrics": {metric.name: metric.version for metric in plan.metrics},
        "batch_size": plan.batch_size,
        "report_clips": arguments.report_clips,
        "versions": versions(),
        "sources": _sources(),
    }
    nameless = [model.info.name for model in plan.models if model.info.identity is None]
    if arguments.resume and journal.exists(output) and nameless:
        print(
            f"superb_tiny: nothing tells whether these are still the same: {', '.join(nameless)}",
            file=sys.stderr,
        )
    return ClipJournal(output, identity, resume=arguments.resume)


def _cache(folder: str) -> Cache:
    from eval.reconstruction import score_cache as cache

    return cache.Cache(Path(folder), _sources())


def _sources() -> str:
    """A digest of all that computes a score, a codec apart: packages, and the harness's own files."""
    from eval.harness.provenance import sources_digest, versions

    ours = [f"reconstruction/{name}" for name in ("metrics", "scoring.py", "coding_batches.py")]
    common = [f"harness/{name}.py" for name in ("clips", "corpora", "score")]
    return sources_digest(versions(), Path(__file__).parents[1], [*ours, *common])


def _report(
    run: ReconstructionRun,
    plan: ReconstructionPlan,
    arguments: argparse.Namespace,
    samples: ClipSamples | None,
    baseline: str | None,
    command_line: Sequence[str],
) -> None:
    """Print the tables, and write all that the run leaves where it is to leave something."""
    from eval.harness import reporting
    from eval.harness.table_files import tex_text
    from eval.reconstruction import (
        published_rows,
        reconstruction_results,
        reconstruction_table,
        reconstruction_terminal,
    )

    mark = reporting.mark(plan.corpus.synthetic, plan.limit)
    rules = "Codec-SUPERB's rules" if arguments.compat else None
    title_note = "; ".join(note for note in (mark, rules) if note) or None
    tables = reconstruction_table.tables(run, baseline)
    text = _whole_text(run, plan, tables, arguments, baseline, title_note)
    compacts = [reconstruction_terminal.compact(table, run, plan.corpus.label, title_note) for table in tables]
    printed = text if arguments.wide else _compact_text(run, tables, compacts, arguments, baseline)
    if not arguments.output:
        print(printed)
        return
    settings = reconstruction_results.ReconstructionSettings(
        command_line=tuple(command_line),
        batch_size=plan.batch_size,
        workers=arguments.workers,
        device=arguments.device,
        limit=plan.limit,
        mark=mark,
        rules=arguments.compat,
        baseline=baseline,
    )
    rows = published_rows.rows() if arguments.published else []
    contents = reconstruction_results.document(run, tables, plan.corpus, settings, samples, rows)
    output = Path(arguments.output)
    _write(output, run, contents, text, tex_text(compacts, title_note), _compat_files(plan, arguments))
    print(printed)  # last: what was computed is kept, whatever becomes of what is printed
    print(f"written to {output}; open {output / 'report.html'}", file=sys.stderr)


def _write(
    output: Path, run: ReconstructionRun, contents: dict[str, Any], text: str, tex: str, compat_files: Sequence[str]
) -> None:
    """Write the tables in every form, the results, Codec-SUPERB's files and the report of them."""
    from eval.harness import manifest
    from eval.harness.run_files import write_files
    from eval.reconstruction import reconstruction_csv, reconstruction_results, report, superb_json

    clips = list(reconstruction_results.clip_rows(run))
    table_csv, clips_csv = reconstruction_csv.table_csv(contents), reconstruction_csv.clips_csv(clips)
    write_files(output, {"table.csv": table_csv, "clips.csv": clips_csv, "table.tex": tex})
    reconstruction_results.write(output, contents, iter(clips), text)
    for name in compat_files:
        with manifest.written(output, name) as path:
            path.write_text(json.dumps(superb_json.document(run), indent=4) + "\n", encoding="utf-8")
    report.write(output)


def _whole_text(
    run: ReconstructionRun,
    plan: ReconstructionPlan,
    tables: Sequence[SplitTable],
    arguments: argparse.Namespace,
    baseline: str | None,
    title_note: str | None,
) -> str:
    """All tables in Markdown: what is printed with --wide, and kept in any case."""
    from eval.reconstruction import published_rows, reconstruction_table
    from eval.reconstruction.own_judges import own_judges

    parts = []
    for table in tables:
        parts.append(reconstruction_table.markdown(table, plan.corpus.label, title_note))
        if arguments.by_source:
            parts.append(reconstruction_table.sources_markdown(table, run.models, plan.metrics))
        if arguments.published and (published := published_rows.markdown(table.split)):
            parts.append(published)
    parts += [f"- {model.name}: not loaded: {model.reason}" for model in run.unloaded]
    legend = [reconstruction_table.legend(plan.metrics, baseline)]
    legend += [f"- {line}" for line in own_judges(run.models, plan.metrics)]
    return "\n\n".join([*parts, "\n".join(legend)])


def _compact_text(
    run: ReconstructionRun,
    tables: Sequence[SplitTable],
    compacts: Sequence[CompactTable],
    arguments: argparse.Namespace,
    baseline: str | None,
) -> str:
    """What is printed where nobody asked for --wide."""
    from eval.harness.terminal_table import Terminal, where_all_is
    from eval.reconstruction import reconstruction_terminal

    notes = reconstruction_terminal.notes(tables, run, baseline, where_all_is(arguments.output))
    options = {"by_source": arguments.by_source, "published": arguments.published}
    return reconstruction_terminal.text(tables, run, compacts, Terminal.of(sys.stdout), notes, **options)


def _list() -> int:
    from eval.harness.metric_registry import METRICS, PLACES
    from eval.reconstruction import codecs

    by_kind = codecs.known_names()
    for kind, form in codecs.FORMS.items():
        print(f"{kind}: {form}")
        for model in by_kind.get(kind, ()):
            print(f"  {model}")
    for name, metric in METRICS.items():
        extra = f"the extra {metric.extra}" if metric.extra else None
        needs = metric.install or extra
        from_file = f" (in {PLACES[name]})" if name in PLACES else ""
        needed = f" (needs {needs})" if needs else ""
        print(f"metric {name} {metric.arrow} [{metric.unit}]: {metric.source}{needed}{from_file}")
    for name, entry in include.included("dataset").items():
        print(f"data set {name} (in {entry.place})")
    return DONE
