"""The report of a SALMon run: what it tells, that nothing in it is foreign, and folders that are not in order."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

import pytest
import salmon_runs
from page_reader import Reader

from eval.harness import run_folder
from eval.report import main
from eval.salmon import published_accuracies, report, salmon_results, salmon_table
from eval.salmon.report import histograms
from eval.salmon.salmon_schema import SCHEMA


def make(where: Path, normalize: str = "token") -> Path:
    run = salmon_runs.run()
    table = salmon_table.tables(run, normalize, "good")
    command = ("eval/salmon.py", "--models", salmon_runs.HOSTILE)
    mark = "NOT FOR REPORTING (--limit 40)"
    settings = salmon_results.SalmonSettings(command, normalize, 8, "cpu", 40, mark, "good")
    kept = salmon_runs.samples(where)
    contents = salmon_results.document(run, table, salmon_runs.suite(), settings, kept, published_accuracies.rows())
    salmon_results.write(where, contents, salmon_results.pair_rows(run), "the table")
    return where


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("salmon") / "run")


@pytest.fixture(scope="module")
def text(made) -> str:
    return report.build(made)


@pytest.fixture
def run(made, tmp_path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "run"))


def test_every_model_part_and_failure_is_told(text):
    said = Reader(text).text
    for word in (
        "good",
        "uniform",
        salmon_runs.HOSTILE,
        "absent",
        "no <weights> here",
        "no <audio> in it",
        "made & up",
    ):
        assert word in said
    for word in ("NOT FOR REPORTING (--limit 40)", "Speaker", "Gender", "RIR", "Average", "McNemar", "Wilson"):
        assert word in said
    assert "python eval/salmon.py --models '<script>alert('\"'\"'x'\"'\"')</script>'" in said
    assert "A <b>sentence</b>." in said


def test_text_of_the_run_is_never_markup_and_nothing_is_loaded_from_elsewhere(text):
    page = Reader(text)
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 1
    assert "b" not in tags
    addresses = [a[key] for _, a in page.elements for key in ("src", "href", "data", "action") if a.get(key)]
    assert all(address.startswith(("data:", "#")) for address in addresses)
    (policy,) = [a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a]
    assert "default-src 'none'" in policy
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))


def cells(text: str, model: str) -> list[str]:
    """What the cells of a model's row in the first table show."""
    table = text[text.index("<table") : text.index("</table>")]
    row = next(row for row in table.split("<tr>") if f'class="name">{html.escape(model)}<' in row)
    return [re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]


def test_cells_have_accuracies_intervals_and_marks(text):
    assert cells(text, "good")[2] == "90.0* differs from chance77–96"
    assert cells(text, "good")[4].endswith("n=38")
    uniform = cells(text, "uniform")
    assert uniform[2] == "50.0▼ worse than the baseline35–65"
    assert uniform[6] == "118"
    assert cells(text, "uniform")[3].startswith("50.0")


def test_published_rows_stand_apart_and_say_so(text):
    groups = re.findall(r'<tbody class="published">(.*?)</tbody>', text)
    assert len(groups) == 2
    assert groups[0].count("published, not measured here") == len(published_accuracies.rows())
    # Sorted by one unit: shares.
    assert 'data-value="0.72"' in groups[0]
    assert cells(text, "LLM-Codec (3 epochs) (published)")[2:6] == ["72.0", "71.5", "64.0", "62.3"]


def test_the_best_is_marked_among_the_measured_only(text):
    table = text[text.index("<table") : text.index("</table>")]
    best = re.findall(r'<td class="best"[^>]*>(?:<span>)?([\d.]+)', table)
    # Gender has two of them.
    assert best == ["90.0", "75.0", "57.9", "74.3", "75.0"]


def test_the_normalization_that_was_asked_for_comes_first(run, tmp_path):
    tabs = re.compile(r'role="tab"[^>]*data-split="([^"]+)"')
    assert tabs.findall(report.build(run)) == ["Nats a token", "Summed"]
    assert tabs.findall(report.build(make(tmp_path / "summed", "sum"))) == ["Summed", "Nats a token"]


def test_histograms_hold_every_pair_once(made):
    run = run_folder.read(made, SCHEMA)
    for part in salmon_runs.PARTS:
        drawn = histograms.figure(run, part, "token")
        counts = [int(n) for n in re.findall(r"<title>(\d+) pairs?: ", drawn)]
        failed = 2 if part == "rir_consistency" else 0
        assert sum(counts) == 3 * 40 - failed


def test_right_pairs_are_in_right_bars(made):
    run = run_folder.read(made, SCHEMA)
    bar = re.compile(r'<title>(\d+) pairs?: [^<]*</title><rect [^>]*class="(\w+)"')
    for part, expected in zip(salmon_runs.PARTS, ((36, 4), (30, 10), (22, 18)), strict=True):
        drawn = histograms.figure(run, part, "token")
        good = drawn[drawn.index('data-model="good"') : drawn.index('data-model="uniform"')]
        counts = {kind: sum(int(n) for n, one in bar.findall(good) if one == kind) for kind in ("right", "wrong")}
        assert (counts["right"], counts["wrong"]) == expected


def test_bars_stand_on_the_side_of_their_sign(made):
    drawn = histograms.figure(run_folder.read(made, SCHEMA), "speaker_consistency", "token")
    assert "90.0% · 36 right, 4 wrong" in drawn
    assert "50.0% · 0 right, 0 wrong, 40 tied" in drawn
    middle = (histograms.LEFT + histograms.RIGHT) / 2
    for x, width, kind in re.findall(
        r'<rect x="([\d.]+)" y="[^"]*" width="([\d.]+)" height="[^"]*" class="(\w+)"', drawn
    ):
        left, right = float(x), float(x) + float(width)
        if kind == "tie":
            assert left < middle < right
        else:
            assert (left >= middle) == (kind == "right")
            assert (right <= middle) == (kind == "wrong")


def test_kept_pairs_can_be_heard_and_say_what_the_models_made_of_them(text):
    page = Reader(text)
    sounds = [a for tag, a in page.elements if tag == "audio"]
    assert len(sounds) == 2 * len(salmon_runs.PARTS)
    assert all(a["src"].startswith("data:audio/flac;base64,") and a["preload"] == "none" for a in sounds)
    assert text.count('class="cut"') == len(sounds)
    pair = text[text.index('id="pair-0"') : text.index('id="pair-1"')]
    shown = re.sub("<[^>]*>", " ", pair)
    assert re.search(r"good\s+\+0\.125\s+right\s+\+8\.000\s+right", shown)
    assert re.search(r"uniform\s+0\.000\s+tie", shown)


def test_a_missing_sample_is_said_in_its_place(run):
    (run / "samples" / "rir_consistency-0000-negative.flac").unlink()
    said = Reader(report.build(run)).text
    assert "the file samples/rir_consistency-0000-negative.flac is not in the run folder" in said


def test_a_sample_outside_the_folder_is_not_read(run):
    (run.parent / "secret.flac").write_bytes((run / "samples" / "rir_consistency-0000-negative.flac").read_bytes())
    document = json.loads((run / "results.json").read_text())
    document["samples"][0]["positive"]["file"] = "../secret.flac"
    (run / "results.json").write_text(json.dumps(document))
    assert "the file ../secret.flac is not in the run folder" in Reader(report.build(run)).text


def test_one_model_alone_and_no_samples(tmp_path):
    whole = salmon_runs.run()
    alone = type(whole)(whole.parts[:1], whole.models[:1], whole.fingerprint)
    settings = salmon_results.SalmonSettings(("salmon",), "token", 8, "cpu")
    table = salmon_table.tables(alone, "token", None)
    contents = salmon_results.document(alone, table, salmon_runs.suite(whole.parts[:1]), settings)
    salmon_results.write(tmp_path / "run", contents, salmon_results.pair_rows(alone), "")
    said = Reader(report.build(tmp_path / "run")).text
    assert "This run kept no pairs." in said
    assert "Every model was loaded, and every pair was scored." in said
    assert "Paired comparisons" not in said
    assert "NOT FOR REPORTING" not in said


def test_the_command_makes_the_report_again_from_the_folder_alone(run, capsys):
    assert main([str(run)]) == 0
    assert (run / "report.html").read_text(encoding="utf-8") == report.build(run)
    assert "report.html" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda run: (run / "pairs.jsonl").unlink(), "a run folder holds results.json and pairs.jsonl"),
        (lambda run: (run / "pairs.jsonl").write_text('{"model": 1}\n'), "line 1, has no"),
        (lambda run: (run / "results.json").write_text("{"), "is no JSON"),
        (lambda run: _change(run, schema_version=2), "expected 'soundcodec-llmcodec/salmon' version 1"),
    ],
)
def test_a_spoiled_folder_is_refused_with_its_reason(run, capsys, spoil, said):
    spoil(run)
    assert main([str(run)]) == 2
    assert said in capsys.readouterr().err
    assert not (run / "report.html").exists()


def _change(run: Path, **changes) -> None:
    document = json.loads((run / "results.json").read_text())
    (run / "results.json").write_text(json.dumps({**document, **changes}))
