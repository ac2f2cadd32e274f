"""How well language models predict tokens: `python eval/predictability.py --train ... --test ...`; see `--help`."""

from __future__ import annotations

import sys

if __name__ == "__main__" and not __package__:
    import checkout_path  # noqa: F401

from eval.predictability.predictability_command import main

if __name__ == "__main__":
    sys.exit(main())
