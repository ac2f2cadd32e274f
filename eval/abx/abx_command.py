"""Phonetic discriminability of representations: `python eval/abx.py --models ... --dataset ...`; see `--help`."""

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
    from eval.abx.abx_run import AbxRun, AbxSettings

_ABOUT = """How well a codec's tokens, its features or a speech encoder tell phones apart (ABX): X is an instance of the
same phone as A, and B of another one; the error is how often X is nearer to B. 0% is perfect, 50% chance.

    python eval/abx.py --models llmcodec llmcodec:continuous mel --dataset DATA:validation --output runs/abx

The data set needs a column speaker_id. Phones are aligned by a phoneme recogniser (the package hama), once for all
models, and written to --output: the next run takes them by --alignments runs/abx/phones.csv, another program the items
in runs/abx/triphone.item. Alignments of one's own are a CSV file with the columns clip_id, start, end, phone (and
speaker), in seconds."""

_MODELS = """[LABEL=]CODEC[@LEVELS], hf:ID[@LEVELS], CODEC:continuous, random:CODEC, mel, or teacher:NAME[:LAYERS]
(default: llmcodec, llmcodec:continuous, mel, random:llmcodec); differences are from the first"""

_EXIT_CODES = exit_codes(
    "every model was measured",
    "some could not be loaded or failed on a clip; they are listed, everything else was measured",
    "nothing could be measured: no clips, speakers, phones or models",
)
_DEFAULT_MODELS = ("llmcodec", "llmcodec:continuous", "mel", "random:llmcodec")
_CONDITIONS = ("triphone", "within", "any")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return command.main("abx", argv, _parse, _run)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = shared.parser("abx", _ABOUT, _EXIT_CODES)
    what = parser.add_argument_group("what is compared")
    what.add_argument("--models", nargs="+", metavar="MODEL", default=list(_DEFAULT_MODELS), help=_MODELS)
    what.add_argument("--dataset", metavar="DIR[:SPLIT]", help="a folder, a parquet file or a hub id with speakers")
    what.add_argument(
        "--corpus", nargs="+", metavar="NAME", default=[], help="take these corpora of it alone (column corpus)"
    )
    shared.add_include(what, "data sets")
    shared.add_limit(what, "clips a split")
    what.add_argument("--list", action="store_true", help="list the models that can be named, and stop")
    how = parser.add_argument_group("phones, and how they are compared")
    given = how.add_mutually_exclusive_group()
    given.add_argument("--alignments", metavar="FILE.csv", help="phones of one's own, in place of the recogniser's")
    given.add_argument("--items", metavar="FILE.item", help="items of one --context, as ZeroSpeech's evaluators read")
    how.add_argument(
        "--context",
        nargs="+",
        choices=_CONDITIONS,
        default=["triphone", "any"],
        help="triphone: phones with both neighbours, compared where these are the same; within: phones alone, compared "
        "where the neighbours are the same; any: phones alone, whatever their neighbours, for small sets (default: "
        "triphone any)",
    )
    how.add_argument(
        "--max-items", type=shared.positive, default=10, help="items a phone, context and speaker (default: 10)"
    )
    how.add_argument(
        "--max-speakers", type=shared.positive, default=5, help="other speakers that X is of, each (default: 5)"
    )
    how.add_argument("--seed", type=shared.not_negative, default=0, help="by which both are drawn (default: 0)")
    leaves = parser.add_argument_group("how it runs, and what it leaves")
    leaves.add_argument("--output", metavar="FOLDER", help="write results.json, tables, phones and items there")
    leaves.add_argument("--overwrite", action="store_true", help="write where --output holds results already")
    shared.add_device(leaves, "models run")
    shared.add_wide(leaves)
    shared.add_quiet(leaves)
    arguments = parser.parse_args(argv)
    if not arguments.list and not arguments.dataset:
        parser.error("name clips with --dataset DIR[:SPLIT]; phones are compared between speakers (column speaker_id)")
    return arguments


def _run(arguments: argparse.Namespace, command_line: Sequence[str]) -> int:
    from eval.representations import representation_specs

    if arguments.list:
        print("\n".join([*representation_specs.names(), "", representation_specs.forms()]))
        return DONE
    from eval.abx import abx_results, abx_run, ctc_phones
    from eval.abx.abx_clips import AbxClips
    from eval.harness import manifest
    from eval.harness.model_specs import load_each
    from eval.harness.run_files import check_folder, check_without_results

    conditions = tuple(dict.fromkeys(arguments.context))
    output = Path(arguments.output) if arguments.output else None
    if output:
        check_folder(output)
        manifest.check(output, abx_results.file_names(conditions))
        check_without_results(output, arguments.overwrite)
    include.load(arguments.include)
    specs = representation_specs.check(arguments.models)
    clips = AbxClips.open(arguments.dataset, tuple(arguments.corpus), arguments.limit)
    settings = abx_run.AbxSettings(
        conditions=conditions,
        max_items=arguments.max_items,
        max_speakers=arguments.max_speakers,
        seed=arguments.seed,
        alignments=Path(arguments.alignments) if arguments.alignments else None,
        items=Path(arguments.items) if arguments.items else None,
        progress=not arguments.quiet,
    )
    if not (settings.alignments or settings.items):
        ctc_phones.require()
    models, unloaded = load_each(
        specs, lambda spec: representation_specs.load(spec, arguments.device), "abx", "representation"
    )
    material = abx_run.prepare(clips, settings)
    if output:
        abx_results.write_material(output, material)  # at once: reading phones may have taken longer than what follows
    result = abx_run.run(material, models, unloaded, settings.progress)
    _leave(result, settings, arguments, command_line, output)
    return INCOMPLETE if result.unloaded else DONE


def _leave(
    result: AbxRun,
    settings: AbxSettings,
    arguments: argparse.Namespace,
    command_line: Sequence[str],
    output: Path | None,
) -> None:
    """Write and print what was measured."""
    from eval.abx import abx_csv, abx_results, abx_table, abx_terminal
    from eval.harness.run_files import write_files
    from eval.harness.table_files import csv_text, tex_text
    from eval.harness.terminal_table import Terminal, where_all_is

    table = abx_table.markdown(result)
    compact = abx_terminal.compact(result)
    terminal = Terminal.of(sys.stdout)
    full = where_all_is(arguments.output)
    printed = table if arguments.wide else abx_terminal.text(compact, result, terminal, full)
    if output:
        contents = abx_results.document(result, settings, command_line)
        tables = {
            "table.csv": abx_csv.table_csv(contents),
            "phone_pairs.csv": csv_text(abx_results.pair_rows(result)),
            "table.tex": tex_text(compact, abx_table.mark(result)),
        }
        write_files(output, tables)
        abx_results.write(output, contents, result, table)
        print(f"written to {output}", file=sys.stderr)
    print(printed)  # last: what was computed is kept, whatever becomes of what is printed
