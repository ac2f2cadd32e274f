"""Codec-SUPERB's result file and published rows."""

from __future__ import annotations

import fnmatch
import json

import numpy as np
import pytest

from eval import superb_leaderboard
from eval.reconstruction import published_rows, reconstruction_command, superb_json

QUICK = ["--workers", "0", "--quiet"]


def test_the_compatible_file_has_upstreams_keys_and_each_models_own_means(tmp_path, capsys, with_codecs, fake_codec):
    with_codecs(fake=lambda: fake_codec("fake", lambda x: 0.9 * x, ["speech-02"]))
    arguments = ["--models", "identity", "fake", "--limit", "2", "--splits", "Speech", "Audio"]
    assert (
        reconstruction_command.main([*arguments, "--compat", "codec-superb", "--output", str(tmp_path / "run"), *QUICK])
        == 1
    )
    out = capsys.readouterr().out
    assert "NOT FOR REPORTING (--limit 2); Codec-SUPERB's rules" in out
    assert "superb:pesq ↑" in out
    found = json.loads((tmp_path / "run" / "mini (synthetic)_not_for_reporting.json").read_text())
    assert set(found) == {"identity", "fake"}
    assert set(found["identity"]) - {"bps", "tps"} == {"Speech", "Audio", "overall"}
    keys = {"mel", "stft", "waveform", "pesq", "pesq-wb", "stoi", "f0corr"}
    splits = [means for by_split in found.values() for means in by_split.values() if isinstance(means, dict)]
    assert len(splits) == 6
    assert all(set(means) == keys for means in splits)
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
        reconstruction_command.main(arguments)
    assert "--published goes with --compat codec-superb" in capsys.readouterr().err
    arguments += ["--compat", "codec-superb", "--output", str(tmp_path / "run"), "--wide", *QUICK]
    assert reconstruction_command.main(arguments) == 0
    shown = capsys.readouterr().out
    assert "| dac_16k (published) " in shown
    # A row that says no more than a codec's name is a measured one.
    names = [line.split("|")[1].strip() for line in shown.splitlines() if line.startswith("| llmcodec")]
    assert names == ["llmcodec (published)"]
    contents = json.loads((tmp_path / "run" / "results.json").read_text())
    assert set(contents["published"][0]["splits"]["Speech"]) < set(contents["metrics"])
    page = (tmp_path / "run" / "report.html").read_text()
    assert "3.881" in page  # DAC's PESQ, in the table
    assert "(published, broken)" in page.replace("<wbr>", "")


def test_the_files_name_is_upstreams():
    name = superb_json.file_name("voidful/codec-superb-tiny", for_reporting=True)
    assert name == "voidful_codec-superb-tiny_evaluation_results.json"
    # Upstream's leaderboard script takes every file of this pattern.
    pattern = "*codec-superb-tiny*evaluation_results*.json"
    assert fnmatch.fnmatch(name, pattern)
    assert not fnmatch.fnmatch(superb_json.file_name("x/codec-superb-tiny", for_reporting=False), pattern)


def test_compatible_metrics_are_not_chosen_one_by_one(capsys):
    with pytest.raises(SystemExit):
        reconstruction_command.main(["--compat", "codec-superb", "--metrics", "mel"])
    assert "--compat has its own six metrics" in capsys.readouterr().err


def test_published_rows_are_those_of_the_file_and_say_what_they_are():
    by_name = {row["name"]: row for row in published_rows.rows()}
    assert by_name["llmcodec"]["splits"]["Speech"] == {
        "superb:mel": 0.713,
        "superb:pesq": 2.110,
        "superb:stoi": 0.859,
        "superb:f0corr": 0.843,
    }
    assert by_name["llmcodec"]["kbps"] == pytest.approx(50 * np.log2(20_480) / 1000, abs=1e-3)
    assert by_name["unicodec_24k"]["splits"]["Audio"]["superb:stoi"] == 0.514
    assert by_name["dac_16k"]["token_rate"] * 10 == by_name["dac_16k"]["kbps"] * 1000  # codebooks of 1,024
    assert len(by_name) == 38
    assert "Codec-SUPERB/tree/cfccafce7c" in by_name["dac_16k"]["source"]
    text = published_rows.markdown("Audio")
    assert text.startswith("### Audio: published, not measured here")
    assert published_rows.markdown("Overall") is None


def test_published_rows_that_are_broken_are_flagged():
    by_name = {row["name"]: row for row in published_rows.rows()}
    flagged = {name for name, row in by_name.items() if row["note"]}
    assert flagged == {name for name in by_name if name.startswith(("sqcodec_", "s3tokenizer_"))}
    # What is flagged as broken is far below what is not, whatever its bit rate.
    stoi = {name: row["splits"]["Speech"].get("superb:stoi") for name, row in by_name.items()}
    assert max(stoi[name] for name in flagged if stoi[name]) < 0.6 < min(stoi[name] for name in set(stoi) - flagged)
    text = published_rows.markdown("Speech")
    assert text.count("(published, broken) ") == 7
    assert text.count("(published, encode only) ") == 4
    assert "- broken: " in text


def test_rows_have_names_of_their_own_and_their_rates(tmp_path):
    models = ["--models", "llmcodec", "mine=llmcodec_base", "--limit", "1", "--splits", "Speech"]
    arguments = [*models, "--compat", "codec-superb", "--output", str(tmp_path / "run"), *QUICK]
    assert reconstruction_command.main(arguments) == 0
    found = json.loads((tmp_path / "run" / "mini (synthetic)_not_for_reporting.json").read_text())
    assert set(found) == {"soundcodec_llmcodec", "mine"}
    assert not set(found) & {row["name"] for row in published_rows.rows()}
    assert found["soundcodec_llmcodec"]["bps"] == pytest.approx(50 * np.log2(20_480) / 1000, abs=1e-3)
    assert found["mine"]["tps"] == 50


def test_beside_upstream_both_rows_stand_with_their_rates(tmp_path):
    """Upstream's leaderboard script, in short: rows by name, the last file's; rates from a list of its own, else 0."""
    theirs = {"llmcodec": {"bps": 0.5, "tps": 50, "speech_mel": 0.713}}
    ours = {"soundcodec_llmcodec": {"Speech": {"mel": 0.9}, "bps": 0.716, "tps": 50}, "llmcodec": {"bps": 9, "tps": 9}}
    (tmp_path / "x_codec-superb-tiny_evaluation_results.json").write_text(json.dumps(ours))
    page = tmp_path / "data.js"
    rows = {**theirs, "soundcodec_llmcodec": {"bps": 0, "tps": 0, "speech_mel": 0.9}}
    page.write_text(f"const results = {json.dumps(rows, indent=1)};\nexport default results;")
    assert superb_leaderboard.main([str(tmp_path), str(page)]) == 0
    text = page.read_text()
    assert text.endswith(";\nexport default results;")
    made = json.loads(text.removeprefix("const results = ").removesuffix(";\nexport default results;"))
    assert made["soundcodec_llmcodec"] == {"bps": 0.716, "tps": 50, "speech_mel": 0.9}
    assert made["llmcodec"] == theirs["llmcodec"]  # upstream's rates are upstream's


def test_a_page_of_another_form_is_left_alone(tmp_path, capsys):
    (tmp_path / "data.js").write_text("export const rows = [];")
    assert superb_leaderboard.main([str(tmp_path), str(tmp_path / "data.js")]) == 2
    assert "update_leaderboard.py" in capsys.readouterr().err
    assert (tmp_path / "data.js").read_text() == "export const rows = [];"
