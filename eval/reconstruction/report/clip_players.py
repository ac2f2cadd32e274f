"""Clips to look at and to listen to: the original and every codec's, side by side."""

from __future__ import annotations

from typing import Any

from eval.harness.pages import figures
from eval.harness.pages.sample_cards import SampleFile, card, read_sample
from eval.harness.run_folder import RunFolder
from soundcodec_llmcodec.pages.axes import ticks
from soundcodec_llmcodec.pages.markup import Markup, tag

ORIGINAL = "original"
Figures = dict[str, Any]


def sample(run: RunFolder, clip: Figures, key: str) -> Markup:
    """One clip: a heading, and a card for the original and each codec. The spectrograms share scale and axes."""
    original = read_sample(clip["original"], run.sample(clip["original"]))
    recordings = [
        (model["name"], *_reconstruction(run, clip, model["name"]))
        for model in run.results["models"]
        if not model["failure"]
    ]
    # Without the original, the loudest of the codecs is as good a common scale as there is.
    scale = [original] if original.powers is not None else [file for _, file, _ in recordings]
    loudest = max((float(file.powers.max()) for file in scale if file.powers is not None), default=0.0)
    axes = ticks(original.seconds, original.rate) if original.powers is not None else None
    cards = [card(ORIGINAL, original, loudest, axes, None, "card original")]
    cards += [card(name, file, loudest, None, scores, "card") for name, file, scores in recordings]
    length = f"{clip['seconds']:.1f} s"
    if original.seconds and original.seconds < clip["seconds"] - 0.05:
        length = f"the first {original.seconds:.1f} of {length}"
    about = f"{clip['split']} · {clip['source']} · {length} · {clip['rate'] / 1000:g} kHz"
    heading = tag("h3", clip["clip_id"], " ", tag("span", about, class_="muted"), id=f"clip-{key}")
    grid = tag("div", cards, class_="cards", tabindex=0, role="group", aria_label=f"Samples of {clip['clip_id']}")
    return tag("section", heading, grid, class_="clip", data_split=clip["split"], aria_labelledby=f"clip-{key}")


def _reconstruction(run: RunFolder, clip: Figures, model: str) -> tuple[SampleFile, Markup | None]:
    """What a codec made of a clip, or why there is nothing, and its scores of it."""
    row = run.rows.get((model, clip["split"], clip["clip_id"]))
    failure = row.get("failure") if row else None
    scores = _scores(row, run.results["metrics"]) if row and not failure else None
    if model in clip["models"]:
        return read_sample(clip["models"][model], run.sample(clip["models"][model])), scores
    return SampleFile(problem=f"no reconstruction: {failure}" if failure else "no sample was kept"), scores


def _scores(row: Figures, metrics: Figures) -> Markup:
    """This clip's scores; what has none says why."""
    items = []
    for name, metric in metrics.items():
        value = row["scores"].get(name)
        why = (row.get("reasons") or {}).get(name)
        text = figures.number(value) if value is not None else tag("span", figures.NONE, title=why)
        items.append(tag("div", tag("dt", f"{name} {figures.ARROWS[metric['direction']]}"), tag("dd", text)))
    return tag("dl", items, class_="scores")
