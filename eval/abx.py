"""How well representations tell phones apart: `python eval/abx.py --models ... --dataset ...`; see `--help`."""

from __future__ import annotations

import sys

if __name__ == "__main__" and not __package__:
    import checkout_path  # noqa: F401

from eval.abx.abx_command import main

if __name__ == "__main__":
    sys.exit(main())
