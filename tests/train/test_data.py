"""What is read, what is skipped, and that a batch follows from its step alone."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch

from soundcodec_llmcodec.sources import DataError, Source
from soundcodec_llmcodec.train.data import Cropping, change_speed, crops, open_corpus, speed_of


@pytest.fixture
def corpus(audio_folder, tmp_path):
    return open_corpus([str(audio_folder)], 16_000, tmp_path / "cache")


def test_good_clips_are_read_and_bad_ones_listed(corpus, audio_folder):
    assert corpus.ids == tuple(f"clip{i}.wav" for i in range(4))
    assert len(corpus.bad) == 1
    assert corpus.bad[0].startswith("notes.wav")
    assert np.diff(corpus.offsets).tolist() == [24_000, 3_200, 16_000, 11_200]
    samples, _ = soundfile.read(audio_folder / "clip3.wav", dtype="float32")
    np.testing.assert_allclose(corpus.clip(3).numpy(), samples, atol=1e-4)


def test_a_cache_is_read_back_and_made_anew_when_files_change(audio_folder, tmp_path):
    cache = tmp_path / "cache"
    open_corpus([str(audio_folder)], 16_000, cache)
    first = sorted(cache.iterdir())
    times = [path.stat().st_mtime_ns for path in first]
    open_corpus([str(audio_folder)], 16_000, cache)
    assert [path.stat().st_mtime_ns for path in sorted(cache.iterdir())] == times
    open_corpus([str(audio_folder)], 8_000, cache)
    assert len(list(cache.iterdir())) == 2 * len(first)


def test_a_batch_follows_from_seed_and_step(corpus):
    how = Cropping(4_000, (-6, 3), jitter=24)
    first, again = crops(corpus, 0, 7, 6, how), crops(corpus, 0, 7, 6, how)
    assert torch.equal(first.waves, again.waves)
    assert (first.ids, first.texts) == (again.ids, again.texts)
    assert not torch.equal(first.waves, crops(corpus, 0, 8, 6, how).waves)
    assert not torch.equal(first.waves, crops(corpus, 1, 7, 6, how).waves)


def test_crops_stay_inside_their_clip_and_full_scale(corpus):
    seen = set()
    for step in range(30):
        made = crops(corpus, 0, step, 4, Cropping(8_000, (0, 40)))
        assert made.waves.abs().max() <= 1.0
        for wave, name in zip(made.waves, made.ids, strict=True):
            seen.add(name)
            if name == "clip1.wav":  # 3,200 samples, then silence
                assert wave[:3_200].abs().max() > 0.1
                assert (wave[3_200:] == 0).all()
    assert seen == set(corpus.ids)


def test_short_clips_begin_up_to_the_jitter_late_and_stay_whole(corpus):
    starts = set()
    for step in range(40):
        made = crops(corpus, 0, step, 4, Cropping(8_000, jitter=5))
        for wave, name in zip(made.waves, made.ids, strict=True):
            if name == "clip1.wav":
                sounding = wave.nonzero().flatten()
                starts.add(int(sounding[0]))
                assert 3_190 <= int(sounding[-1]) - int(sounding[0]) <= 3_200
    assert len(starts) > 2
    assert max(starts) <= 5 + 2  # the clip itself begins with a zero or two


def test_a_text_goes_with_a_crop_that_holds_its_words(text_folder, tmp_path):
    corpus = open_corpus([str(text_folder)], 16_000, tmp_path / "cache")
    assert corpus.texts == ("one two", "three", None, "four five six")
    lengths = np.diff(corpus.offsets)
    for coverage, least in ((1.0, 8_000), (0.5, 16_000), (0.3, 26_000)):
        for step in range(10):
            made = crops(corpus, 0, step, 4, Cropping(8_000, text_coverage=coverage))
            for name, text in zip(made.ids, made.texts, strict=True):
                index = corpus.ids.index(name)
                assert text == (corpus.texts[index] if lengths[index] <= least else None)


def test_a_share_of_the_clips_is_drawn_among_those_with_texts_that_fit(text_folder, tmp_path):
    corpus = open_corpus([str(text_folder)], 16_000, tmp_path / "cache")
    assert corpus.short_texts(8_000, 1.0).tolist() == [1]  # 0.2 s; the others are longer, or without a text
    made = [crops(corpus, 0, step, 8, Cropping(8_000, text_share=0.5)) for step in range(40)]
    share = sum(text is not None for batch in made for text in batch.texts) / 320
    assert 0.45 < share < 0.65
    all_told = crops(corpus, 0, 0, 8, Cropping(8_000, text_share=1.0))
    assert set(all_told.texts) == {"three"}


def test_the_fingerprint_is_of_what_is_heard_and_said_wherever_it_lies(audio_folder, text_folder, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(audio_folder, moved)
    here, there = (open_corpus([str(path)], 16_000, tmp_path / "cache") for path in (audio_folder, moved))
    assert here.fingerprint == there.fingerprint
    assert here.fingerprint != open_corpus([str(text_folder)], 16_000, tmp_path / "cache").fingerprint
    (moved / "clip1.wav").unlink()
    assert here.fingerprint != open_corpus([str(moved)], 16_000, tmp_path / "cache").fingerprint


def test_speed_moves_pitch_and_keeps_level():
    time = torch.arange(8_000) / 16_000
    wave = torch.sin(2 * torch.pi * 1_000 * time)[None]
    faster = change_speed(wave, 4_000)
    assert faster.shape == (1, 4_000)
    peak = torch.fft.rfft(faster).abs()[0].argmax() * 16_000 / 4_000
    assert peak == 2_000
    assert faster.abs().max() == pytest.approx(1.0, abs=0.01)
    assert speed_of((0.9, 1.1), 0, 3) in (0.9, 1.1)


def _parquet(path, names):
    rows = []
    for name in names:
        buffer = io.BytesIO()
        soundfile.write(buffer, np.full(800, 0.1), 16_000, format="WAV")
        rows.append({"id": name, "audio": {"bytes": buffer.getvalue(), "path": None}})
    pq.write_table(pa.Table.from_pylist(rows), path)


def test_parquet_splits_are_told_apart_by_file_name(tmp_path):
    _parquet(tmp_path / "train-00000-of-00001.parquet", ["a", "b"])
    _parquet(tmp_path / "validation-00000-of-00001.parquet", ["c"])
    names = [item.clip_id for item in Source.parse(f"{tmp_path}:validation").items()]
    assert [name.split("/")[-1] for name in names] == ["c"]
    assert len(list(Source.parse(str(tmp_path)).items())) == 3
    with pytest.raises(DataError, match=r"'test'.*train.*validation"):
        list(Source.parse(f"{tmp_path}:test").items())


def test_sources_that_hold_nothing_say_so(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no parquet and no audio"):
        open_corpus([str(tmp_path / "empty")], 16_000, tmp_path / "cache")
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "x.wav").write_text("nothing")
    with pytest.raises(DataError, match=r"no clip.*x\.wav"):
        open_corpus([str(bad)], 16_000, tmp_path / "cache")
    with pytest.raises(DataError, match="name the split"):
        list(Source.parse("owner/name").items())
