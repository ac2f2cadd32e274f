"""What a run leaves behind: results.json, pairs.jsonl, table.md and samples."""

from __future__ import annotations

import json

import numpy as np
import pytest
import salmon_runs
import soundfile

from eval.harness import manifest
from eval.salmon import published_accuracies, salmon_results, salmon_table
from eval.salmon.pair_samples import LONGEST_S, PairSamples
from eval.salmon.pair_scores import PairScore
from eval.salmon.suite import Pair, PairedRecording


@pytest.fixture
def settings() -> salmon_results.SalmonSettings:
    return salmon_results.SalmonSettings(
        ("salmon", "--suite", "mini"), "token", 8, "cpu", 40, "NOT FOR REPORTING", "good"
    )


@pytest.fixture
def written(tmp_path, settings):
    run = salmon_runs.run()
    table = salmon_table.tables(run, "token", "good")
    kept = salmon_runs.samples(tmp_path / "run")
    contents = salmon_results.document(run, table, salmon_runs.suite(), settings, kept, published_accuracies.rows())
    salmon_results.write(tmp_path / "run", contents, salmon_results.pair_rows(run), "the table")
    return tmp_path / "run"


def test_results_have_both_normalizations_and_all_that_identifies_a_run(written):
    document = json.loads((written / "results.json").read_text(encoding="utf-8"))
    assert (document["schema"], document["schema_version"]) == ("soundcodec-llmcodec/salmon", 1)
    assert document["for_reporting"] is False
    assert document["suite"]["fingerprint"] == "f" * 64
    assert document["parts"]["rir_consistency"] == {
        "title": "RIR",
        "about": "the second half sounds in the same or in another room",
        "pairs": 40,
    }
    good, uniform, other, absent = document["models"]
    assert (good["codec_hash"], good["lm_identity"], good["lm_prefix"]) == ("ab" * 32, "cd" * 32, "bos")
    assert good["scores"]["token"]["parts"]["speaker_consistency"]["accuracy"] == pytest.approx(0.9)
    assert set(good["scores"]) == {"token", "sum"}
    assert good["scores"]["sum"]["average"]["n"] == 118
    assert good["pairs_per_s"] == pytest.approx(4)
    assert set(uniform["scores"]["token"]["against_baseline"]) == {*salmon_runs.PARTS, "average"}
    assert good["scores"]["token"]["against_baseline"] == {}
    assert uniform["scores"]["token"]["parts"]["speaker_consistency"]["ties"] == 40
    assert (absent["name"], absent["failure"]) == ("absent", "no <weights> here")
    assert [one["id"] for one in document["failures"]] == ["sample_38", "sample_39"]
    assert document["failures"][0]["model"] == other["name"] == salmon_runs.HOSTILE
    assert all("suite" in row and "values" in row for row in document["published"])


def test_pairs_can_be_scored_again_from_their_rows(written):
    rows = [json.loads(line) for line in (written / "pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 3 * 3 * 40
    right = [row for row in rows if row["model"] == "good" and row["part"] == "speaker_consistency"]
    fields = PairScore.__dataclass_fields__
    again = [PairScore.of_row({key: row[key] for key in fields}) for row in right]
    assert np.mean([score.point("token") for score in again]) == pytest.approx(0.9)
    assert right[0]["difference"] == {"token": 8 / 64, "sum": 8.0}
    failed = [row for row in rows if row["failure"]]
    assert {row["difference"]["sum"] for row in failed} == {None}


def test_a_number_that_is_not_finite_leaves_the_old_results(written):
    before = {path.name: path.read_bytes() for path in written.iterdir() if path.is_file()}
    with pytest.raises(ValueError, match="JSON compliant"):
        salmon_results.write(written, {"a": 1}, [{"positive": float("nan")}], "another")
    assert {path.name: path.read_bytes() for path in written.iterdir() if path.is_file()} == before


def test_discarding_leaves_what_others_put_there(written):
    (written / "mine.txt").write_text("mine")
    manifest.discard(written)
    assert [path.name for path in written.iterdir()] == ["mine.txt"]


def test_samples_are_the_pairs_audio_and_are_found_after_a_restart(written):
    (told,) = PairSamples(written, 1).pairs_of("gender_consistency")
    assert (told["pair_id"], told["index"], told["about"]["cut_sample"]) == ("sample_0", 0, 8000)
    pair = salmon_runs.pair("gender_consistency", 0)
    for kind, recording in (("positive", pair.positive), ("negative", pair.negative)):
        samples, rate = soundfile.read(written / told[kind]["file"], dtype="float32")
        assert rate == recording.rate
        np.testing.assert_allclose(samples, recording.samples, atol=2 / 2**15)
    assert PairSamples(written, 0).pairs_of("gender_consistency") == []
    assert not PairSamples(written, 1).wants(1)


def test_long_samples_are_cut_and_broken_ones_told(tmp_path):
    long = PairedRecording(np.full(20 * 8000, 1.5, np.float32), 8000, "a")
    broken = PairedRecording(np.zeros(0, np.float32), 8000, "b", problem="no audio")
    kept = PairSamples(tmp_path, 1)
    kept.keep("part", 0, Pair("part", "x/../y", long, broken))
    (told,) = kept.pairs_of("part")
    info = soundfile.info(tmp_path / told["positive"]["file"])
    assert info.frames == LONGEST_S * 8000
    assert told["positive"]["seconds"] == 20
    assert told["negative"] == {"file": None, "problem": "no audio", "seconds": 0.0, "rate": 8000, "digest": "b"}
