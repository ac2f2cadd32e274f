"""What is checked before the long parts of a run: before its data are decoded, and before it trains on them."""

from __future__ import annotations

from pathlib import Path

from soundcodec_llmcodec.data.rows import FIELDS
from soundcodec_llmcodec.runs.checkpoint_folders import checkpoints_in
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.monitor import summary_writer
from soundcodec_llmcodec.runs.resuming import changes, check_same
from soundcodec_llmcodec.teachers import check_teacher
from soundcodec_llmcodec.train.codec_state import FIXED, saved_config
from soundcodec_llmcodec.train.crops import DecodedCorpus, check_sources, may_have_texts
from soundcodec_llmcodec.train.objectives.semantic_decoder import teacher_of_loss
from soundcodec_llmcodec.train.train_config import TrainConfig

_ALIGNED = ("alignment", "contrast")  # the losses that need texts


def check_before_decoding(config: TrainConfig, checkpoints: Path, cache: Path) -> dict[str, str]:
    """What a resume changes; raises before hours of audio are decoded: TeacherError, ImportError for packages,
    TrainConfigError for another run's folder and for data without texts that alignment needs, and DataError for
    places, the held-out ones too."""
    if config.tensorboard:
        summary_writer()
    codec = config.codec_config
    if codec.semantic is not None and config.init is None:
        check_teacher(codec.semantic)
    if config.uses("teacher"):
        check_teacher(config.teacher)
    if config.uses("semantic"):
        check_teacher(teacher_of_loss(config.teacher, codec))
    check_sources((config.data, config.validation), codec.sample_rate, cache)
    saved = checkpoints_in(checkpoints)
    changed: dict[str, str] = {}
    if saved:
        before = saved_config(saved[-1])
        check_same(saved[-1], before.to_dict(), config.to_dict(), FIXED)
        changed = changes(before, config)
    if config.uses(*_ALIGNED) and not may_have_texts(config.data, codec.sample_rate, cache):
        raise TrainConfigError(
            f"alignment needs texts: no row of {', '.join(config.data)} has one. Use data with a column "
            f"{', '.join(map(repr, FIELDS['text'][:-1]))} or {FIELDS['text'][-1]!r} (docs/inputs.md), or a weight of 0 "
            f"for the losses {' and '.join(_ALIGNED)}"
        )
    return changed


def check_texts(config: TrainConfig, corpus: DecodedCorpus, segment: int) -> None:
    """Raise TrainConfigError where alignment is asked for and no crop of `segment` samples could ever hold the words of
    a clip."""
    if not config.uses(*_ALIGNED):
        return
    coverage = config.language.text_coverage
    if not len(corpus.short_texts(segment, coverage)):
        raise TrainConfigError(
            f"alignment needs texts: of {len(corpus.ids)} clips none has one and is short enough for a crop "
            f"of {config.segment_s:g} s to hold {coverage:.0%} of it. Use longer "
            "segments, a lower language.text_coverage, or data with a column 'text'"
        )
