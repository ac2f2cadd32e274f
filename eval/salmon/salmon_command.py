"""A SALMon leaderboard of token language models: `python eval/salmon.py --models llmcodec`; see `--help`."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eval.harness import command, include
from eval.harness.command import DONE, INCOMPLETE
from eval.harness.model_specs import check_baseline, load_each
from eval.salmon import salmon_arguments

# torch comes with the rest, which is imported where it is used: a mistyped option is refused without it.
if TYPE_CHECKING:
    from eval.salmon.pair_journal import PairJournal
    from eval.salmon.pair_samples import PairSamples
    from eval.salmon.pair_scores import SalmonRun
    from eval.salmon.salmon_run import SalmonPlan


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return command.main("salmon", argv, salmon_arguments.parse, _measure, command.of_a_resumable_run)


def _measure(arguments: argparse.Namespace, command_line: Sequence[str]) -> int:
    include.load(arguments.include)
    if arguments.list:
        return _list(arguments.suite)
    return _run(_plan(arguments), arguments, command_line)


def _plan(arguments: argparse.Namespace) -> SalmonPlan:
    """What the arguments ask for, with models loaded. Raises ValueError or OSError for what cannot be had."""
    from eval.harness.run_files import check_folder
    from eval.salmon import salmon_models as models
    from eval.salmon import salmon_parts as parts
    from eval.salmon import suites
    from eval.salmon.salmon_run import SalmonPlan
    from soundcodec_llmcodec.checkpoints import usable_device

    specs = models.check(arguments.models)
    check_baseline(arguments.baseline, [spec.label for spec in specs], "model")
    usable_device(arguments.device)
    if arguments.output:
        # A run may take hours: better to hear now that its results have no place.
        check_folder(Path(arguments.output))
    suite = suites.load(arguments.suite)
    chosen = parts.chosen(arguments.parts, suite.parts)
    # A language model of another codec's tokens ends the run: no number of such a pair means anything.
    loaded, unloaded = load_each(specs, models.Loader(arguments.device).load, "salmon", "model")
    check_baseline(arguments.baseline, [model.info.name for model in loaded], "model")
    return SalmonPlan(loaded, suite, chosen, arguments.batch_size, arguments.limit, unloaded)


def _run(plan: SalmonPlan, arguments: argparse.Namespace, command_line: Sequence[str]) -> int:
    # The report's modules too: better to hear now that a package is missing.
    from eval.harness import journal, manifest
    from eval.salmon import report, salmon_results, salmon_run  # noqa: F401
    from eval.salmon.pair_samples import PairSamples

    output = Path(arguments.output) if arguments.output else None
    samples = PairSamples(output, arguments.report_pairs) if output else None
    if output and samples:
        manifest.check(output, (*salmon_results.FILES, *samples.names(plan.parts)), resumed=arguments.resume)
        if arguments.overwrite:
            journal.discard(output)
            manifest.discard(output)
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(_journal(output, plan, arguments)) if output else None
        run = salmon_run.run(plan, journal=log, samples=samples, progress=not arguments.quiet)
        _report(run, plan, arguments, samples, command_line)
    failed = any(score.failure for model in run.models for scores in model.scores.values() for score in scores)
    return INCOMPLETE if failed or run.unloaded else DONE


def _journal(output: Path, plan: SalmonPlan, arguments: argparse.Namespace) -> PairJournal:
    from eval.harness import journal
    from eval.harness.provenance import versions
    from eval.salmon.pair_journal import PairJournal
    from eval.salmon.salmon_results import PACKAGES

    identity = {
        "suite": {"label": plan.suite.label, "revision": plan.suite.revision},
        "parts": list(plan.parts),
        "limit": plan.limit,
        "models": {
            model.info.name: {**journal.identity_of(model.info), "codec_identity": model.tokenizer.identity}
            for model in plan.models
        },
        "batch_size": plan.batch_size,
        "device": arguments.device,
        "report_pairs": arguments.report_pairs,
        "versions": versions(PACKAGES),
        "sources": _sources(),
    }
    return PairJournal(output, identity, resume=arguments.resume)


def _sources() -> list[str]:
    """Digests of all that computes a score: packages, the harness's own files, the codec and the language models."""
    import soundcodec_llmcodec
    from eval.harness import fingerprints
    from eval.harness.provenance import sources_digest

    common = [f"harness/{name}.py" for name in ("clips", "corpora", "codec_tokenizer")]
    ours = [f"salmon/{name}" for name in ("suites.py", "salmon_models.py", "likelihood.py", "salmon_run.py", "build")]
    harness = sources_digest({}, Path(__file__).parents[1], [*ours, *common])
    package = Path(soundcodec_llmcodec.__file__).parent
    return [harness, sources_digest({}, package, ["lm"]), fingerprints.of_package()]


def _report(
    run: SalmonRun,
    plan: SalmonPlan,
    arguments: argparse.Namespace,
    samples: PairSamples | None,
    command_line: Sequence[str],
) -> None:
    """Print the table, and write all that the run leaves where it is to leave something."""
    from eval.harness import reporting
    from eval.harness.run_files import write_files
    from eval.harness.table_files import tex_text
    from eval.harness.terminal_table import Terminal, below, render, where_all_is
    from eval.salmon import published_accuracies, report, salmon_csv, salmon_results, salmon_table, salmon_terminal

    mark = reporting.mark(plan.suite.synthetic, plan.limit)
    baseline = arguments.baseline or salmon_table.default_baseline(run.models)
    table = salmon_table.tables(run, arguments.normalize, baseline)
    parts = [salmon_table.markdown(table, plan.suite.label, mark)]
    if arguments.published:
        parts.append(published_accuracies.markdown())
    text = "\n\n".join([*parts, salmon_table.legend(table)])
    compact = salmon_terminal.compact(table, run, plan.suite.label, mark)
    terminal = Terminal.of(sys.stdout)
    shown = [
        render(compact, terminal),
        *([render(salmon_terminal.compact_published(), terminal)] if arguments.published else []),
    ]
    notes = salmon_terminal.notes(table, compact, where_all_is(arguments.output))
    printed = text if arguments.wide else "\n\n".join([*shown, below(notes, terminal)])
    if not arguments.output:
        print(printed)
        return
    output = Path(arguments.output)
    settings = salmon_results.SalmonSettings(
        command_line=tuple(command_line),
        normalize=arguments.normalize,
        batch_size=plan.batch_size,
        device=arguments.device,
        limit=plan.limit,
        mark=mark,
        baseline=baseline,
    )
    rows = published_accuracies.rows() if arguments.published else []
    contents = salmon_results.document(run, table, plan.suite, settings, samples, rows)
    pairs = list(salmon_results.pair_rows(run))
    tables = {
        "table.csv": salmon_csv.table_csv(contents),
        "pairs.csv": salmon_csv.pairs_csv(pairs),
        "table.tex": tex_text([compact], mark),
    }
    write_files(output, tables)
    salmon_results.write(output, contents, pairs, text)
    report.write(output)
    print(printed)  # last: what was computed is kept, whatever becomes of what is printed
    print(f"written to {output}; open {output / 'report.html'}", file=sys.stderr)


def _list(suite_name: str) -> int:
    from eval.salmon import salmon_models as models
    from eval.salmon import suites
    from eval.salmon.salmon_parts import PARTS

    for name, form in models.FORMS.items():
        print(f"{name}: {form}")
    for name, entry in include.included("codec").items():
        print(f"codec {name}: in {entry.place}")
    suite = suites.load(suite_name)
    for part, size in suite.sizes.items():
        title = f" ({PARTS[part].title}): {PARTS[part].about}" if part in PARTS else ""
        print(f"part {part}, {size} pairs{title}")
    return DONE
