"""A SALMon leaderboard of token language models: `python eval/salmon.py --models llmcodec`; see `--help`."""

from __future__ import annotations

import sys

if __name__ == "__main__" and not __package__:
    import checkout_path  # noqa: F401

from eval.salmon.salmon_command import main

if __name__ == "__main__":
    sys.exit(main())
