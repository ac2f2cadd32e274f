"""The report of a run folder: what it holds, and what it does with folders that are not as they should be."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import report_run
import soundfile
from page_reader import Reader

from eval.reconstruction import report
from eval.report import main

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return report_run.make(tmp_path / "run")


@pytest.fixture
def changed(run: Path):
    """A function that changes results.json by another function of its contents."""

    def change(by) -> Path:
        results = json.loads((run / "results.json").read_text())
        by(results)
        (run / "results.json").write_text(json.dumps(results))
        return run

    return change


def test_every_model_metric_source_and_failure_is_told(run: Path):
    text = Reader(report.build(run)).text
    for word in (*report_run.MEL, report_run.BROKEN, "no <weights> here", "ended with <code> 1", "small & <synthetic>"):
        assert word in text
    for definition, unit, *_ in report_run.METRICS.values():
        assert definition in text
        assert unit in text
    for word in (
        "NOT FOR REPORTING (--limit 2)",
        "1 of 2 clips have no value",
        "<right>",
        "published, not measured here",
    ):
        assert word in text
    assert "python eval/superb_tiny.py --models '<script>alert('\"'\"'x'\"'\"')</script>' --limit 2" in text


def test_text_of_the_run_is_never_markup(run: Path):
    page = Reader(report.build(run))
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 1
    assert "b" not in tags
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_nothing_is_loaded_from_elsewhere(run: Path):
    page = Reader(report.build(run))
    addresses = [a[key] for _, a in page.elements for key in ("src", "href", "data", "action") if a.get(key)]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    (policy,) = [a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_best_value_is_marked_among_codecs_only(run: Path):
    text = report.build(run)
    best = re.findall(r'<td class="best" title="([^"]*)"', text)
    # The bound's 0.0 and the published 0.1 are smaller than the best codec's 2.0.
    assert [title.split(",")[0] for title in best][:2] == ["pesq 3.625 MOS-LQO", "mel 2 1"]


def test_a_significant_difference_is_marked_by_direction(changed):
    assert report.build(changed(lambda results: None)).count('class="verdict better"') == 6
    worse = changed(lambda results: results["metrics"]["mel"].update(direction="higher"))
    assert 'class="verdict better"' not in report.build(worse)

    def weaken(results: dict) -> None:
        for split in results["models"][1]["splits"].values():
            split["against_baseline"]["mel"]["p_adjusted"] = 0.051

    assert 'class="verdict' not in report.build(changed(weaken))


def test_the_audio_in_the_page_is_the_files(run: Path):
    page = Reader(report.build(run))
    sounds = [attributes for tag, attributes in page.elements if tag == "audio"]
    assert len(sounds) == 10
    assert all(sound["preload"] == "none" and "autoplay" not in sound for sound in sounds)
    results = json.loads((run / "results.json").read_text())
    first = [results["samples"][0]["original"], *results["samples"][0]["models"].values()]
    for sound, name in zip(sounds, first, strict=False):
        kind, _, stored = sound["src"].partition(";base64,")
        assert kind == "data:audio/flac"
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(stored)))
        expected, expected_rate = soundfile.read(run / name)
        assert rate == expected_rate
        np.testing.assert_array_equal(samples, expected)


def test_it_is_made_of_the_folder_alone(run: Path, tmp_path: Path):
    before = report.build(run)
    moved = tmp_path / "else where"
    shutil.move(run, moved)
    assert report.build(moved) == before
    assert str(tmp_path) not in before


def test_missing_and_broken_sample_files_are_said(run: Path):
    results = json.loads((run / "results.json").read_text())
    gone, broken = results["samples"][0]["models"]["alpha"], results["samples"][0]["models"]["beta"]
    (run / gone).unlink()
    (run / broken).write_bytes(b"no audio")
    text = Reader(report.build(run)).text
    assert f"the file {gone} is not in the run folder" in text
    assert f"cannot read {broken}" in text


def test_files_outside_of_the_folder_are_not_taken_in(run: Path, changed):
    soundfile.write(run.parent / "private.flac", np.zeros(800), 8000)
    changed(lambda results: results["samples"][0].update(original="../private.flac"))
    assert "the file ../private.flac is not in the run folder" in html.unescape(report.build(run))


def test_codec_superbs_rules_are_said_loudly(changed):
    ruled = report.build(changed(lambda results: results.update(rules="codec-superb", mark=None)))
    assert ruled.count('class="banner') == 1
    assert "a failure counts as 1.0" in ruled


def test_a_run_without_extras_has_a_report(changed):
    def strip(results: dict) -> None:
        for key in ("baseline", "published", "samples", "failures", "git", "platform", "settings", "versions", "mark"):
            results.pop(key)
        results["splits"] = ["Speech"]
        results["models"] = results["models"][:1]

    text = Reader(report.build(changed(strip))).text
    assert "This run kept no samples." in text
    assert "every clip was reconstructed" in text


def test_another_schema_is_refused_with_both_versions(changed, capsys: pytest.CaptureFixture[str]):
    run = changed(lambda results: results.update(schema_version=1))
    with pytest.raises(report.ReportError, match=r"found .* version 1, expected .* version 2"):
        report.build(run)
    assert main([str(run)]) == 2
    assert "version 1, expected" in capsys.readouterr().err
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("results.json", None, "results.json is missing"),
        ("results.json", "{", "is no JSON"),
        ("results.json", "[]", "expected a JSON object, got list"),
        ("clips.jsonl", None, "clips.jsonl is missing"),
        ("clips.jsonl", '{"model": "a"}', "line 1, has no"),
    ],
)
def test_a_folder_that_is_no_run_says_what_is_wrong(run: Path, name: str, content: str | None, said: str):
    (run / name).unlink()
    if content is not None:
        (run / name).write_text(content)
    with pytest.raises(report.ReportError, match=said):
        report.build(run)


def test_the_command_writes_the_report_and_leaves_nothing_else(run: Path, tmp_path: Path):
    there = {path.name for path in run.iterdir()}
    command = [sys.executable, str(ROOT / "eval" / "report.py"), str(run)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert {path.name for path in run.iterdir()} == {*there, "report.html"}
    assert (run / "report.html").read_text(encoding="utf-8") == report.build(run)
    assert "report.html" in done.stdout


def test_a_report_that_cannot_be_made_leaves_the_old_one(run: Path):
    (run / "report.html").write_text("old")
    (run / "results.json").unlink()
    assert main([str(run)]) == 2
    assert (run / "report.html").read_text() == "old"
    assert main([str(run), "--output", str(run / "none" / "x.html")]) == 2
