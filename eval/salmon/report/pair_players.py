"""Pairs to look at and to listen to: the coherent recording and the other one, and what each model made of them."""

from __future__ import annotations

from typing import Any

from eval.harness.pages import cells, figures
from eval.harness.pages.cells import Cell, TableColumn, TableRow
from eval.reconstruction.report.clip_players import SampleAudio, card, read_sample
from eval.salmon.pair_scores import NORMALIZATIONS
from eval.salmon.report import accuracy_table as leaderboard
from eval.salmon.report.histograms import UNITS
from eval.salmon.report.salmon_folder import SalmonFolder
from soundcodec_llmcodec.pages.axes import ticks
from soundcodec_llmcodec.pages.markup import Markup, breakable, tag

NAMES = {"positive": "coherent", "negative": "not coherent"}
LONGEST = 120

Figures = dict[str, Any]


def pair(run: SalmonFolder, kept_pair: Figures, key: str) -> Markup:
    """One pair: a heading, a card for each recording on one scale, and the models' scores."""
    audio = {kind: _read_sample(run, kept_pair[kind]) for kind in NAMES}
    loudest = max((float(one.powers.max()) for one in audio.values() if one.powers is not None), default=0.0)
    cards = []
    for kind, name in NAMES.items():
        one = audio[kind]
        axes = ticks(one.seconds, one.rate) if one.powers is not None else None
        cut = _cut(kept_pair, one)
        class_ = "card original" if kind == "positive" else "card"
        cards.append(card(name, one, loudest, axes and axes + cut, None, class_))
    title = run.results["parts"][kept_pair["part"]]["title"]
    about = f"{title} · {_length(kept_pair, audio)} · {kept_pair['positive']['rate'] / 1000:g} kHz"
    heading = tag("h3", kept_pair["pair_id"], " ", tag("span", about, class_="muted"), id=f"pair-{key}")
    label = f"Recordings of {title} {kept_pair['pair_id']}"
    grid = tag("div", cards, class_="cards two", tabindex=0, role="group", aria_label=label)
    both = tag("div", grid, tag("div", _scores(run, kept_pair), _about(kept_pair)), class_="pair")
    return tag("section", heading, both, class_="clip", aria_labelledby=f"pair-{key}")


def _read_sample(run: SalmonFolder, kept_pair: Figures) -> SampleAudio:
    if kept_pair["file"] is None:
        return SampleAudio(problem=kept_pair["problem"])
    return read_sample(kept_pair["file"], run.sample(kept_pair["file"]))


def _cut(kept_pair: Figures, audio: SampleAudio) -> Markup:
    """Where the second half begins, if the suite tells."""
    cut = (kept_pair.get("about") or {}).get("cut_sample")
    if not isinstance(cut, int) or not 0 < cut < audio.seconds * kept_pair["positive"]["rate"]:
        return Markup("")
    x = f"{100 * cut / (audio.seconds * kept_pair['positive']['rate']):.1f}%"
    line = tag("line", x1=x, x2=x, y1="0", y2="100%", class_="cut")
    return tag("svg", line, class_="axes", aria_hidden="true")


def _length(kept_pair: Figures, audio: dict[str, SampleAudio]) -> str:
    lengths = []
    for kind, one in audio.items():
        whole = kept_pair[kind]["seconds"]
        cut = f"the first {one.seconds:.1f} of " if one.seconds and one.seconds < whole - 0.05 else ""
        lengths.append(f"{cut}{whole:.1f} s")
    return " and ".join(dict.fromkeys(lengths))


def _scores(run: SalmonFolder, kept_pair: Figures) -> Markup:
    """Each model's difference, by normalization, or why it has none."""
    columns = [TableColumn("model", is_text=True)]
    for how in NORMALIZATIONS:
        columns.append(TableColumn(UNITS[how], "how much more likely the coherent one is", "descending"))
        columns.append(TableColumn("", f"by {UNITS[how]}", is_text=True))
    rows = []
    for model in leaderboard.loaded(run.results):
        row = run.pairs.get((model["name"], kept_pair["part"], kept_pair["pair_id"]))
        row_cells = [Cell(breakable(model["name"]), model["name"].casefold(), class_="model")]
        for how in NORMALIZATIONS:
            difference = row["difference"][how] if row else None
            if difference is None:
                why = (row or {}).get("failure") or "the pair is not in pairs.jsonl"
                row_cells += [Cell(figures.NONE), Cell(why, why, class_="reason warn")]
                continue
            row_cells += [Cell(figures.signed(difference), difference), _verdict(difference)]
        rows.append(TableRow(row_cells))
    return cells.table("Difference of the scores: coherent minus not coherent", columns, [(None, "", rows)])


def _verdict(difference: float) -> Cell:
    word, class_ = ("tie", "muted") if not difference else ("right", "better") if difference > 0 else ("wrong", "worse")
    return Cell(tag("span", word, class_=class_), word)


def _about(kept_pair: Figures) -> Markup:
    """What the suite tells of how the pair was made."""
    items = [
        tag("div", tag("dt", name), tag("dd", text if len(text) <= LONGEST else f"{text[:LONGEST]}…"))
        for name, value in (kept_pair.get("about") or {}).items()
        if (text := str(value)) and value is not None
    ]
    if not items:
        return Markup("")
    return tag("details", tag("summary", "How it was made"), tag("dl", items, class_="facts small"))
