"""The page's numbers: a row a codec, and what each column means."""

from __future__ import annotations

from collections.abc import Sequence

from soundcodec_llmcodec.listening.excerpt_coding import ExcerptReconstruction
from soundcodec_llmcodec.listening.page_measures import MEASURES, Value
from soundcodec_llmcodec.pages.markup import Markup, tag

NONE = "–"
ARROWS = {"lower": "↓", "higher": "↑", "0": "→ 0"}
CODE_COLUMNS = (
    (
        "bit/s",
        "Bit rate: tokens a second, over all levels, times the bits that tell one code from all others (log2 of the "
        "codebook's size). This is what the ids take in a token file, whose header is not counted.",
    ),
    ("file", "Size of the clip's token file (.llmc), with its header and checksums."),
    ("codes", "Different codes in this clip; with several levels, summed over them."),
    ("unique", "Different codes as a share of the clip's tokens: 100% when none comes twice."),
    (
        "entropy",
        "Bits a token if the codes' shares in this clip were known: −Σ p log2 p, a mean over levels. It is at most "
        "log2 of the number of frames, so that of a short clip says little of the codec.",
    ),
)


def numbers(reconstructions: Sequence[ExcerptReconstruction], name: str) -> Markup:
    """A table of the codecs' numbers on the clip of this name; where a measure has none, the reason stands below."""
    names = [name for name, _ in CODE_COLUMNS]
    heads = [tag("th", "codec", scope="col"), *(tag("th", name, scope="col") for name in names)]
    heads += [
        tag("th", measure.name, " ", tag("span", ARROWS[measure.better], class_="muted"), scope="col")
        for measure in MEASURES
    ]
    rows = [tag("tr", tag("th", decoded.label, scope="row"), _cells(decoded)) for decoded in reconstructions]
    table = tag("table", tag("thead", tag("tr", heads)), tag("tbody", rows))
    reasons = [
        tag("li", f"{decoded.label}: no {measure.name}: {value.reason}")
        for decoded in reconstructions
        for measure, value in zip(MEASURES, decoded.values, strict=True)
        if value.value is None
    ]
    reason_list = tag("ul", reasons, class_="reasons muted small") if reasons else Markup("")
    scroll = tag("div", table, class_="scroll", tabindex=0, role="group", aria_label=f"Numbers of {name}")
    return scroll + reason_list


def definitions() -> Markup:
    """What each column of the tables means."""
    explained = [*CODE_COLUMNS, *((measure.name, measure.definition) for measure in MEASURES)]
    return tag("dl", [tag("div", tag("dt", name), tag("dd", words)) for name, words in explained], class_="definitions")


def _cells(reconstruction: ExcerptReconstruction) -> list[Markup]:
    cells = [
        f"{reconstruction.bitrate_bps:,.0f}",
        f"{reconstruction.stored_bytes:,} B",
        f"{reconstruction.use.codes:,}",
        f"{100 * reconstruction.use.distinct_share:.0f}%",
        f"{reconstruction.use.entropy_bits:.2f} bit",
        *(
            _as_markup(value, measure.unit, measure.better)
            for measure, value in zip(MEASURES, reconstruction.values, strict=True)
        ),
    ]
    return [tag("td", cell) for cell in cells]


def _as_markup(value: Value, unit: str, better: str) -> Markup | str:
    if value.value is None:
        return tag("span", NONE, title=value.reason)
    digits = 1 if unit else 3
    text = f"{value.value:+.{digits}f}" if better == "0" else f"{value.value:.{digits}f}"
    return f"{text.replace('-', '−')} {unit}".rstrip()
