"""A run folder as reports read it: by its schema, with reasons where it cannot be read."""

from __future__ import annotations

import json

import pytest

from eval.harness import results, run_folder
from eval.harness.run_folder import ReportError
from eval.harness.schema import ResultsSchema

CLIPS = ResultsSchema(
    "ours/clips", 2, "clips.py", "clips.jsonl", ("created", "models"), ("model", "clip_id"), ("score",)
)
PAIRS = ResultsSchema("ours/pairs", 1, "pairs.py", "pairs.jsonl", ("created",), ("model", "pair_id"))


def contents(schema, **more):
    head = results.heading(schema, mark=None, command_line=["x"], settings={}, statistics={})
    return {**head, "models": [], **more}


def test_what_is_written_is_read(tmp_path):
    # U+2028 ends a line for str.splitlines, and not in JSON lines.
    rows = [{"model": "a", "clip_id": f"{i}\u2028", "score": i} for i in range(2)]
    results.write(tmp_path, CLIPS, contents(CLIPS), iter(rows), "a table")
    folder = run_folder.read(tmp_path, CLIPS)
    assert folder.rows == {("a", "0\u2028"): rows[0], ("a", "1\u2028"): rows[1]}
    assert list(folder.results)[:5] == ["schema", "schema_version", "created", "for_reporting", "mark"]
    assert run_folder.schema_of(tmp_path, [PAIRS, CLIPS]) is CLIPS


def test_a_number_that_is_not_finite_leaves_no_results(tmp_path):
    with pytest.raises(ValueError, match="Out of range float"):
        results.write(tmp_path, CLIPS, contents(CLIPS, x=float("nan")), [], "a table")
    assert not (tmp_path / "results.json").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema_version": 1}, "found schema 'ours/clips' version 1, expected 'ours/clips' version 2;"),
        (
            {"schema": "other"},
            "found schema 'other' version 2, expected 'ours/clips' version 2 or 'ours/pairs' version 1",
        ),
    ],
)
def test_another_schema_is_named_beside_what_is_expected(tmp_path, changes, said):
    (tmp_path / "results.json").write_text(json.dumps({**contents(CLIPS), **changes}))
    with pytest.raises(ReportError) as refused:
        run_folder.schema_of(tmp_path, [CLIPS, PAIRS])
    assert said in str(refused.value)


def test_a_place_that_is_no_run_folder_says_what_one_holds(tmp_path):
    with pytest.raises(ReportError, match=r"is no folder; expected one that clips\.py or pairs\.py --output wrote"):
        run_folder.schema_of(tmp_path / "none", [CLIPS, PAIRS])
    with pytest.raises(ReportError, match=r"results\.json is missing; .* holds results\.json and pairs\.jsonl"):
        run_folder.read(tmp_path, PAIRS)


def test_samples_are_only_those_within_the_folder(tmp_path):
    (tmp_path / "secret.flac").touch()
    (tmp_path / "run" / "samples").mkdir(parents=True)
    (tmp_path / "run" / "samples" / "a.flac").touch()
    folder = run_folder.RunFolder(tmp_path / "run", {}, {})
    assert folder.sample("samples/a.flac") is not None
    assert folder.sample("../secret.flac") is None
