"""Imported by the scripts of this folder when they are run by their path, to find the package `eval` of the checkout.

Python puts a script's own folder first on sys.path; its files must not hide packages of the same name.
"""

from __future__ import annotations

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path[:] = [str(_HERE.parent), *(entry for entry in sys.path if Path(entry or ".").resolve() != _HERE)]
