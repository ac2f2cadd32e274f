"""A codec that was taught by a judge is named under the table, in the columns of that judge alone."""

from __future__ import annotations

from types import SimpleNamespace

from eval.reconstruction.codecs.codec_protocol import CodecInfo
from eval.reconstruction.metrics import phone_error, recogniser
from eval.reconstruction.own_judges import own_judges


def run_of(name, *teachers):
    return SimpleNamespace(info=CodecInfo(name, "llmcodec", teachers=teachers))


def test_only_the_metrics_of_the_teacher_are_named():
    judges = {"wer": recogniser.TINY.judge, "wer@whisper-base": recogniser.BASE.judge, "mel": None}
    judges["phone_error"] = phone_error.METRIC.judge
    metrics = [SimpleNamespace(name=name, judge=judge) for name, judge in judges.items()]
    models = [run_of("a", "whisper-base"), run_of("b", "hama", "whisper-tiny.en"), run_of("c", "facebook/hubert")]
    assert own_judges(models, metrics) == [
        "a was taught by whisper-base, which judges wer@whisper-base here",
        "b was taught by hama, which judges phone_error here",
        "b was taught by whisper-tiny.en, which judges wer here",
    ]
    assert own_judges([run_of("d")], metrics) == []
