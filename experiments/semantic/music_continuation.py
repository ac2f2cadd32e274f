"""What a token language model makes of music, codec by codec: it continues prompts from recordings that it was not
trained on, and the Fréchet distance from its continuations to the true ones, both through the codec, is told."""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):
    _here = Path(__file__).resolve().parent
    sys.path[:] = [str(_here.parents[1]), *(entry for entry in sys.path if Path(entry or ".").resolve() != _here)]

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

# torch and the codecs are imported where they are needed: names are checked, and --help is shown, without them.
if TYPE_CHECKING:
    from eval.sets.set_embeddings import SetEmbedding
    from experiments.semantic.music_prompts import MusicPrompt, MusicSplit, PromptLengths
    from experiments.semantic.music_rows import ContinuationJournal, MusicRow
    from soundcodec_llmcodec.data.datasets import DataSet
    from soundcodec_llmcodec.lm.continuation import Sampling

PROGRAM = "music_continuation"
_ABOUT = """    python experiments/semantic/music_continuation.py --dataset MUSIC:train --codec a=CODEC \\
        --write-tokens tokens
    llmcodec lm train --tokens tokens/a:train --validation tokens/a:validation --out runs/lm-a
    python experiments/semantic/music_continuation.py --dataset MUSIC:train --codec a=CODEC --lm a=runs/lm-a/export \\
        --codec noise=CODEC --lm noise=uniform --output runs/music

The same command goes on with a run that was stopped."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(_parser().parse_args(words), [PROGRAM, *words])
    except KeyboardInterrupt:
        print(f"{PROGRAM}: stopped; the same command goes on", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError) as error:
        print(f"{PROGRAM}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description=f"{__doc__}\n\n{_ABOUT}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", required=True, metavar="PLACE[:SPLIT]", help="music and sounds, all of them")
    parser.add_argument("--codec", required=True, action="append", metavar="NAME=FOLDER", help="a row's codec")
    parser.add_argument(
        "--lm", action="append", default=[], metavar="NAME=FOLDER", help="its language model, or NAME=uniform for noise"
    )
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="the run: results.json, table.md, its journal")
    parser.add_argument(
        "--write-tokens", type=Path, metavar="FOLDER", help="write FOLDER/NAME:train and :validation, and nothing else"
    )
    parser.add_argument("--held-out", type=float, default=0.2, help="share of recordings for prompts (default: 0.2)")
    parser.add_argument("--validation", type=float, default=0.05, help="share to validate on (default: 0.05)")
    parser.add_argument(
        "--recording",
        metavar="REGEX",
        help="whose first group names a clip's recording (default: the id without "
        "numbers of up to three digits and single capitals at its end)",
    )
    parser.add_argument("--prompt-s", type=float, default=3.0, help="seconds given (default: 3)")
    parser.add_argument("--continue-s", type=float, default=3.0, help="seconds that follow (default: 3)")
    parser.add_argument("--crops", type=int, default=2, help="prompts from a clip at most (default: 2)")
    parser.add_argument("--limit", type=int, help="prompts at most, to try it out")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="a continuation with each (default: 0)")
    parser.add_argument("--temperature", type=float, default=1.0, help="of the sampling (default: 1)")
    parser.add_argument("--top-k", type=int, help="draw from the k likeliest")
    parser.add_argument("--top-p", type=float, help="draw from the likeliest of together this probability")
    parser.add_argument("--embedding", default="musicnn-tags", help="musicnn-tags (default), musicnn, mel-statistics")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def _run(arguments: argparse.Namespace, command_line: Sequence[str]) -> int:
    codecs, lms = _named(arguments.codec, "--codec"), _named(arguments.lm, "--lm")
    if arguments.write_tokens is None and set(codecs) != set(lms):
        raise ValueError(f"expected one --lm for each --codec, got {sorted(lms)} for {sorted(codecs)}")
    if (arguments.write_tokens is None) == (arguments.output is None):
        raise ValueError("expected either --output, or --write-tokens to prepare the training")
    if len(set(arguments.seeds)) != len(arguments.seeds):
        raise ValueError(f"expected different --seeds, got {arguments.seeds}")
    from experiments.semantic.music_prompts import RECORDING, MusicSplit
    from soundcodec_llmcodec.data.datasets import open_dataset

    split = MusicSplit(arguments.held_out, arguments.validation, arguments.recording or RECORDING)
    data = open_dataset(arguments.dataset)
    if arguments.write_tokens is not None:
        return _write_tokens(codecs, data, split, arguments)
    return _measure(codecs, lms, data, split, arguments, command_line)


def _named(texts: Sequence[str], option: str) -> dict[str, str]:
    """By name what "NAME=PLACE" says. Raises ValueError."""
    pairs = [text.partition("=") for text in texts]
    named = {name: place for name, _, place in pairs}
    if len(named) != len(texts) or not all(name and place and "/" not in name for name, place in named.items()):
        raise ValueError(f"expected {option} NAME=FOLDER, each name once and without '/', got {' '.join(texts)}")
    return named


def _write_tokens(codecs: Mapping[str, str], data: DataSet, split: MusicSplit, arguments: argparse.Namespace) -> int:
    from experiments.semantic.music_prompts import write_training_tokens
    from soundcodec_llmcodec.cli.codec_choice import load_codec

    for name, place in codecs.items():
        folder = arguments.write_tokens / name
        counts = write_training_tokens(load_codec(place, arguments.device), data, split, folder)
        print(f"{folder}: {', '.join(f'{count} clips {part}' for part, count in counts.items())}")
    return 0


def _measure(
    codecs: Mapping[str, str],
    lms: Mapping[str, str],
    data: DataSet,
    split: MusicSplit,
    arguments: argparse.Namespace,
    command_line: Sequence[str],
) -> int:
    from eval.harness import manifest
    from eval.harness.results import files
    from eval.sets.set_embeddings import embedding_named
    from experiments.semantic.music_prompts import PromptLengths, held_out_prompts
    from experiments.semantic.music_rows import ContinuationJournal
    from experiments.semantic.music_table import SCHEMA, write_results
    from soundcodec_llmcodec.lm.continuation import Sampling

    embedding = embedding_named(arguments.embedding)
    embedding.check()
    sampling = Sampling(arguments.temperature, arguments.top_k, arguments.top_p)
    lengths = PromptLengths(arguments.prompt_s, arguments.continue_s, arguments.crops)
    held = held_out_prompts(data, split, lengths, arguments.limit)
    held.check()
    rows = _rows(codecs, lms, arguments.device)
    settings = {
        "dataset": data.place.title,
        "prompts": held.fingerprint,
        "n_prompts": len(held.prompts),
        "too_short": held.too_short,
        "unreadable": held.unreadable,
        "limit": arguments.limit,
        "seeds": arguments.seeds,
        "split": dataclasses.asdict(split),
        "lengths": dataclasses.asdict(lengths),
        "sampling": {key: value for key, value in dataclasses.asdict(sampling).items() if key != "seed"},
        "embedding": embedding.describe(),
        "models": [row.describe() for row in rows],
    }
    manifest.check(arguments.output, files(SCHEMA, report=False))
    with ContinuationJournal(arguments.output, settings, resume=True) as journal:
        _continue(rows, held.prompts, lengths, sampling, embedding, journal, arguments)
    print(write_results(arguments.output, settings, journal.batches, embedding, command_line))
    return 0


def _rows(codecs: Mapping[str, str], lms: Mapping[str, str], device: str) -> list[MusicRow]:
    """The rows in the order of the codecs. Raises ValueError for a language model that cannot continue, and what
    loading raises, such as CodecMismatchError."""
    from experiments.semantic.music_rows import MusicRow
    from soundcodec_llmcodec.cli.codec_choice import load_codec
    from soundcodec_llmcodec.data.token_corpus import TokenSource
    from soundcodec_llmcodec.lm.counted import UniformLM
    from soundcodec_llmcodec.lm.loading import load_token_lm
    from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM

    rows = []
    for name, place in codecs.items():
        codec = load_codec(place, device)
        lm = load_token_lm(lms[name], TokenSource.of(codec), device)
        if not isinstance(lm, (NeuralTokenLM, UniformLM)):
            raise ValueError(f"{name}: {lm.name} only scores; name a folder of llmcodec lm train, or {name}=uniform")
        rows.append(MusicRow(name, codec, lm))
    return rows


def _continue(
    rows: Sequence[MusicRow],
    prompts: Sequence[MusicPrompt],
    lengths: PromptLengths,
    sampling: Sampling,
    embedding: SetEmbedding,
    journal: ContinuationJournal,
    arguments: argparse.Namespace,
) -> None:
    """Embed the true continuations and those of every seed, but for what the journal has."""
    from tqdm import tqdm

    from experiments.semantic.music_rows import EmbeddedClip

    present = {clip.key for clip in journal.batches}
    todo = [
        (row, seed, prompt)
        for row in rows
        for prompt in prompts
        for seed in (None, *arguments.seeds)
        if (row.label, seed, prompt.prompt_id) not in present
    ]
    for row, seed, prompt in tqdm(todo, unit="clip", disable=arguments.quiet, mininterval=1):
        if seed is None:
            samples = row.truth(prompt, lengths)
        else:
            samples = row.continuation(prompt, lengths, dataclasses.replace(sampling, seed=seed))
        items = embedding(samples, row.codec.config.sample_rate)
        journal.add(EmbeddedClip(row.label, seed, prompt.prompt_id, prompt.recording, items))


if __name__ == "__main__":
    raise SystemExit(main())
