"""One reader of data sets, for training, tokenizing, evaluation and the suite builder alike.

`open_dataset("PLACE")` or `open_dataset("PLACE:SPLIT")` gives a `DataSet`; its rows have ids by one rule, so that the
tokens, scores and audio of a clip join.
"""

from soundcodec_llmcodec.data.datasets import DataSet, Place, Split, open_dataset
from soundcodec_llmcodec.data.rows import DataError, DataRow, identified
from soundcodec_llmcodec.data.sound_folders import SOUND_ENDINGS, sound_files

__all__ = [
    "SOUND_ENDINGS",
    "DataError",
    "DataRow",
    "DataSet",
    "Place",
    "Split",
    "identified",
    "open_dataset",
    "sound_files",
]
