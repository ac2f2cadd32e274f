"""Text to speech by a small language model over each codec's tokens: what do tokens with semantics do for words? Every
codec gets the same corpus, model, steps and seed. What was stopped goes on with the same command."""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):
    _here = Path(__file__).resolve().parent
    sys.path[:] = [str(_here.parents[1]), *(entry for entry in sys.path if Path(entry or ".").resolve() != _here)]

import argparse
from collections.abc import Sequence

from eval.harness.metric import Metric
from eval.harness.schema import ResultsSchema
from experiments.semantic.speech_scores import DEFAULT_METRICS, SpokenResult, scored
from experiments.semantic.speech_stages import CodecUnderTest, SpeechPlan, read_lm_settings

SCHEMA = ResultsSchema("soundcodec-llmcodec/text-to-speech", 1, "text_to_speech.py", "sentences.jsonl")
_ABOUT = """    python experiments/semantic/spoken_corpus.py --texts DATA:train --out spoken
    python experiments/semantic/text_to_speech.py --corpus spoken --codec a=runs/a b=runs/b --out runs/tts"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 2 where it cannot be done, 130 where it was stopped."""
    arguments = _parser().parse_args(argv)
    try:
        codecs = [CodecUnderTest.parse(text) for text in arguments.codec]
        if len({codec.name for codec in codecs}) < len(codecs):
            raise ValueError(f"two codecs have one name: {', '.join(codec.name for codec in codecs)}")
        plan = SpeechPlan(
            corpus=str(arguments.corpus),
            lm=read_lm_settings(arguments.lm_config),
            steps=arguments.steps,
            sentences=arguments.sentences,
            temperature=arguments.temperature,
            top_p=arguments.top_p,
            tries=arguments.tries,
            longest_s=arguments.seconds,
            device=arguments.device,
        )
        print(run(codecs, plan, arguments.seeds, arguments.metrics, arguments.out, sys.argv if argv is None else argv))
        return 0
    except KeyboardInterrupt:
        print("text_to_speech: stopped; the same command goes on", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError) as error:
        print(f"text_to_speech: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def run(
    codecs: Sequence[CodecUnderTest],
    plan: SpeechPlan,
    seeds: Sequence[int],
    metric_names: Sequence[str],
    out: Path,
    command: Sequence[str],
) -> str:
    """All stages of all codecs; writes results.json, sentences.jsonl and table.md into `out` and returns the table."""
    from eval.harness import results as result_files
    from eval.reconstruction import metrics
    from eval.reconstruction.metrics import words
    from experiments.semantic import speech_scores
    from experiments.semantic.speech_stages import test_rows

    chosen = metrics.named(metric_names)
    metrics.require(chosen)
    for codec in codecs:  # at once, and not after the language models of those before it
        codec.load(plan.device).config.check_levels(1)
    said_words = sum(len(words.words_of(row.text or "")) for row in test_rows(plan))
    speech_scores.write_originals(plan, out / speech_scores.ORIGINALS)
    originals = speech_scores.scored(out / speech_scores.ORIGINALS, plan, chosen)
    spoken = [result for codec in codecs for result in _of_codec(codec, plan, seeds, chosen, out / codec.name)]
    kinds = speech_scores.columns(spoken, originals, chosen)
    table = speech_scores.table(spoken, kinds, said_words, plan)
    contents = result_files.heading(
        SCHEMA,
        mark=None,
        command_line=command,
        settings={**vars(plan), "seeds": list(seeds), "codecs": {codec.name: codec.place for codec in codecs}},
        statistics={"interval": "95% bootstrap over sentences", "words": said_words},
    )
    contents["judges"] = {metric.name: metric.judge for metric in chosen}
    contents["models"] = [
        {"name": result.name, "codec": result.codec, "source": result.source.to_dict(), "ended": result.ended}
        | {"bits_per_token": speech_scores.bits_per_token(result), **result.facts}
        for result in spoken
    ]
    contents["scores"] = speech_scores.summaries(kinds)
    rows = [
        {"model": result.name, "kind": kind, "metric": name, "id": key, **vars(score)}
        for result in spoken
        for kind, scores in (("speech", result.speech), ("resynthesis", result.resynthesis))
        for name, by_id in scores.items()
        for key, score in by_id.items()
    ]
    result_files.write(out, SCHEMA, contents, rows, table)
    return table


def _of_codec(
    named: CodecUnderTest, plan: SpeechPlan, seeds: Sequence[int], metrics: Sequence[Metric], folder: Path
) -> list[SpokenResult]:
    """The results of a codec, one for each seed of the language model."""
    from experiments.semantic import speech_stages as stages
    from soundcodec_llmcodec.files import read_json
    from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM

    codec = named.load(plan.device)
    tokens = stages.make_tokens(codec, plan, folder)
    stages.make_resynthesis(codec, plan, tokens, folder / "resynthesis")
    resynthesis = scored(folder / "resynthesis", plan, metrics)
    spoken = []
    for seed in seeds:
        place = folder / f"seed-{seed}"
        export = stages.train_lm(plan, named.place, tokens, place / "lm", seed)
        lm = NeuralTokenLM.load(export, device=plan.device)
        said = stages.make_speech(codec, lm, plan, place / "speech", seed)
        bits, counts = stages.bits_of_test(lm, tokens)
        facts = {
            "seed": seed,
            "lm_parameters": lm.parameters,
            "lm_identity": lm.identity,
            "codec_hash": codec.weights_hash,
            "training": read_json(export / "training.json"),
        }
        spoken.append(
            SpokenResult(
                name=named.name if len(seeds) == 1 else f"{named.name} (seed {seed})",
                codec=named.name,
                source=stages.source_of(tokens),
                bits=bits,
                tokens=counts,
                ended=sum(bool(row.get("ended")) for row in said),
                sentences=len(said),
                speech=scored(place / "speech", plan, metrics),
                resynthesis=resynthesis,
                facts=facts,
            )
        )
    return spoken


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="text_to_speech",
        description=f"{__doc__}\n\n{_ABOUT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--corpus", required=True, help="speech with text, splits train, validation and test")
    parser.add_argument("--codec", nargs="+", required=True, metavar="NAME=FOLDER", help="codecs to compare")
    parser.add_argument("--out", required=True, type=Path, help="the experiment's folder")
    parser.add_argument("--lm-config", default="speech", help="the language model, as lm train --config (speech)")
    parser.add_argument("--steps", type=int, help="steps of the language model (default: as the config says)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="seeds of the language model (default: 0)")
    parser.add_argument("--sentences", type=int, default=60, help="test sentences to speak (default: 60)")
    parser.add_argument("--temperature", type=float, default=1.0, help="of sampling (default: 1)")
    parser.add_argument("--top-p", type=float, help="draw from the likeliest that together have this share")
    parser.add_argument("--tries", type=int, default=1, help="keep the likeliest of so many (default: 1)")
    parser.add_argument("--seconds", type=float, default=10.0, help="cut longer speech (default: 10)")
    parser.add_argument("--metrics", nargs="+", default=list(DEFAULT_METRICS), help="as superb_tiny.py names them")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda")
    return parser


if __name__ == "__main__":
    sys.exit(main())
