"""Codec-SUPERB's result file and published rows."""

from __future__ import annotations

import fnmatch
import json

import numpy as np
import pytest

from eval import published, superb_json, superb_tiny

QUICK = ["--workers", "0", "--quiet"]


def test_the_compatible_file_has_upstreams_keys_and_each_models_own_means(tmp_path, capsys, with_codecs, fake_codec):
    with_codecs(fake=lambda: fake_codec("fake", lambda x: 0.9 * x, ["speech-02"]))
    arguments = ["--models", "identity", "fake", "--limit", "2", "--splits", "Speech", "Audio"]
    assert superb_tiny.main([*arguments, "--compat", "codec-superb", "--output", str(tmp_path / "run"), *QUICK]) == 1
    out = capsys.readouterr().out
    assert "NOT FOR REPORTING (--limit 2); Codec-SUPERB's rules" in out
    assert "superb:pesq ↑" in out
    found = json.loads((tmp_path / "run" / "mini (synthetic)_not_for_reporting.json").read_text())
    assert set(found) == {"identity", "fake"}
    assert set(found["identity"]) == {"Speech", "Audio", "overall"}
    keys = {"mel", "stft", "waveform", "pesq", "pesq-wb", "stoi", "f0corr"}
    assert all(set(means) == keys for by_split in found.values() for means in by_split.values())
    assert found["identity"]["Speech"]["mel"] == 0.0
    rows = [json.loads(line) for line in (tmp_path / "run" / "clips.jsonl").read_text().splitlines()]
    own = [row["scores"]["superb:mel"] for row in rows if row["model"] == "fake" and row["failure"] is None]
    assert len(own) == 3
    assert found["fake"]["overall"]["mel"] == pytest.approx(np.mean(own))
    # The first sound of the mini set is one that PESQ cannot score: upstream's rule counts it as 1.
    failed = [row["scores"]["superb:pesq"] for row in rows if row["split"] == "Audio" and row["model"] == "identity"]
    assert 1.0 in failed
    assert found["identity"]["Audio"]["pesq"] == found["identity"]["Audio"]["pesq-wb"] == pytest.approx(np.mean(failed))
    contents = json.loads((tmp_path / "run" / "results.json").read_text())
    assert contents["rules"] == "codec-superb"


def test_published_rows_stand_with_the_metrics_whose_rules_made_them(tmp_path, capsys):
    arguments = ["--models", "identity", "--limit", "1", "--splits", "Speech", "--published"]
    with pytest.raises(SystemExit):
        superb_tiny.main(arguments)
    assert "--published goes with --compat codec-superb" in capsys.readouterr().err
    arguments += ["--compat", "codec-superb", "--output", str(tmp_path / "run"), *QUICK]
    assert superb_tiny.main(arguments) == 0
    assert "| dac_16k" in capsys.readouterr().out
    contents = json.loads((tmp_path / "run" / "results.json").read_text())
    assert set(contents["published"][0]["splits"]["Speech"]) < set(contents["metrics"])
    page = (tmp_path / "run" / "report.html").read_text()
    assert "3.881" in page  # DAC's PESQ, in the table


def test_the_files_name_is_upstreams():
    name = superb_json.file_name("voidful/codec-superb-tiny", for_reporting=True)
    assert name == "voidful_codec-superb-tiny_evaluation_results.json"
    # Upstream's leaderboard script takes every file of this pattern.
    pattern = "*codec-superb-tiny*evaluation_results*.json"
    assert fnmatch.fnmatch(name, pattern)
    assert not fnmatch.fnmatch(superb_json.file_name("x/codec-superb-tiny", for_reporting=False), pattern)


def test_compatible_metrics_are_not_chosen_one_by_one(capsys):
    with pytest.raises(SystemExit):
        superb_tiny.main(["--compat", "codec-superb", "--metrics", "mel"])
    assert "--compat has its own six metrics" in capsys.readouterr().err


def test_published_rows_are_those_of_the_file_and_say_what_they_are():
    by_name = {row["name"]: row for row in published.rows()}
    assert by_name["llmcodec"]["splits"]["Speech"] == {
        "superb:mel": 0.713,
        "superb:pesq": 2.110,
        "superb:stoi": 0.859,
        "superb:f0corr": 0.843,
    }
    assert by_name["llmcodec"]["kbps"] == pytest.approx(50 * np.log2(20_480) / 1000, abs=1e-3)
    assert "superb:stoi" not in by_name["unicodec_24k"]["splits"]["Audio"]
    assert by_name["dac_16k"]["token_rate"] * 10 == by_name["dac_16k"]["kbps"] * 1000  # codebooks of 1,024
    text = published.markdown("Audio")
    assert text.startswith("### Audio: published, not measured here")
    assert published.markdown("Overall") is None
