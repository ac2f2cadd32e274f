"""What linear classifiers read out of representations: `python eval/probes.py --models ... --task ...`; see
`--help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eval.harness import arguments as shared
from eval.harness import command, include
from eval.harness.command import DONE, INCOMPLETE, exit_codes

if TYPE_CHECKING:
    from eval.probes.probes_run import ProbesHow, ProbesRun

_ABOUT = """What linear classifiers read out of a codec's vectors: the accuracy, out of fold, of logistic regression on
vectors pooled over a clip. The idea is that of the ARCH benchmark (La Quatra et al. 2024).

    python eval/probes.py --models llmcodec my_codec_folder@1 mel teacher:whisper-tiny.en \\
        --task keyword=SPEECH_FOLDER:train,label=text,where=corpus:keywords \\
        --task emotion=ACTED_FOLDER,label=emotion,group=speaker_id --output runs/probes

A task is NAME=DATASET,label=COLUMN and may go on with ,KEY=VALUE:

    group=COLUMN         clips of one value are never both learnt from and measured on
    where=COLUMN:VALUE   only such clips; of one column any of the values, of several columns all
    folds=N              default: 5
    min_clips=N          leave classes of fewer clips out

COLUMN may be id, split, or COLUMN~PATTERN: what the regular expression's first group matches.
Without --task, the bundled clips are told apart as speech, music and sounds; those numbers are not for reporting."""

_EXIT_CODES = exit_codes(
    "every representation was measured on every clip",
    "some were not; they are listed, everything else was measured",
    "the run could not start: an unknown name, no such column, labels that cannot be classified",
    "with --output, features are kept for --resume",
)
DEFAULT_MODELS = ("mel", "llmcodec")
MINI_TASK = "domain=mini,label=split,folds=3"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return command.main("probes", argv, _parse, _run, command.of_a_resumable_run)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = shared.parser("probes", _ABOUT, _EXIT_CODES)
    what = parser.add_argument_group("what is probed, and on what")
    what.add_argument(
        "--models",
        nargs="+",
        metavar="[LABEL=]SPEC",
        default=list(DEFAULT_MODELS),
        help="CODEC[@LEVELS], hf:ID[@LEVELS], CODEC:continuous, random:CODEC, mel, teacher:NAME[:LAYERS] (default: mel "
        "llmcodec)",
    )
    what.add_argument("--task", action="append", metavar="TASK", help="see above; may be repeated")
    shared.add_include(what, "data sets")
    shared.add_limit(what, "clips a task, drawn so that classes keep their shares")
    how = parser.add_argument_group("how it runs, and what it leaves")
    how.add_argument(
        "--pooling",
        choices=("mean", "mean-std"),
        default="mean",
        help="over a clip's frames: the mean, or standard deviations too (default: mean)",
    )
    how.add_argument("--seed", type=shared.not_negative, default=0, help="of draws and folds (default: 0)")
    how.add_argument("--output", metavar="FOLDER", help="write the results and the pooled features there")
    again = how.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="use the features that --output holds")
    again.add_argument("--overwrite", action="store_true", help="begin anew where --output holds a run")
    shared.add_device(how, "codecs and encoders run")
    shared.add_wide(how)
    shared.add_quiet(how)
    arguments = parser.parse_args(argv)
    shared.check_output(parser, arguments)
    return arguments


def _run(arguments: argparse.Namespace, command_line: Sequence[str]) -> int:
    from eval.harness import corpora, model_specs
    from eval.probes import probe_clips, probe_folds, probe_task
    from eval.probes.pooled_features import PooledFeatures
    from eval.probes.probes_run import ProbesHow, run
    from eval.representations import representation_specs

    probe_folds.require_sklearn()
    include.load(arguments.include)
    if not arguments.task:
        print("probes: no task is named, so the bundled clips are told apart; see --help", file=sys.stderr)
    tasks = [probe_task.parse(text) for text in arguments.task or (MINI_TASK,)]
    probe_task.check_names(tasks)
    specs = representation_specs.check(arguments.models)
    output = _prepared(arguments)
    how = ProbesHow(arguments.pooling, arguments.seed, arguments.limit, arguments.device, not arguments.quiet)
    opened = {name: corpora.load(name, every_column=True) for name in dict.fromkeys(task.dataset for task in tasks)}
    chosen = [probe_clips.choose(task, opened[task.dataset], how.limit, how.seed) for task in tasks]
    loaded, unloaded = model_specs.load_each(
        specs, lambda spec: representation_specs.load(spec, how.device), "probes", "representation"
    )
    features = [PooledFeatures(each, how.device, output) for each in loaded]
    result = run(chosen, features, how, unloaded, output)
    _report(result, how, output, arguments, command_line)
    return DONE if result.complete else INCOMPLETE


def _prepared(arguments: argparse.Namespace) -> Path | None:
    """The folder of --output, which can be written to and holds nothing that is not to be gone on with."""
    from eval.harness import manifest
    from eval.harness.run_files import check_folder
    from eval.probes import probes_results

    if not arguments.output:
        return None
    output = Path(arguments.output)
    check_folder(output)
    manifest.check(output, probes_results.FILES)
    if arguments.overwrite:
        manifest.discard(output)
    elif manifest.listed(output) and not arguments.resume:
        raise ValueError(
            f"{output} holds a run already; --resume uses its features, --overwrite begins anew, --output takes "
            "another folder"
        )
    return output


def _report(
    result: ProbesRun,
    how: ProbesHow,
    output: Path | None,
    arguments: argparse.Namespace,
    command_line: Sequence[str],
) -> None:
    """Print the table, and write all that the run leaves where it is to leave something."""
    from eval.harness import results
    from eval.harness.run_files import write_files
    from eval.harness.table_files import csv_text, tex_text
    from eval.harness.terminal_table import Terminal, where_all_is
    from eval.probes import probes_csv, probes_results, probes_table, probes_terminal
    from eval.probes.probes_schema import SCHEMA

    text = probes_table.markdown(result, how)
    table = probes_terminal.compact(result, how)
    full = where_all_is(arguments.output)
    printed = text if arguments.wide else probes_terminal.text(table, result, Terminal.of(sys.stdout), full)
    if output:
        contents = probes_results.document(result, how, command_line)
        rows = list(probes_results.clip_rows(result))
        mark = probes_table.mark(result, how)
        tables = {"table.csv": probes_csv.table_csv(contents), "clips.csv": csv_text(rows)}
        write_files(output, {**tables, "table.tex": tex_text([table], mark)})
        results.write(output, SCHEMA, contents, rows, text)
        print(f"written to {output}", file=sys.stderr)
    print(printed)  # last: what was computed is kept, whatever becomes of what is printed
