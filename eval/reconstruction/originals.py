"""The originals as a row of their own: what a recogniser hears in the clips themselves against what is said in them.

A codec's word errors are read against that floor. The row takes part in no comparison, and no clip is left out for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval.harness.clips import CorpusClip
from eval.reconstruction.codecs import CodecInfo, Coded, Identity
from eval.reconstruction.scoring import ORIGINALS


class Originals(Identity):
    """The clips as they are, which a scorer takes for the reference itself, so that nothing is heard twice."""

    def __init__(self) -> None:
        self.info = CodecInfo(ORIGINALS, "originals", identity="identity", parameters=0, timed=False)

    def decode(self, coded: Sequence[Coded], clips: Sequence[CorpusClip]) -> list[np.ndarray]:
        return [clip.samples for clip in clips]
