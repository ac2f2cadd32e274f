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

from soundcodec_llmcodec.data import DataError, open_dataset
from soundcodec_llmcodec.train.crops import (
    Cropping,
    DecodedCorpus,
    change_speed,
    crops,
    may_have_texts,
    open_corpus,
    speed_of,
)


@pytest.fixture
def corpus(audio_folder, tmp_path):
    return open_corpus([str(audio_folder)], 16_000, tmp_path / "cache")


def test_good_clips_are_read_and_bad_ones_listed(corpus, audio_folder):
    assert corpus.ids == tuple(f"clip{i}" for i in range(4))
    assert len(corpus.bad) == 1
    assert corpus.bad[0].startswith("notes: ")
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
            if name == "clip1":  # 3,200 samples, then silence
                assert wave[:3_200].abs().max() > 0.1
                assert (wave[3_200:] == 0).all()
    assert seen == set(corpus.ids)


def test_short_clips_begin_up_to_the_jitter_late_and_stay_whole(corpus):
    starts = set()
    for step in range(40):
        made = crops(corpus, 0, step, 4, Cropping(8_000, jitter=5))
        for wave, name in zip(made.waves, made.ids, strict=True):
            if name == "clip1":
                sounding = wave.nonzero().flatten()
                starts.add(int(sounding[0]))
                assert 3_190 <= int(sounding[-1]) - int(sounding[0]) <= 3_200
    assert len(starts) > 2
    assert max(starts) <= 5 + 2  # the clip itself begins with a zero or two


def made_corpus(*lengths: int) -> DecodedCorpus:
    """Clips whose samples count on from 1, so that each sample says where it is from."""
    offsets = np.cumsum([0, *lengths])
    names = tuple(f"clip{index}" for index in range(len(lengths)))
    samples = np.arange(1, offsets[-1] + 1, dtype=np.int16)
    return DecodedCorpus(samples, offsets, names, names, (), 16_000, "made")


@pytest.mark.parametrize("batch_size", [1, 3, 4, 9])
def test_an_even_draw_takes_every_clip_once_before_any_a_second_time(batch_size):
    """However long they are, and where batches do not end where rounds do."""
    corpus = made_corpus(10, 20_000, 3, 7_000, 1)
    how = Cropping(100, draw="clip", padding="reflection")
    drawn = [name for step in range(30) for name in crops(corpus, 0, step, batch_size, how).ids]
    rounds = [tuple(drawn[i : i + 5]) for i in range(0, len(drawn) - 4, 5)]
    assert all(sorted(one) == sorted(corpus.ids) for one in rounds)
    assert len(set(rounds)) > 1  # in another order
    assert drawn[:5] != [name for step in range(5) for name in crops(corpus, 1, step, 1, how).ids]
    again = crops(corpus, 0, 7, batch_size, how)
    assert again.ids == tuple(drawn[7 * batch_size : 8 * batch_size])


def test_a_draw_by_length_takes_clips_as_often_as_they_are_long():
    corpus = made_corpus(1_000, 9_000)
    drawn = [name for step in range(200) for name in crops(corpus, 0, step, 5, Cropping(100)).ids]
    assert 0.07 < drawn.count("clip0") / len(drawn) < 0.13


@pytest.mark.parametrize("length", [1, 2, 3, 5, 33, 49, 50, 99, 100])
@pytest.mark.parametrize("jitter", [0, 7])
def test_short_clips_lie_in_the_middle_of_their_reflections(length, jitter):
    """Sample i of the crop is sample j of the clip, j running up and down between its ends (not repeating them)."""
    corpus = made_corpus(40, length)
    how = Cropping(100, jitter=jitter, draw="clip", padding="reflection", random_polarity=False)
    places = set()
    for step in range(120):
        made = crops(corpus, 0, step, 2, how)
        wave = (made.waves[made.ids.index("clip1")] * 32_767).round().numpy() - 41  # 0 is the clip's first sample
        middle = (100 - length) // 2
        lefts = {min(max(middle + shift, 0), 100 - length) for shift in range(-jitter, jitter + 1)}
        period = max(1, 2 * (length - 1))
        turns = {left: (np.arange(100) - left) % period for left in lefts}
        fits = [left for left, turn in turns.items() if np.array_equal(wave, np.minimum(turn, period - turn))]
        assert fits, wave
        places.update(fits)
    if 20 < length < 90:
        assert len(places) == (1 if jitter == 0 else 15)


def test_a_reflected_clip_is_whole_and_a_longer_one_is_cropped_as_ever():
    corpus = made_corpus(60, 500)
    how = Cropping(100, draw="clip", padding="reflection", random_polarity=False)
    for step in range(20):
        made = crops(corpus, 0, step, 2, how)
        values = [set((wave * 32_767).round().int().tolist()) for wave in made.waves]
        short, long = (values[made.ids.index(name)] for name in ("clip0", "clip1"))
        assert short == set(range(1, 61))
        assert long == set(range(min(long), min(long) + 100))
        assert min(long) > 60


def test_without_random_polarity_and_gain_a_crop_is_the_clip_itself():
    corpus = made_corpus(500)
    signs = {float(crops(corpus, 0, step, 1, Cropping(100)).waves.sign().mean()) for step in range(20)}
    assert signs == {-1.0, 1.0}
    plain = Cropping(100, random_polarity=False)
    for step in range(20):
        wave = crops(corpus, 0, step, 1, plain).waves[0] * 32_767
        assert wave.diff().round().unique().tolist() == [1.0]


def test_with_no_coverage_asked_for_every_crop_has_its_clips_whole_text():
    corpus = made_corpus(60, 500)
    how = Cropping(100, text_coverage=0.0, draw="clip")
    made = crops(corpus, 0, 0, 2, how)
    assert made.texts == made.ids  # of the longer one the crop holds a fifth


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
    all_with_texts = crops(corpus, 0, 0, 8, Cropping(8_000, text_share=1.0))
    assert set(all_with_texts.texts) == {"three"}


def test_the_fingerprint_is_of_samples_and_texts_wherever_they_lie(audio_folder, text_folder, tmp_path):
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
    names = [item.clip_id for item in open_dataset(f"{tmp_path}:validation").rows()]
    assert [name.split("/")[-1] for name in names] == ["c"]
    assert len(list(open_dataset(str(tmp_path)).rows())) == 3
    with pytest.raises(DataError, match=r"'test'.*train.*validation"):
        open_dataset(f"{tmp_path}:test")


def test_sources_that_hold_nothing_say_so(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no parquet files, no sound files"):
        open_corpus([str(tmp_path / "empty")], 16_000, tmp_path / "cache")
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "x.wav").write_text("nothing")
    with pytest.raises(DataError, match=r"no clip.*x\.wav"):
        open_corpus([str(bad)], 16_000, tmp_path / "cache")
    with pytest.raises(DataError, match="name the split"):
        open_dataset("owner/name")


def test_a_source_with_texts_is_known_by_its_first_row(audio_folder, text_folder, tmp_path, monkeypatch):
    """Whatever stands before it: of a large source without texts, no more than a row is read."""
    read = []

    class Spied:
        def __init__(self, text):
            self.text = text

        def rows(self):
            for row in open_dataset(self.text).rows():
                read.append(self.text)
                yield row

    monkeypatch.setattr("soundcodec_llmcodec.train.crops.open_dataset", Spied)
    without, with_texts = str(audio_folder), str(text_folder)
    assert may_have_texts([without, with_texts], 16_000, tmp_path)
    assert read == [without, with_texts]
    assert not may_have_texts([without], 16_000, tmp_path)
