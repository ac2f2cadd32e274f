"""What a run writes for people: its records, the console, media files, TensorBoard."""

from __future__ import annotations

import csv
import json
import math
import sys

import numpy as np
import pytest
import soundfile
import torch

from soundcodec_llmcodec.pages.spectrogram_image import level_pixels
from soundcodec_llmcodec.runs.monitor import COLUMNS, Monitor, duration_text, step_text, value_text
from soundcodec_llmcodec.runs.run_log import LOG, METRICS, RecordsError, read_log, section_of


def monitor(folder, **options) -> Monitor:
    return Monitor(folder, **{"progress": False, **options})


def table(folder) -> list[dict[str, str]]:
    with (folder / METRICS).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def logged(run: Monitor, *steps: int, **values: float) -> None:
    for step in steps:
        run.step(step, {"mel": 1.0 / step, **values}, seconds_per_step=0.5, total_steps=100)


def test_a_step_stands_in_the_log_and_in_the_table(tmp_path):
    with monitor(tmp_path) as run:
        run.event("start", 0, device="cpu", clips=3)
        run.step(10, {"mel": 1.5, "gradient/codec": 2.0}, seconds_per_step=0.25, total_steps=100)
        run.event("validation", 10, n=2, mel=0.9)
    rows = read_log(tmp_path)
    assert [(row["event"], row["step"]) for row in rows] == [("start", 0), ("step", 10), ("validation", 10)]
    assert rows[1] == {"event": "step", "step": 10, "seconds_per_step": 0.25, "mel": 1.5, "gradient/codec": 2.0}
    lines = (tmp_path / METRICS).read_text().splitlines()
    assert lines == ["step,seconds_per_step,gradient/codec,mel", "10,0.25,2.0,1.5"]


def test_a_name_that_comes_later_becomes_a_column(tmp_path):
    run = monitor(tmp_path)
    logged(run, 1, 2)
    logged(run, 3, adversarial=0.5)
    logged(run, 4)
    rows = table(tmp_path)
    assert list(rows[0]) == ["step", "seconds_per_step", "adversarial", "mel"]
    assert [row["adversarial"] for row in rows] == ["", "", "0.5", ""]
    assert [float(row["mel"]) for row in rows] == [1.0, 1 / 2, 1 / 3, 1 / 4]
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOG, METRICS]  # no partial file is left


def test_what_a_killed_run_wrote_beyond_its_checkpoint_is_dropped(tmp_path):
    run = monitor(tmp_path)
    logged(run, 10, 20)
    run.event("checkpoint", 20)
    logged(run, 30, late=1.0)
    run.event("validation", 40, mel=0.5)
    with (tmp_path / LOG).open("a") as log:
        log.write('{"event": "step", "st')  # torn by the kill
    resumed = monitor(tmp_path, step=20)
    assert [(row["event"], row["step"]) for row in read_log(tmp_path)] == [
        ("step", 10),
        ("step", 20),
        ("checkpoint", 20),
    ]
    logged(resumed, 30)
    assert [row["step"] for row in table(tmp_path)] == ["10", "20", "30"]
    assert "late" not in table(tmp_path)[0]


def test_the_console_shows_the_last_validation_of_what_was_kept(tmp_path, capsys):
    run = monitor(tmp_path)
    run.event("validation", 20, codes=300, codebook_size=400, entropy_bits=7.5, bigram_bits=3.0)
    run.event("validation", 40, codes=100, entropy_bits=1.0)
    logged(Monitor(tmp_path, step=30), 40)
    shown = capsys.readouterr().err
    assert "300 codes of 400 (75%)" in shown
    assert "entropy 7.50 bit" in shown
    assert "bigram 3.00 bit, perplexity 8" in shown
    assert "step 20" in shown


def test_a_damaged_line_is_named_and_nothing_is_cut(tmp_path):
    text = '{"event": "start", "step": 0}\nnonsense\n{"event": "step", "step": 5, "mel": 1.0}\n'
    (tmp_path / LOG).write_text(text)
    with pytest.raises(RecordsError, match="line 2"):
        monitor(tmp_path, step=1)
    assert (tmp_path / LOG).read_text() == text


def test_numbers_that_are_not_finite_are_valid_json_and_kept(tmp_path):
    run = monitor(tmp_path)
    run.step(1, {"mel": math.nan, "stft": math.inf}, seconds_per_step=1.0, total_steps=2)
    run.event("skipped", 1, values=[-math.inf, np.float32(0.5)])

    def refuse(word):
        raise AssertionError(word)

    first, second = (json.loads(line, parse_constant=refuse) for line in (tmp_path / LOG).read_text().splitlines())
    assert (first["mel"], first["stft"], second["values"]) == ("nan", "inf", ["-inf", 0.5])
    assert math.isnan(float(table(tmp_path)[0]["mel"]))


def test_names_that_every_row_has_are_rejected(tmp_path):
    run = monitor(tmp_path)
    with pytest.raises(ValueError, match="'event'"):
        run.step(1, {"event": 1.0}, seconds_per_step=1.0, total_steps=2)
    with pytest.raises(ValueError, match=r"Monitor\.step"):
        run.event("step", 1)


def test_a_step_fits_into_100_columns_with_everything_in_it(tmp_path, capsys):
    names = ["mel", "log_mel", "complex_stft", "feature_matching", "adversarial", "future_tokens", "contrast", "prior"]
    values = dict.fromkeys(names, 1.2345678) | {"total": 9.0, "next_token_accuracy": 0.1, "learning_rate": 3e-4}
    values |= {f"gradient/{part}": 12.5 for part in ("encoder", "quantizer", "decoder", "language", "discriminators")}
    values |= {"codes_in_use": 1000.0, "code_entropy_bits": 9.5}
    run = Monitor(tmp_path)
    run.event("start", 0, device="cpu", clips=["clip-" + "x" * 300] * 40)
    run.step(1_500, values, seconds_per_step=0.5, total_steps=25_000)
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert max(map(len, lines)) <= COLUMNS
    text = " ".join(captured.err.split())
    assert "step 1,500 of 25,000 6% 2.00 steps/s 3 h 15 min left" in text
    assert text.index("loss total 9 adversarial 1.235") < text.index("gradient decoder 12.5")
    assert "next_token_accuracy 0.1" in text
    assert "learning rate all 3.00e-04" in text


def test_without_progress_nothing_is_shown_and_without_being_main_nothing_is_written(tmp_path, capsys):
    logged(monitor(tmp_path / "quiet"), 1)
    with Monitor(tmp_path / "second", enabled=False, tensorboard=True) as run:
        logged(run, 1)
        run.event("start", 0)
        run.audio(1, "clip", np.zeros(10), 16_000)
        run.spectrogram(1, "clip", np.zeros(10), 16_000)
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""
    assert not (tmp_path / "second").exists()


def test_audio_can_be_listened_to_and_looked_at(tmp_path):
    wave = 0.5 * torch.sin(2 * torch.pi * 2000 * torch.arange(8_000) / 16_000)
    run = monitor(tmp_path)
    run.audio(100, "set/clip 1", wave.requires_grad_(), 16_000)
    run.audio(100, "loud", [2.0, -2.0], 16_000)
    run.spectrogram(100, "set/clip 1", wave, 16_000)
    folder = tmp_path / "media" / "step-00000100"
    assert sorted(path.name for path in folder.iterdir()) == ["loud.flac", "set%2Fclip 1.flac", "set%2Fclip 1.png"]
    found, rate = soundfile.read(folder / "set%2Fclip 1.flac")
    assert rate == 16_000
    assert np.abs(found - wave.detach().numpy()).max() < 1e-4
    assert np.abs(soundfile.read(folder / "loud.flac")[0] - [1, -1]).max() < 1e-4
    image = pytest.importorskip("PIL.Image")
    with image.open(folder / "set%2Fclip 1.png") as picture:
        assert np.array_equal(np.asarray(picture), level_pixels(wave.detach().numpy(), 16_000))


@pytest.mark.parametrize(
    ("samples", "message"),
    [(np.zeros((2, 5)), r"\(2, 5\)"), ([], r"\(0,\)"), ([0.0, math.nan], "1 of 2 samples are not finite")],
)
def test_what_is_no_audio_is_rejected_by_name(tmp_path, samples, message):
    with pytest.raises(ValueError, match=f"clip 7: .*{message}"):
        monitor(tmp_path).audio(1, "clip 7", samples, 16_000)


def test_tensorboard_gets_scalars_audio_and_pictures(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with monitor(tmp_path, tensorboard=True) as run:
        logged(run, 10, 20, **{"gradient/codec": 2.0})
        run.event("validation", 20, n=2, mel=0.75)
    with monitor(tmp_path, tensorboard=True, step=10) as run:
        logged(run, 20, 30)
    found = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"loss/mel", "gradient/codec", "validation/mel", "speed/seconds_per_step"} <= set(found.Tags()["scalars"])
    assert [event.step for event in found.Scalars("loss/mel")] == [10, 20, 30]
    with monitor(tmp_path / "other", tensorboard=True) as run:
        run.audio(5, "clip", np.zeros(100), 16_000)
        run.spectrogram(5, "picture", np.zeros(1000), 16_000)
    other = EventAccumulator(str(tmp_path / "other" / "tensorboard")).Reload()
    assert other.Tags()["audio"] == ["clip"]
    assert other.Tags()["images"] == ["picture"]


def test_a_missing_tensorboard_is_named_with_its_extra_before_anything_is_cut(tmp_path, monkeypatch):
    logged(monitor(tmp_path), 10)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match=r"tensorboard, which is .*soundcodec-llmcodec\[train\]"):
        monitor(tmp_path, tensorboard=True)
    assert len(read_log(tmp_path)) == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mel", ("loss", "mel")),
        ("codebook", ("loss", "codebook")),
        ("gradient/codec", ("gradient", "codec")),
        ("gradient", ("gradient", "all")),
        ("learning_rate", ("learning_rate", "all")),
        ("codes_in_use", ("tokens", "codes_in_use")),
        ("next_token_accuracy", ("watched", "next_token_accuracy")),
    ],
)
def test_values_are_told_apart_by_their_names(name, expected):
    assert section_of(name) == expected


def test_numbers_and_times_are_short():
    assert [value_text(x) for x in (0.123456, 1234.5, 1e-5, 0.0, 3, 12_345, True, "cpu")] == [
        *("0.1235", "1,234", "1.00e-05", "0", "3", "12,345", "True", "cpu")
    ]
    assert [duration_text(x) for x in (9.4, 250, 11_100, 183_600)] == ["9 s", "4 min 10 s", "3 h 05 min", "2 d 3 h"]
    assert "- steps/s" in step_text(1, {}, 0.0, 10)
