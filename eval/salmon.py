"""A SALMon leaderboard of token language models: `python eval/salmon.py --models llmcodec`; see `--help`."""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):
    # Run as a script: the first entry is this folder, whose files must not hide packages of the same name.
    _here = Path(__file__).resolve().parent
    sys.path[:] = [str(_here.parent), *(entry for entry in sys.path if Path(entry or ".").resolve() != _here)]

import argparse
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval.coherence import options
from soundcodec_llmcodec.terminal import show_what_can_be_shown

# torch comes with the rest, which is imported where it is used: a mistyped option is refused without it.
if TYPE_CHECKING:
    from eval.coherence.journal import Journal
    from eval.coherence.measure import Plan
    from eval.coherence.models import Model, ModelSpec
    from eval.coherence.records import Run, Unloaded
    from eval.coherence.samples import Samples

DONE, INCOMPLETE, REFUSED, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    show_what_can_be_shown()
    arguments = options.parse(argv)
    try:
        if arguments.list:
            return _list(arguments.suite)
        return _run(_plan(arguments), arguments, ["salmon", *argv] if argv is not None else sys.argv)
    except (ValueError, OSError, ImportError) as error:
        print(f"salmon: error: {' '.join(str(error).split())}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        on = "go on with the same command and --resume" if arguments.output else "nothing is kept without --output"
        print(f"salmon: stopped; {on}", file=sys.stderr)
        return INTERRUPTED


def _plan(arguments: argparse.Namespace) -> Plan:
    """What the arguments ask for, with models loaded. Raises ValueError or OSError for what cannot be had."""
    from eval.coherence import models, parts, results, suites
    from eval.coherence.measure import Plan
    from soundcodec_llmcodec.checkpoints import usable_device

    specs = models.check(arguments.models)
    _check_baseline(arguments.baseline, [spec.label for spec in specs])
    usable_device(arguments.device)
    if arguments.output:
        # A run may take hours: better to hear now that its results have no place.
        results.check_folder(Path(arguments.output))
    suite = suites.load(arguments.suite)
    chosen = parts.chosen(arguments.parts, suite.parts)
    loaded, unloaded = _load(specs, arguments.device)
    _check_baseline(arguments.baseline, [model.info.name for model in loaded])
    return Plan(loaded, suite, chosen, arguments.batch_size, arguments.limit, unloaded)


def _check_baseline(baseline: str | None, names: Sequence[str]) -> None:
    if baseline is not None and baseline not in names:
        raise ValueError(f"--baseline {baseline!r} is none of the models of this run: {', '.join(names)}")


def _load(specs: Sequence[ModelSpec], device: str) -> tuple[list[Model], tuple[Unloaded, ...]]:
    """The models that can be had, and those that cannot. Raises ValueError where there is none to measure, and for a
    language model of another codec's tokens: no number of such a pair means anything."""
    from eval.coherence.models import Loader, ModelLoadError
    from eval.coherence.records import Unloaded

    loader = Loader(device)
    models, unloaded = [], []
    for spec in specs:
        try:
            models.append(loader.load(spec))
        except ModelLoadError as error:
            unloaded.append(Unloaded(spec.label, str(error)))
    reasons = [f"{one.name}: {one.reason}" for one in unloaded]
    if not models:
        raise ValueError(f"no model could be loaded; {'; '.join(reasons)}")
    for reason in reasons:
        print(f"salmon: left out: {reason}", file=sys.stderr)
    return models, tuple(unloaded)


def _run(plan: Plan, arguments: argparse.Namespace, command_line: Sequence[str]) -> int:
    from eval import manifest

    # The report's modules too: better to hear now that a package is missing.
    from eval.coherence import journal, measure, report, results  # noqa: F401
    from eval.coherence.samples import Samples

    output = Path(arguments.output) if arguments.output else None
    samples = Samples(output, arguments.report_pairs) if output else None
    if output and samples:
        manifest.check(output, (*results.FILES, *samples.names(plan.parts)), resumed=arguments.resume)
        if arguments.overwrite:
            journal.discard(output)
            manifest.discard(output)
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(_journal(output, plan, arguments)) if output else None
        run = measure.run(plan, journal=log, samples=samples, progress=not arguments.quiet)
        _report(run, plan, arguments, samples, command_line)
    failed = any(score.failure for model in run.models for scores in model.scores.values() for score in scores)
    return INCOMPLETE if failed or run.unloaded else DONE


def _journal(output: Path, plan: Plan, arguments: argparse.Namespace) -> Journal:
    from eval.coherence import journal
    from eval.coherence.results import PACKAGES
    from eval.provenance import versions

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
    return journal.Journal(output, identity, resume=arguments.resume)


def _sources() -> list[str]:
    """Digests of all that computes a score: packages, the harness's own files, the codec and the language models."""
    import soundcodec_llmcodec
    from eval import cache
    from eval.codec_models import fingerprints

    ours = ("suites.py", "models.py", "likelihood.py", "measure.py")
    folder = Path(__file__).parent
    harness = cache.environment({}, folder, [*(f"coherence/{name}" for name in ours), "corpora", "suite_build"])
    package = Path(soundcodec_llmcodec.__file__).parent
    return [harness, cache.environment({}, package, ["lm"]), fingerprints.of_package()]


def _report(
    run: Run, plan: Plan, arguments: argparse.Namespace, samples: Samples | None, command_line: Sequence[str]
) -> None:
    """Print the table, and write all that the run leaves where it is to leave something."""
    from eval.coherence import leaderboard, published, report, results

    mark = leaderboard.mark(plan.suite.synthetic, plan.limit)
    baseline = arguments.baseline or leaderboard.default_baseline(run.models)
    table = leaderboard.tables(run, arguments.normalize, baseline)
    parts = [leaderboard.markdown(table, plan.suite.label, mark)]
    if arguments.published:
        parts.append(published.markdown())
    text = "\n\n".join([*parts, leaderboard.legend(table)])
    if not arguments.output:
        print(text)
        return
    output = Path(arguments.output)
    settings = results.Settings(
        command_line=tuple(command_line),
        normalize=arguments.normalize,
        batch_size=plan.batch_size,
        device=arguments.device,
        limit=plan.limit,
        mark=mark,
        baseline=baseline,
    )
    rows = published.rows() if arguments.published else []
    contents = results.document(run, table, plan.suite, settings, samples, rows)
    results.write(output, contents, results.pair_rows(run), text)
    report.write(output)
    print(text)  # last: what was computed is kept, whatever becomes of what is printed
    print(f"written to {output}; open {output / 'report.html'}", file=sys.stderr)


def _list(suite_name: str) -> int:
    from eval.coherence import models, suites
    from eval.coherence.parts import PARTS

    for name, form in models.FORMS.items():
        print(f"{name}: {form}")
    suite = suites.load(suite_name)
    for part, size in suite.sizes.items():
        title = f" ({PARTS[part].title}): {PARTS[part].about}" if part in PARTS else ""
        print(f"part {part}, {size} pairs{title}")
    return DONE


if __name__ == "__main__":
    sys.exit(main())
