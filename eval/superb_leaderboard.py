"""Bit and frame rates of our rows in Codec-SUPERB's leaderboard: `superb_leaderboard.py RESULTS_DIR DATA_JS`.

Upstream's scripts/update_leaderboard.py has a list of rates by codec name, and gives every other row 0. Result files of
`--compat codec-superb` hold the rates; this puts them where upstream has none.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__" and not __package__:
    import checkout_path  # noqa: F401

import argparse
import json
from collections.abc import Sequence
from typing import Any

from soundcodec_llmcodec.files import read_json, written_whole

PATTERN = "*codec-superb-tiny*evaluation_results*.json"  # upstream's
BEFORE, AFTER = "const results = ", ";\nexport default results;"
KEYS = ("bps", "tps")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, metavar="RESULTS_DIR", help="upstream's results/codec-superb-tiny")
    parser.add_argument("page", type=Path, metavar="DATA_JS", help="upstream's web/src/results/data.js")
    arguments = parser.parse_args(argv)
    try:
        filled = fill_in(arguments.results, arguments.page)
    except (OSError, ValueError) as error:
        print(f"superb_leaderboard: error: {error}", file=sys.stderr)
        return 2
    print(f"{arguments.page}: rates of {', '.join(filled) or 'no row'}")
    return 0


def fill_in(results: Path, page: Path) -> list[str]:
    """Put rates into the rows of `page` that have none; returns their names. Raises ValueError for another file."""
    text = page.read_text(encoding="utf-8").strip()
    if not (text.startswith(BEFORE) and text.endswith(AFTER)):
        raise ValueError(f"expected {page} as Codec-SUPERB's scripts/update_leaderboard.py writes it; run that first")
    rows: dict[str, dict[str, Any]] = json.loads(text.removeprefix(BEFORE).removesuffix(AFTER))
    filled = []
    for path in sorted(results.glob(PATTERN)):
        for name, values in read_json(path).items():
            missing = [key for key in KEYS if key in values and name in rows and not rows[name].get(key)]
            if missing:
                rows[name] |= {key: values[key] for key in missing}
                filled.append(name)
    with written_whole(page) as path:
        path.write_text(f"{BEFORE}{json.dumps(rows, indent=1)}{AFTER}", encoding="utf-8")
    return filled


if __name__ == "__main__":
    sys.exit(main())
