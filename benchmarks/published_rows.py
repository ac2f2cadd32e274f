"""Published numbers (eval/reconstruction/published.json) from a checkout of Codec-SUPERB: `published_rows.py CHECKOUT`.

Means are read from upstream's result files in the order of its scripts/update_leaderboard.py, so that they are the
leaderboard's. Rates and remarks are ours, and stay as the file has them; a codec that is new gets neither.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "eval" / "published.json"
RESULTS = Path("results") / "codec-superb-tiny"
EXCLUDED = "llmcodec_abl_"  # upstream leaves its ablations out


def main() -> None:
    """Rewrite eval/reconstruction/published.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, metavar="CHECKOUT", help="of github.com/voidful/Codec-SUPERB")
    checkout = parser.parse_args().checkout
    document = json.loads(FILE.read_text(encoding="utf-8"))
    results = read_results(checkout / RESULTS)
    told = {row["name"]: row for row in document["rows"]}
    rows = []
    for name in sorted({*results, *told}, key=str):
        row = {key: told.get(name, {}).get(key) for key in ("token_rate", "kbps", "note")}
        means = results.get(name, {})
        splits = {
            split: means_of(means[split], names) for split, names in document["columns"].items() if split in means
        }
        rows.append({"name": name, **{key: value for key, value in row.items() if key != "note" or value}, **splits})
    command = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    document["commit"] = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    document["rows"] = rows
    FILE.write_text(as_text(document), encoding="utf-8")
    print(f"{FILE}: {len(rows)} codecs at {document['commit'][:10]}")


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Codec -> split -> metric -> mean; the last file that has metrics of a codec counts, dated files last."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*codec-superb-tiny*evaluation_results*.json"), key=_order):
        for name, values in json.loads(path.read_text(encoding="utf-8")).items():
            if name.startswith(EXCLUDED) or values.get("error"):
                continue
            if values.get("encode_only"):
                found.setdefault(name, {})
            elif any(isinstance(means, dict) and means for means in values.values()):
                found[name] = values
    return found


def means_of(means: dict[str, float], names: list[str]) -> list[float | None]:
    """Means with three decimals, None for one that upstream has not (or has as NaN)."""
    values = (means.get(name) for name in names)
    return [None if value is None or value != value else round(float(value), 3) for value in values]


def as_text(document: dict[str, Any]) -> str:
    """The document with a line for each codec."""
    head = {key: value for key, value in document.items() if key != "rows"}
    lines = [f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}," for key, value in head.items()]
    rows = ",\n".join(f"    {json.dumps(row, ensure_ascii=False)}" for row in document["rows"])
    return "\n".join(["{", *lines, '  "rows": [', rows, "  ]", "}"]) + "\n"


def _order(path: Path) -> tuple[int, str, str]:
    dated = re.search(r"_(\d{8}_\d{6})\.json$", path.name)
    return (1, dated.group(1), path.name) if dated else (0, "", path.name)


if __name__ == "__main__":
    main()
