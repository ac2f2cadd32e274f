"""A metric of one's own in the harness: the signal-to-noise ratio.

    python eval/superb_tiny.py --include examples/own/own_metric.py --metrics snr mel --models llmcodec opus_24k

It is computed in the worker processes, as the harness's own are.
"""

from __future__ import annotations

import numpy as np

from eval.harness.include import metric


@metric(unit="dB", direction="higher")
def snr(reference: np.ndarray, estimate: np.ndarray, rate: int) -> float:
    """10 log10 of the reference's energy over that of the difference, of samples float32 (S,)."""
    noise = np.sum(np.square(reference.astype(np.float64) - estimate))
    if noise == 0:
        raise ValueError("the two are equal, so there is no noise")  # this clip then has a reason in place of a value
    return float(10 * np.log10(np.sum(np.square(reference, dtype=np.float64)) / noise))
