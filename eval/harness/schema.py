"""What a measurement's results.json is called and has to hold. Imports nothing that computes."""

from __future__ import annotations

from dataclasses import dataclass

RESULTS = "results.json"


@dataclass(frozen=True)
class ResultsSchema:
    """A kind of results.json: its name and version, the `program` that writes it, and its `rows_file`, one row for each
    single result.

    `required` are the keys without which there is no report; a row is found by the values of `row_keys` and has
    `row_columns` too.
    """

    name: str
    version: int
    program: str
    rows_file: str
    required: tuple[str, ...] = ()
    row_keys: tuple[str, ...] = ()
    row_columns: tuple[str, ...] = ()
