"""Makes a SALMon-style suite: `python eval/salmon_build.py --speech DATA --sounds DATA --out FOLDER`; see `--help`."""

from __future__ import annotations

import sys

if __name__ == "__main__" and not __package__:
    import checkout_path  # noqa: F401

from eval.salmon.build.build_command import main

if __name__ == "__main__":
    sys.exit(main())
