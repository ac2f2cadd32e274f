"""The work of salmon_build.py: read the material, build the parts that it gives, write them and what they are."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from eval.harness.command import DONE, INCOMPLETE
from eval.salmon.build import (
    background_pairs,
    built_pairs,
    material_reading,
    rooms,
    suite_writing,
    voice_pairs,
    word_cuts,
)
from eval.salmon.build.builder import Builder, PartError, require_packages
from eval.salmon.build.material_reading import Read
from eval.salmon.build.recipe import ALIGNMENT, PARTS, Recipe
from eval.salmon.salmon_parts import chosen

# Changes whenever the same material gives other pairs.
BUILDER_VERSION = 1


def build(arguments: argparse.Namespace) -> int:
    """Build the suite and say what it holds; returns the exit code. Raises ValueError, OSError or ImportError."""
    recipe = _recipe(arguments)
    out = Path(arguments.out)
    suite_writing.check_folder(out, overwrite=arguments.overwrite)
    names = chosen(arguments.parts, (*PARTS, *ALIGNMENT))
    wants_all = any(part.lower() == "all" for part in arguments.parts)
    speech = [material_reading.speech(place, arguments.clips) for place in arguments.speech]
    sounds = [material_reading.sounds(place, arguments.clips) for place in arguments.sounds]
    licences = _licences(arguments.license, [*speech, *sounds])
    builder = Builder(_all(speech), _all(sounds), recipe)
    left_out = _impossible(builder, names, stop=not wants_all)
    possible = [part for part in names if part not in left_out]
    if not possible:
        raise ValueError(f"no part can be built; {'; '.join(left_out.values())}")
    require_packages(possible, builder.speech, recipe)
    with suite_writing.written_whole(out) as folder:
        sizes = {}
        for part in possible:
            bar = tqdm(builder.pairs(part), part, recipe.pairs, unit="pair", disable=arguments.quiet)
            sizes[part] = suite_writing.write_part(folder / part, bar)
        about = _about(arguments, recipe, sizes, left_out, builder.dropped, speech, sounds, licences)
        suite_writing.write_suite(folder, about)
    _report(out, recipe, sizes, left_out, builder.dropped, [*speech, *sounds])
    return INCOMPLETE if any(read.unreadable for read in (*speech, *sounds)) else DONE


def _recipe(arguments: argparse.Namespace) -> Recipe:
    given = arguments.rooms
    number = int(given) if given.isdigit() else Recipe.rooms
    folder = None if given.isdigit() else Path(given)
    if folder is not None and not folder.is_dir():
        raise ValueError(f"--rooms {given!r} is neither a number nor a folder of impulse responses")
    return Recipe(
        pairs=arguments.pairs,
        seed=arguments.seed,
        shortest_s=arguments.shortest,
        longest_s=arguments.longest,
        least_range_db=arguments.least_range,
        check_words=arguments.check_words,
        rooms=number,
        room_folder=folder,
    )


def _all(read: Iterable[Read]) -> list[Any]:
    return [item for data in read for item in data.items]


def _impossible(builder: Builder, names: Sequence[str], *, stop: bool) -> dict[str, str]:
    """The parts that cannot be had and why; raised where these were asked for by name."""
    reasons = {}
    for part in names:
        try:
            builder.check(part)
        except PartError as error:
            if stop:
                raise
            reasons[part] = str(error)
    return reasons


def _about(
    arguments: argparse.Namespace,
    recipe: Recipe,
    sizes: Mapping[str, int],
    left_out: Mapping[str, str],
    dropped: Mapping[str, Mapping[str, int]],
    speech: Sequence[Read],
    sounds: Sequence[Read],
    licences: Mapping[str, str],
) -> dict[str, Any]:
    """What suite.json says."""
    name = arguments.name or Path(arguments.out).resolve().name
    settings = dataclasses.asdict(recipe) | {"room_folder": recipe.room_folder and recipe.room_folder.resolve().name}
    return {
        "name": name,
        "label": f"{name} (synthetic)" if arguments.synthetic else name,
        "synthetic": arguments.synthetic,
        "seed": recipe.seed,
        "parts": dict(sizes),
        "left_out": dict(left_out),
        "dropped": {part: dict(reasons) for part, reasons in dropped.items()},
        "sources": [
            _source(read, role, licences)
            for role, several in (("speech", speech), ("sounds", sounds))
            for read in several
        ],
        "builder": {"version": BUILDER_VERSION, "recipe": settings, "constants": _constants()},
    }


def _licences(given: Sequence[str], read: Sequence[Read]) -> dict[str, str]:
    """What --license says, by data set. Raises ValueError for one that is not read."""
    licences: dict[str, str] = {}
    for text in given:
        name, separator, licence = text.partition("=")
        titles = [data.title for data in read if name in (data.title, data.title.partition(":")[0])]
        if not separator or not licence or not titles:
            read_titles = sorted({data.title for data in read})
            raise ValueError(f"--license {text!r}: expected NAME=TEXT with one of the data sets {read_titles}")
        licences |= dict.fromkeys(titles, licence)
    return licences


def _source(read: Read, role: str, given: Mapping[str, str]) -> dict[str, Any]:
    stated = given.get(read.title, "not stated in the data")
    licences = sorted({item.license or stated for item in read.items})
    corpora = sorted({item.source for item in read.items})
    facts = {"data": read.title, "role": role, "clips": len(read.items), "corpora": corpora, "licences": licences}
    return facts | {"unreadable": dict(read.unreadable)}


def _constants() -> dict[str, Any]:
    return {
        "rate_hz": built_pairs.RATE,
        "first_half_lkfs": built_pairs.LEVEL,
        "speech_fade_samples": voice_pairs.FADE,
        "background_fade_samples": background_pairs.FADE,
        "most_length_ratio": voice_pairs.MOST_RATIO,
        "cut_within_s_of_word_boundary": word_cuts.NEAR_S,
        "snrs_db": list(background_pairs.SNRS_DB),
        "least_ratio_of_room_decays": rooms.DIFFERENT,
    }


def _report(
    out: Path,
    recipe: Recipe,
    sizes: Mapping[str, int],
    left_out: Mapping[str, str],
    dropped: Mapping[str, Mapping[str, int]],
    read: Sequence[Read],
) -> None:
    print(f"{out}: {sum(sizes.values())} pairs")
    for part, size in sizes.items():
        short = f" of {recipe.pairs}" if size < recipe.pairs else ""
        without = sum(dropped.get(part, {}).values())
        print(f"  {part}: {size}{short} pairs" + (f"; {without} candidates left out" if without else ""))
    for part, reason in left_out.items():
        print(f"  {part}: not built: {reason}", file=sys.stderr)
    for data in read:
        for name, reason in data.unreadable.items():
            print(f"salmon_build: {data.title} {name}: unreadable: {reason}", file=sys.stderr)
