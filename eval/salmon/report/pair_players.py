"""Pairs to look at and to listen to: the coherent recording and the other one, and what each model made of them."""

from __future__ import annotations

from typing import Any

from eval.harness.pages import cells, figures
from eval.harness.pages.cells import Cell, TableColumn, TableRow
from eval.harness.pages.sample_cards import SampleFile, card, read_sample
from eval.harness.run_folder import RunFolder
from eval.salmon.pair_scores import NORMALIZATIONS
from eval.salmon.report import accuracy_table as leaderboard
from eval.salmon.report.histograms import UNITS
from soundcodec_llmcodec.pages.axes import ticks
from soundcodec_llmcodec.pages.markup import Markup, breakable, tag

NAMES = {"positive": "coherent", "negative": "not coherent"}
LONGEST = 120

Figures = dict[str, Any]


def pair(run: RunFolder, sample: Figures, key: str) -> Markup:
    """One pair: a heading, a card for each recording on one scale, and the models' scores."""
    files = {kind: _sample_file(run, sample[kind]) for kind in NAMES}
    loudest = max((float(file.powers.max()) for file in files.values() if file.powers is not None), default=0.0)
    cards = []
    for kind, name in NAMES.items():
        file = files[kind]
        axes = ticks(file.seconds, file.rate) if file.powers is not None else None
        cut = _cut(sample, file)
        class_ = "card original" if kind == "positive" else "card"
        cards.append(card(name, file, loudest, axes and Markup(axes + cut), None, class_))
    title = run.results["parts"][sample["part"]]["title"]
    about = f"{title} · {_length(sample, files)} · {sample['positive']['rate'] / 1000:g} kHz"
    heading = tag("h3", sample["pair_id"], " ", tag("span", about, class_="muted"), id=f"pair-{key}")
    label = f"Recordings of {title} {sample['pair_id']}"
    grid = tag("div", cards, class_="cards two", tabindex=0, role="group", aria_label=label)
    both = tag("div", grid, tag("div", _scores(run, sample), _about(sample)), class_="pair")
    return tag("section", heading, both, class_="clip", aria_labelledby=f"pair-{key}")


def _sample_file(run: RunFolder, recording: Figures) -> SampleFile:
    if recording["file"] is None:
        return SampleFile(problem=recording["problem"])
    return read_sample(recording["file"], run.sample(recording["file"]))


def _cut(sample: Figures, file: SampleFile) -> Markup:
    """Where the second half begins, if the suite tells."""
    cut = (sample.get("about") or {}).get("cut_sample")
    if not isinstance(cut, int) or not 0 < cut < file.seconds * sample["positive"]["rate"]:
        return Markup("")
    x = f"{100 * cut / (file.seconds * sample['positive']['rate']):.1f}%"
    line = tag("line", x1=x, x2=x, y1="0", y2="100%", class_="cut")
    return tag("svg", line, class_="axes", aria_hidden="true")


def _length(sample: Figures, files: dict[str, SampleFile]) -> str:
    lengths = []
    for kind, file in files.items():
        whole = sample[kind]["seconds"]
        cut = f"the first {file.seconds:.1f} of " if file.seconds and file.seconds < whole - 0.05 else ""
        lengths.append(f"{cut}{whole:.1f} s")
    return " and ".join(dict.fromkeys(lengths))


def _scores(run: RunFolder, sample: Figures) -> Markup:
    """Each model's difference, by normalization, or why it has none."""
    columns = [TableColumn("model", is_text=True)]
    for how in NORMALIZATIONS:
        columns.append(TableColumn(UNITS[how], "how much more likely the coherent one is", "descending"))
        columns.append(TableColumn("", f"by {UNITS[how]}", is_text=True))
    rows = []
    for model in leaderboard.loaded(run.results):
        row = run.rows.get((model["name"], sample["part"], sample["pair_id"]))
        cells_of_model = [Cell(breakable(model["name"]), model["name"].casefold(), class_="model")]
        for how in NORMALIZATIONS:
            difference = row["difference"][how] if row else None
            if difference is None:
                why = (row or {}).get("failure") or "the pair is not in pairs.jsonl"
                cells_of_model += [Cell(figures.NONE), Cell(why, why, class_="reason warn")]
                continue
            cells_of_model += [Cell(figures.signed(difference), difference), _verdict(difference)]
        rows.append(TableRow(cells_of_model))
    return cells.table("Difference of the scores: coherent minus not coherent", columns, [(None, "", rows)])


def _verdict(difference: float) -> Cell:
    word, class_ = ("tie", "muted") if not difference else ("right", "better") if difference > 0 else ("wrong", "worse")
    return Cell(tag("span", word, class_=class_), word)


def _about(sample: Figures) -> Markup:
    """What the suite tells of how the pair was made."""
    items = [
        tag("div", tag("dt", name), tag("dd", text if len(text) <= LONGEST else f"{text[:LONGEST]}…"))
        for name, value in (sample.get("about") or {}).items()
        if (text := str(value)) and value is not None
    ]
    if not items:
        return Markup("")
    return tag("details", tag("summary", "How it was made"), tag("dl", items, class_="facts small"))
