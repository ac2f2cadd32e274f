"""The options that measurements share, by group; each measurement adds its own to the groups."""

from __future__ import annotations

import argparse

# argparse has no public name for what add_argument_group gives.
Group = argparse._ArgumentGroup


def parser(program: str, about: str, epilog: str) -> argparse.ArgumentParser:
    """A parser whose texts are shown as they are written."""
    return argparse.ArgumentParser(
        prog=program, description=about, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_limit(group: Group, of: str) -> None:
    """--limit, `of` "clips a split" or the like."""
    group.add_argument("--limit", type=positive, help=f"{of}; the table is then marked as not for reporting")


def add_include(group: Group, of: str) -> None:
    """--include, for `of` one's own."""
    group.add_argument(
        "--include",
        action="append",
        metavar="PATH",
        help=f"a .py file or a folder of them with {of} of your own (docs/extend.md); may be repeated",
    )


def add_comparison(group: Group, first: str) -> None:
    """--baseline, whose default is `first`, and --published."""
    group.add_argument("--baseline", metavar="MODEL", help=f"what the others are compared with (default: {first})")
    group.add_argument(
        "--published", action="store_true", help="show published numbers too, marked as not measured here"
    )


def add_output(group: Group) -> None:
    """--output, and --resume or --overwrite where it holds a run: see `check_output`."""
    group.add_argument("--output", metavar="FOLDER", help="write the results and report.html there")
    again = group.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on with the run in --output, or begin it")
    again.add_argument("--overwrite", action="store_true", help="begin anew where --output holds a run")


def check_output(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Exit with a message for --resume or --overwrite without a folder that they could be about."""
    for name in ("resume", "overwrite"):
        if getattr(arguments, name) and not arguments.output:
            parser.error(f"--{name} goes with --output FOLDER, where the run is kept")


def add_device(group: Group, runs: str) -> None:
    """--device; `runs` says what is run there."""
    group.add_argument("--device", default="cpu", help=f"where {runs} (default: cpu)")


def add_batch_size(group: Group, default: int, of: str) -> None:
    """--batch-size, of clips or the like."""
    group.add_argument("--batch-size", type=positive, default=default, help=f"{of} a batch (default: {default})")


def add_report_samples(group: Group, name: str, of: str) -> None:
    """How many samples the report gets, by an option of this name; `of` "clips a split" or the like."""
    group.add_argument(name, type=not_negative, default=2, help=f"{of} to listen to in report.html (default: 2)")


def add_wide(group: Group) -> None:
    """--wide."""
    group.add_argument("--wide", action="store_true", help="print all columns, as table.md has them")


def add_quiet(group: Group) -> None:
    """--quiet."""
    group.add_argument("--quiet", action="store_true", help="no progress bar")


def positive(text: str) -> int:
    """A whole number of 1 or more, for argparse."""
    return _whole_number(text, 1)


def not_negative(text: str) -> int:
    """A whole number of 0 or more, for argparse."""
    return _whole_number(text, 0)


def _whole_number(text: str, least: int) -> int:
    # argparse would name the function in its own message for a ValueError.
    expected = f"expected a whole number of {least} or more, got {text!r}"
    try:
        number = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(expected) from error
    if number < least:
        raise argparse.ArgumentTypeError(expected)
    return number
