"""Audio that was made before: which file is a clip's, and which is not."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from eval.reconstruction.codecs import LoadError, ReconstructionError, load


def put(folder, name, clip, *, rate=None, seconds=None):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    n = len(clip.samples) if seconds is None else round(seconds * clip.rate)
    samples = np.resize(clip.samples, n)
    soundfile.write(path, samples, rate or clip.rate, subtype=None if path.suffix in (".ogg", ".mp3") else "PCM_24")


def test_a_folder_of_files_is_a_codec(tmp_path, assert_contract, clips):
    for clip, ending in zip(clips, (".flac", ".wav", ".flac", ".wav"), strict=True):
        put(tmp_path / "theirs", clip.clip_id + ending, clip)
    model = load(f"recon:{tmp_path / 'theirs'}")
    for clip, samples in zip(clips, assert_contract(model), strict=True):
        np.testing.assert_allclose(samples, clip.samples, atol=1e-6)
    info = model.info
    assert (info.name, info.kind, info.timed, info.bitrate_bps) == ("theirs", "recon", False, None)


def test_clip_ids_with_folders_splits_and_sources(tmp_path, clip_of):
    by_id, by_split, by_source = (
        clip_of(16_000, 0.2, clip_id="deep/er/a.b"),
        clip_of(16_000, 0.2, clip_id="b", split="Music"),
        clip_of(16_000, 0.2, clip_id="c", source="908-157963-0028"),
    )
    put(tmp_path, "deep/er/a.b.flac", by_id)
    put(tmp_path, "Music/b.wav", by_split)
    put(tmp_path, "908-157963-0028.flac", by_source)
    model = load(f"recon:{tmp_path}")
    assert [item.payload for item in model.encode([by_id, by_split, by_source])] == [
        "deep/er/a.b.flac",
        "Music/b.wav",
        "908-157963-0028.flac",
    ]
    # The id goes before the source.
    put(tmp_path, "c.wav", by_source)
    assert load(f"recon:{tmp_path}").encode([by_source])[0].payload == "c.wav"


def test_a_missing_file_names_what_was_tried(tmp_path, clip_of):
    put(tmp_path, "other.wav", clip_of(16_000, 0.2))
    with pytest.raises(ReconstructionError, match=r"tried Speech/a\.\*, a\.\*, source\.\*"):
        load(f"recon:{tmp_path}").encode([clip_of(16_000, 0.2, clip_id="a")])


def test_two_files_for_one_clip_are_refused(tmp_path, clip_of):
    clip = clip_of(16_000, 0.2, clip_id="a")
    put(tmp_path, "a.wav", clip)
    put(tmp_path, "a.flac", clip)
    with pytest.raises(ReconstructionError, match=r"more than one file for the clip: a\.flac, a\.wav"):
        load(f"recon:{tmp_path}").encode([clip])


def test_nothing_outside_of_the_folder_is_read(tmp_path, clip_of):
    secret = clip_of(16_000, 0.2, clip_id="../secret")
    put(tmp_path, "secret.wav", secret)
    put(tmp_path / "theirs", "a.wav", secret)
    (tmp_path / "theirs" / "link.wav").symlink_to(tmp_path / "secret.wav")
    model = load(f"recon:{tmp_path / 'theirs'}")
    for clip_id in ("../secret", str(tmp_path / "secret"), "link"):
        with pytest.raises(ReconstructionError, match="no file"):
            model.encode([clip_of(16_000, 0.2, clip_id=clip_id)])


def test_rates_are_brought_to_the_clips_and_lengths_fitted(tmp_path, clip_of):
    clip = clip_of(16_000, 1.0, clip_id="a")
    put(tmp_path, "a.wav", clip, seconds=0.8)
    model = load(f"recon:{tmp_path}")
    (made,) = model.decode(model.encode([clip]), [clip])
    np.testing.assert_allclose(made[:12_800], clip.samples[:12_800], atol=1e-6)
    assert not made[12_800:].any()
    stereo = np.stack([clip.samples, -0.5 * clip.samples], axis=1)
    soundfile.write(tmp_path / "a.wav", np.repeat(stereo, 2, axis=0), 32_000, subtype="FLOAT")
    (made,) = model.decode(model.encode([clip]), [clip])
    assert made.shape == clip.samples.shape
    assert np.corrcoef(made, clip.samples)[0, 1] > 0.99
    assert np.std(made) == pytest.approx(0.25 * np.std(clip.samples), rel=0.05)


def test_a_file_of_another_duration_is_not_the_clips(tmp_path, clip_of):
    clip = clip_of(16_000, 1.0, clip_id="a")
    put(tmp_path, "a.wav", clip, seconds=1.6)
    model = load(f"recon:{tmp_path}")
    with pytest.raises(ReconstructionError, match=r"has 1\.60 s, the clip 1\.00 s"):
        model.decode(model.encode([clip]), [clip])


def test_a_file_that_is_no_audio_fails_by_name(tmp_path, clip_of):
    (tmp_path / "a.wav").write_text("not audio")
    clip = clip_of(16_000, 1.0, clip_id="a")
    model = load(f"recon:{tmp_path}")
    with pytest.raises(ReconstructionError, match=r"a\.wav cannot be read"):
        model.decode(model.encode([clip]), [clip])


def test_the_identity_is_that_of_the_files(tmp_path, clip_of):
    put(tmp_path, "a.wav", clip_of(16_000, 0.2))
    first = load(f"recon:{tmp_path}").info.identity
    assert load(f"recon:{tmp_path}").info.identity == first
    put(tmp_path, "a.wav", clip_of(16_000, 0.2, clip_id="another"))
    assert load(f"recon:{tmp_path}").info.identity != first


def test_a_folder_without_audio_is_left_out(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    for folder, message in ((tmp_path, "holds no reconstructions"), (tmp_path / "gone", "there is no folder")):
        with pytest.raises(LoadError, match=message):
            load(f"recon:{folder}")


def test_a_bit_rate_is_what_the_user_states(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(8000, np.float32), 16_000)
    assert load(f"recon:{tmp_path}?kbps=1.04").info.bitrate_bps == pytest.approx(1040.0)
    assert load(f"recon:{tmp_path}").info.bitrate_bps is None
