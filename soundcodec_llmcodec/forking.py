"""A process that is forked from one which used several threads must not wait for threads that it does not have.

PyTorch's CPU kernels run on OpenMP threads, which a fork does not copy. GNU's OpenMP, which the Linux builds carry,
waits for them in the child for ever (pytorch/pytorch#17199). With one thread it asks for none. That is what PyTorch
does in a DataLoader's workers; here it is done for every fork: the pools of multiprocessing and concurrent.futures,
`datasets.map`, servers that load first and fork then.
"""

from __future__ import annotations

import functools
import os

import torch


@functools.lru_cache(maxsize=1)
def one_thread_after_forks() -> None:
    """From now on, a forked child of this process begins with `torch.set_num_threads(1)`; calling it twice is once."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_one_thread)


def _one_thread() -> None:
    if torch.get_num_threads() > 1:
        torch.set_num_threads(1)
