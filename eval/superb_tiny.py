"""A reconstruction leaderboard of codecs: `python eval/superb_tiny.py --models llmcodec identity`; see `--help`."""

from __future__ import annotations

import sys

if __name__ == "__main__" and not __package__:
    import checkout_path  # noqa: F401

from eval.reconstruction.reconstruction_command import main

if __name__ == "__main__":
    sys.exit(main())
