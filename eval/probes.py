"""What linear classifiers read out of a codec's vectors: `python eval/probes.py --models ... --task ...`; see
`--help`."""

from __future__ import annotations

import sys

if __name__ == "__main__" and not __package__:
    import checkout_path  # noqa: F401

from eval.probes.probes_command import main

if __name__ == "__main__":
    sys.exit(main())
