"""Names and contents of the samples that a run keeps."""

from __future__ import annotations

import numpy as np
import soundfile

from eval.harness import manifest
from eval.harness.sample_files import SampleFiles, sample_name


def test_names_that_differ_are_files_that_differ():
    assert sample_name("Speech", 3) == "samples/Speech-0003.flac"
    assert sample_name("Speech", 3, "llmcodec") == "samples/Speech-0003-llmcodec.flac"
    assert sample_name("part", 0, ending="json") == "samples/part-0000.json"
    names = {sample_name("Speech", 0, model) for model in ("hf:a/b", "hf_a/b", "hf:a_b", "../x")}
    assert len(names) == 4
    assert all(name.count("/") == 1 for name in names)


def test_what_is_kept_is_cut_clipped_and_listed(tmp_path):
    samples = SampleFiles(tmp_path, 2, longest_s=0.5)
    assert [samples.wants(index) for index in range(4)] == [True, True, False, False]
    name = sample_name("Speech", 0)
    samples.write(name, np.full(1000, 2, np.float32), 1000)
    stored, rate = soundfile.read(tmp_path / name)
    assert (len(stored), rate) == (500, 1000)
    assert stored.max() <= 1
    assert samples.exists(name)
    assert name in manifest.listed(tmp_path)
