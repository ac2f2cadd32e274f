"""How well language models predict a codec's tokens: `python eval/predictability.py --train ... --test ...`; see
`--help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from eval.harness import arguments as shared
from eval.harness import command, include
from eval.harness.command import DONE, INCOMPLETE, exit_codes

_ABOUT = """How well language models predict a codec's tokens: nats and bits a token, bits a second of audio,
perplexity, and the share of the unigram's bits that a context explains.

    llmcodec tokenize --dataset DATA:train --out tokens
    llmcodec tokenize --dataset DATA:validation --out tokens
    python eval/predictability.py --train tokens:train --test tokens:validation --output runs/predictability

Several codecs side by side, each with its own tokens of the same clips:

    python eval/predictability.py --codec a=tokens_a:train,tokens_a:test,lms/a --codec b=tokens_b:train,tokens_b:test

Without any of these, the bundled clips are made into tokens here; those numbers are not for reporting. Without --train,
each half of the clips is predicted by counts of the other half."""

_EXIT_CODES = exit_codes(
    "every model was measured",
    "some could not be had; they are listed, everything else was measured",
    "nothing could be measured: no tokens, a model of another codec, a clip too long for a model",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return command.main("predictability", argv, _parse, _run)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = shared.parser("predictability", _ABOUT, _EXIT_CODES)
    what = parser.add_argument_group("what is compared")
    what.add_argument("--train", metavar="DIR:SPLIT", help="tokens to count n-grams in")
    what.add_argument("--test", metavar="DIR:SPLIT", help="tokens to predict")
    what.add_argument(
        "--codec",
        action="append",
        metavar="[LABEL=]TRAIN,TEST[,LM...]",
        help="a codec's tokens and language models of its own, in place of --train and --test; may be repeated; TRAIN "
        "may be -; or [LABEL=]my_codec.py:MyCodec[@DATASET], whose tokens of a data set (default: mini) are made here",
    )
    what.add_argument(
        "--models",
        nargs="+",
        metavar="MODEL",
        help="uniform, unigram, bigram, trigram, bundled, a token LM's folder, or a folder or hub id of a model with "
        "<CODEC_i> tokens (default: the first four, and bundled where it is of this codec)",
    )
    shared.add_include(what, "codecs and data sets")
    shared.add_limit(what, "clips to predict")
    how = parser.add_argument_group("how it runs, and what it leaves")
    how.add_argument("--output", metavar="FOLDER", help="write results.json, clips.jsonl and table.md there")
    how.add_argument("--overwrite", action="store_true", help="write where --output holds results already")
    shared.add_device(how, "language models run")
    how.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of their weights")
    how.add_argument("--batch-tokens", type=shared.positive, default=4096, help="padded tokens a batch (default: 4096)")
    shared.add_wide(how)
    shared.add_quiet(how)
    arguments = parser.parse_args(argv)
    if arguments.codec and (arguments.train or arguments.test):
        parser.error("--codec names its own tokens; leave --train and --test out")
    if arguments.train and not arguments.test:
        parser.error("--train goes with --test DIR:SPLIT, the tokens to predict")
    return arguments


def _run(arguments: argparse.Namespace, command_line: Sequence[str]) -> int:
    from eval.harness import manifest
    from eval.harness.run_files import check_folder, check_without_results, write_files
    from eval.harness.table_files import csv_text, tex_text
    from eval.harness.terminal_table import Terminal, where_all_is
    from eval.predictability import (
        included_tokens,
        predictability_csv,
        predictability_results,
        predictability_table,
        predictability_terminal,
        token_sets,
    )
    from eval.predictability.predictability_run import run
    from eval.predictability.predictors import How

    output = Path(arguments.output) if arguments.output else None
    if output:
        check_folder(output)
        manifest.check(output, predictability_results.FILES)
        check_without_results(output, arguments.overwrite)
    include.load(arguments.include)
    specs = [included_tokens.parse(text) for text in arguments.codec or ()]
    if arguments.test:
        specs.append(token_sets.TokenSetSpec(arguments.test, arguments.train))
    read = [included_tokens.read(spec, arguments.limit) for spec in specs]
    if not read:
        print("predictability: no tokens are named, so the bundled clips are coded; see --help", file=sys.stderr)
        read = [token_sets.mini(arguments.limit)]
    how = How(arguments.device, arguments.dtype, arguments.batch_tokens, progress=not arguments.quiet)
    own = [spec.lms for spec in specs] or [()]
    result = run(read, arguments.models, own, how)
    text = predictability_table.markdown(result, arguments.limit)
    table = predictability_terminal.compact(result, arguments.limit)
    full = where_all_is(arguments.output)
    printed = text if arguments.wide else predictability_terminal.text(table, result, Terminal.of(sys.stdout), full)
    if output:
        contents = predictability_results.document(result, how, command_line, arguments.limit)
        tables = {
            "table.csv": predictability_csv.table_csv(contents),
            "clips.csv": csv_text(predictability_results.clip_rows(result)),
            "table.tex": tex_text([table], predictability_table.mark(result, arguments.limit)),
        }
        write_files(output, tables)
        predictability_results.write(output, contents, result, text)
        print(f"written to {output}", file=sys.stderr)
    print(printed)  # last: what was computed is kept, whatever becomes of what is printed
    return INCOMPLETE if result.left_out else DONE
