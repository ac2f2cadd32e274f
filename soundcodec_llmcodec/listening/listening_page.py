"""The listening page: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from soundcodec_llmcodec.listening import page_tables
from soundcodec_llmcodec.listening.excerpt_coding import ExcerptReconstruction, Player, players, reconstruct
from soundcodec_llmcodec.listening.recordings import Excerpt, flac
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.measures import spectrogram
from soundcodec_llmcodec.pages.axes import ticks
from soundcodec_llmcodec.pages.markup import Markup, join, tag
from soundcodec_llmcodec.pages.single_file import data_url, rendered
from soundcodec_llmcodec.pages.spectrogram_image import relative_image

# What tells a page of ours from every other file, within its first bytes.
MARK = '<meta name="generator" content="llmcodec listen">'
COLUMNS = 1000
TIMES = 10
# Below this, a duration in seconds and a bit rate of a whole file say nothing.
SHORT_S = 0.1


def build(
    excerpts: Sequence[Excerpt],
    codecs: Sequence[LLMCodec],
    *,
    title: str,
    about: Markup | str = "",
    progress: Callable[[str], None] = lambda _: None,
) -> str:
    """The page of these recordings and what these codecs make of them, as text. `about` is said below the title.

    `progress` is called with the name of each recording before it is coded.
    """
    labelled_players = players(list(codecs))
    sections = []
    for index, excerpt in enumerate(excerpts):
        progress(excerpt.name)
        sections.append(_clip(excerpt, [reconstruct(player, excerpt) for player in labelled_players], index))
    return rendered(
        Path(__file__).parent,
        mark=Markup(MARK),
        title=title,
        about=about,
        codecs=_codecs(labelled_players),
        clips=join(sections),
        definitions=page_tables.definitions(),
    )


def _codecs(labelled_players: Sequence[Player]) -> Markup:
    """A line for each codec: name, hash, rates."""
    lines = []
    for player in labelled_players:
        config = player.codec.config
        levels = f"{config.num_quantizers} × " if config.num_quantizers > 1 else ""
        text = (
            f" {player.codec.weights_hash[:8]} · {config.sample_rate / 1000:g} kHz · {config.frame_rate:g} frames/s · "
            f"{levels}{config.codebook_size:,} codes · {config.bitrate_bps:,.0f} bit/s"
        )
        lines.append(tag("li", tag("b", player.label), tag("span", text, class_="muted")))
    return tag("ul", lines, class_="codecs")


def _clip(excerpt: Excerpt, reconstructions: Sequence[ExcerptReconstruction], index: int) -> Markup:
    """One recording: heading, a lane for the original and each reconstruction on one time axis, and the numbers."""
    rate = excerpt.clip.sampling_rate
    # Frames cover the clip and may go beyond its end: the lanes are as long as the longest of them.
    length = max(
        [
            excerpt.seconds,
            *(decoded.codes.shape[1] * decoded.frame_seconds for decoded in reconstructions),
        ]
    )
    share = excerpt.seconds / length
    powers = [
        spectrogram.power(samples, rate, COLUMNS)
        for samples in (excerpt.mono, *(decoded.samples for decoded in reconstructions))
    ]
    # Beside silence, the loudest of what was made of it is as good a common scale as there is.
    loudest = float(powers[0].max()) or max(float(each.max()) for each in powers)
    names = [
        f"the original {excerpt.name}",
        *(f"{excerpt.name} by {decoded.label}" for decoded in reconstructions),
    ]
    axes = [ticks(excerpt.seconds, rate, TIMES), *([None] * len(reconstructions))]
    pictures = [
        _picture(name, relative_image(each, loudest), over, share)
        for name, each, over in zip(names, powers, axes, strict=True)
    ]
    sound = flac(excerpt.clip.samples, rate)
    lanes = [_lane("original", _stored_as(excerpt, sound), sound, names[0], pictures[0])]
    for decoded, name, picture in zip(reconstructions, names[1:], pictures[1:], strict=True):
        text = f"{decoded.bitrate_bps:,.0f} bit/s · {decoded.use.codes:,} codes in {decoded.use.tokens:,} tokens"
        body = picture + _strip(decoded, name, length)
        lanes.append(_lane(decoded.label, text, flac(decoded.samples, rate), name, body))
    return _section(excerpt, lanes, length, page_tables.numbers(reconstructions, excerpt.name), index)


def _section(excerpt: Excerpt, lanes: list[Markup], length: float, numbers: Markup, index: int) -> Markup:
    heading = tag("h2", excerpt.name, " ", tag("span", _about(excerpt), class_="muted"), id=f"clip-{index}")
    zoom = tag("label", "Zoom ", tag("select", [_option(times) for times in (1, 2, 4, 8, 16)], class_="zoom"))
    scroll = tag(
        "div",
        tag("div", lanes, class_="inner"),
        class_="lanes",
        data_seconds=f"{length:.6f}",
        tabindex=0,
        role="group",
        aria_label=f"Original and reconstructions of {excerpt.name}",
    )
    top = tag("div", heading, zoom, class_="bar")
    return tag("section", top, scroll, numbers, class_="clip", aria_labelledby=f"clip-{index}")


def _picture(name: str, png: bytes, axes: Markup | None, share: float) -> Markup:
    """A spectrogram over its share of the lane, with the playhead."""
    image = tag("img", src=data_url("image/png", png), alt=f"Spectrogram of {name}", decoding="async")
    wide = tag("div", image, axes, class_="drawn", data_share=f"{share:.6f}")
    return tag("div", wide, tag("div", class_="head", hidden=True), class_="picture")


def _option(times: int) -> Markup:
    return tag("option", "fit" if times == 1 else f"{times} ×", value=times)


def _about(excerpt: Excerpt) -> str:
    clip = excerpt.clip
    channels = {1: "mono", 2: "stereo"}.get(clip.channels, f"{clip.channels} channels")
    if excerpt.is_cut:
        length = f"the first {excerpt.seconds:.1f} s of {clock(excerpt.whole_seconds)}"
    else:
        length = f"{excerpt.seconds:.1f} s" if excerpt.seconds >= SHORT_S else f"{1000 * excerpt.seconds:.3g} ms"
    silent = "" if excerpt.mono.any() else " · silent: pictures are against the loudest reconstruction"
    return f"{length} · {clip.sampling_rate / 1000:g} kHz · {channels}{silent}"


def clock(seconds: float) -> str:
    """Minutes and seconds, and hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _stored_as(excerpt: Excerpt, sound: bytes) -> str:
    text = f"{len(sound):,} bytes as FLAC"
    if excerpt.seconds >= SHORT_S:
        text = f"{8 * len(sound) / excerpt.seconds / 1000:,.0f} kbit/s as FLAC"
    if excerpt.clip.channels > 1:
        text += " · the codec hears, and the picture shows, the mean of the channels"
    return text


def _lane(name: str, text: str, sound: bytes, label: str, body: Markup) -> Markup:
    player = tag("audio", src=data_url("audio/flac", sound), controls=True, preload="metadata", aria_label=label)
    words = tag("div", tag("h3", name), tag("span", text, class_="muted small"), class_="words")
    head = tag("div", player, words, class_="lane-head")
    return tag("div", head, body, class_="lane")


def _strip(reconstruction: ExcerptReconstruction, name: str, length: float) -> Markup:
    """The tokens as cells, a column a frame and a row a level: a slider over the frames, with what it stands on."""
    levels, frames = reconstruction.codes.shape
    alt = f"Tokens of {name}: {frames} frames of {levels} {'level' if levels == 1 else 'levels'}, coloured by code"
    image = tag("img", src=data_url("image/png", reconstruction.strip), alt=alt, width=frames, height=levels)
    share = frames * reconstruction.frame_seconds / length
    slider = tag(
        "div",
        tag("div", image, tag("div", class_="cell", hidden=True), class_="drawn", data_share=f"{share:.6f}"),
        tag("div", class_="head", hidden=True),
        class_=f"strip levels-{min(levels, 8)}",
        role="slider",
        tabindex=0,
        aria_label=f"Frame of {name}",
        aria_valuemin=0,
        aria_valuemax=frames - 1,
        aria_valuenow=0,
        data_codes=";".join(" ".join(map(str, level)) for level in reconstruction.codes.tolist()),
        data_frame=f"{reconstruction.frame_seconds:.9g}",
    )
    return slider + tag("p", "Point at a cell, or go with the arrow keys.", class_="readout muted small")
