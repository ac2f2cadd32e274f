"""A reconstruction leaderboard of codecs: `python eval/superb_tiny.py --models llmcodec identity`; see `--help`."""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):
    # Run as a script: the first entry is this folder, whose files must not hide packages of the same name.
    _here = Path(__file__).resolve().parent
    sys.path[:] = [str(_here.parent), *(entry for entry in sys.path if Path(entry or ".").resolve() != _here)]

import argparse
import contextlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval import metrics as metric_registry
from eval import options
from eval.scoring import Scorer
from soundcodec_llmcodec.terminal import show_what_can_be_shown

# torch comes with the rest, which is imported where it is used: worker processes import this file and do without.
if TYPE_CHECKING:
    from eval.cache import Cache
    from eval.codec_models import CodecModel, ModelSpec
    from eval.journal import Journal
    from eval.records import Run, Unloaded
    from eval.runner import Plan
    from eval.samples import Samples

DONE, INCOMPLETE, REFUSED, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    show_what_can_be_shown()
    arguments = options.parse(argv)
    if arguments.list:
        return _list()
    with Scorer(arguments.workers) as scorer:
        try:
            plan = _plan(arguments, scorer)
            return _run(plan, arguments, scorer, ["superb_tiny", *argv] if argv is not None else sys.argv)
        except (ValueError, OSError) as error:
            print(f"superb_tiny: error: {' '.join(str(error).split())}", file=sys.stderr)
            return REFUSED
        except ImportError as error:
            print(f"superb_tiny: error: {error}; pip install -c constraints.txt -e '.[eval]'", file=sys.stderr)
            return REFUSED
        except KeyboardInterrupt:
            on = "go on with the same command and --resume" if arguments.output else "nothing is kept without --output"
            print(f"superb_tiny: stopped; {on}", file=sys.stderr)
            return INTERRUPTED


def _plan(arguments: argparse.Namespace, scorer: Scorer) -> Plan:
    """What the arguments ask for, with codecs loaded. Raises ValueError or OSError for what cannot be had."""
    from eval import codec_models, corpora, results
    from eval.runner import Plan
    from soundcodec_llmcodec.checkpoints import usable_device

    names = metric_registry.SUPERB_NAMES if arguments.compat else arguments.metrics or metric_registry.DEFAULT
    metrics = metric_registry.named(names)
    metric_registry.require(metrics)
    corpus = corpora.load(arguments.dataset)
    splits = corpus.chosen(arguments.splits)
    corpus.check(splits)
    usable_device(arguments.device)
    try:
        specs = codec_models.check(arguments.models, checkpoint=arguments.checkpoint)
    except codec_models.CodecLoadError as error:  # names cannot be looked up where a package is broken
        raise ValueError(str(error)) from error
    if arguments.output:
        # A run takes hours on the full set: better to hear now that its results have no place.
        results.check_folder(Path(arguments.output))
    scorer.start()
    models, unloaded = _load(specs, arguments)
    return Plan(models, corpus, splits, metrics, arguments.batch_size, arguments.limit, unloaded)


def _load(specs: Sequence[ModelSpec], arguments: argparse.Namespace) -> tuple[list[CodecModel], tuple[Unloaded, ...]]:
    """The codecs that can be had, and those that cannot. Raises ValueError where there is none to measure."""
    from eval import codec_models
    from eval.records import Unloaded

    models, unloaded = [], []
    for spec in specs:
        checkpoint = arguments.checkpoint if spec.takes_checkpoint else None
        try:
            models.append(codec_models.load(spec, checkpoint=checkpoint, device=arguments.device))
        except codec_models.CodecLoadError as error:
            unloaded.append(Unloaded(spec.label, " ".join(str(error).split())))
    reasons = [f"{one.name}: {one.reason}" for one in unloaded]
    if not models:
        raise ValueError(f"no codec could be loaded; {'; '.join(reasons)}")
    for reason in reasons:
        print(f"superb_tiny: left out: {reason}", file=sys.stderr)
    return models, tuple(unloaded)


def _run(plan: Plan, arguments: argparse.Namespace, scorer: Scorer, command_line: Sequence[str]) -> int:
    # The report's modules too: better to hear now that a package is missing.
    from eval import journal, leaderboard, manifest, reporting, results, runner  # noqa: F401
    from eval.samples import Samples

    baseline = arguments.baseline
    names = [model.info.name for model in plan.models]
    if baseline is not None and baseline not in names:
        raise ValueError(f"--baseline {baseline!r} is none of the codecs of this run: {', '.join(names)}")
    output = Path(arguments.output) if arguments.output else None
    samples = Samples(output, arguments.report_clips) if output else None
    if output and samples:
        places = (*results.FILES, *samples.names(plan.splits, names), *_compat_files(plan, arguments))
        manifest.check(output, places, resumed=arguments.resume)
        if arguments.overwrite:
            journal.discard(output)
            manifest.discard(output)
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(_journal(output, plan, arguments)) if output else None
        cache = stack.enter_context(_cache(arguments.cache)) if arguments.cache else None
        run = runner.run(plan, scorer, journal=log, cache=cache, samples=samples, progress=not arguments.quiet)
        baseline = baseline or leaderboard.default_baseline(run.models)
        _report(run, plan, arguments, samples, baseline, command_line)
    failed = any(model.overall.failures for model in run.models) or run.unloaded
    return INCOMPLETE if failed else DONE


def _compat_files(plan: Plan, arguments: argparse.Namespace) -> list[str]:
    """The result file by Codec-SUPERB's name, where it is asked for."""
    from eval import leaderboard, superb_json

    if not arguments.compat:
        return []
    for_reporting = leaderboard.mark(plan.corpus.synthetic, plan.limit) is None
    return [superb_json.file_name(plan.corpus.label, for_reporting=for_reporting)]


def _journal(output: Path, plan: Plan, arguments: argparse.Namespace) -> Journal:
    from eval import journal, results

    identity = {
        "dataset": {"label": plan.corpus.label, "revision": plan.corpus.revision},
        "splits": list(plan.splits),
        "limit": plan.limit,
        "models": {model.info.name: journal.identity_of(model.info) for model in plan.models},
        "metrics": {metric.name: metric.version for metric in plan.metrics},
        "batch_size": plan.batch_size,
        "report_clips": arguments.report_clips,
        "versions": results.versions(),
        "sources": _sources(),
    }
    untold = [model.info.name for model in plan.models if model.info.identity is None]
    if arguments.resume and journal.exists(output) and untold:
        print(f"superb_tiny: nothing tells whether these are still the same: {', '.join(untold)}", file=sys.stderr)
    return journal.Journal(output, identity, resume=arguments.resume)


def _cache(folder: str) -> Cache:
    from eval import cache

    return cache.Cache(Path(folder), _sources())


def _sources() -> str:
    """A digest of all that computes a score, a codec apart: packages, and the harness's own files."""
    from eval import cache, results

    parts = ("metrics", "corpora", "scoring.py", "reconstruct.py")
    return cache.environment(results.versions(), Path(__file__).parent, parts)


def _report(
    run: Run,
    plan: Plan,
    arguments: argparse.Namespace,
    samples: Samples | None,
    baseline: str | None,
    command_line: Sequence[str],
) -> None:
    """Print the tables, and write all that the run leaves where it is to leave something."""
    from eval import leaderboard, manifest, published, reporting, results, superb_json

    mark = leaderboard.mark(plan.corpus.synthetic, plan.limit)
    shown = f"{mark}; Codec-SUPERB's rules" if mark and arguments.compat else mark
    shown = "Codec-SUPERB's rules" if arguments.compat and not mark else shown
    tables = leaderboard.tables(run, baseline)
    parts = []
    for table in tables:
        parts.append(leaderboard.markdown(table, plan.corpus.label, shown))
        if arguments.by_source:
            parts.append(leaderboard.sources_markdown(table, run.models, plan.metrics))
        parts += [text for text in (published.markdown(table.split) if arguments.published else None,) if text]
    parts += [f"- {one.name}: not loaded: {one.reason}" for one in run.unloaded]
    text = "\n\n".join([*parts, leaderboard.legend(plan.metrics, baseline)])
    if not arguments.output:
        print(text)
        return
    output = Path(arguments.output)
    settings = results.Settings(
        command_line=tuple(command_line),
        batch_size=plan.batch_size,
        workers=arguments.workers,
        device=arguments.device,
        limit=plan.limit,
        mark=mark,
        rules=arguments.compat,
        baseline=baseline,
    )
    rows = published.rows() if arguments.published else []
    contents = results.document(run, tables, plan.corpus, settings, samples, rows)
    results.write(output, contents, results.clip_rows(run), text)
    for name in _compat_files(plan, arguments):
        with manifest.written(output, name) as path:
            path.write_text(json.dumps(superb_json.document(run), indent=4) + "\n", encoding="utf-8")
    reporting.write(output)
    print(text)  # last: what was computed is kept, whatever becomes of what is printed
    print(f"written to {output}; open {output / 'report.html'}", file=sys.stderr)


def _list() -> int:
    from eval import codec_models

    known = codec_models.known_names()
    for kind, form in codec_models.FORMS.items():
        print(f"{kind}: {form}")
        for model in known.get(kind, ()):
            print(f"  {model}")
    for name, metric in metric_registry.METRICS.items():
        extra = f"the extra {metric.extra}" if metric.extra else None
        needs = metric.install or extra
        print(f"metric {name} {metric.arrow} [{metric.unit}]: {metric.source}{f' (needs {needs})' if needs else ''}")
    return DONE


if __name__ == "__main__":
    sys.exit(main())
