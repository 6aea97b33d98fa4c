"""What was tried, and how it went: a line for each thing that a library did, a column for each service it did it with."""

import dataclasses
import traceback
from collections.abc import Callable

OK, FAILED, UNSPOKEN = "ok", "FAILED", "-"


@dataclasses.dataclass(frozen=True)
class Line:
    """Whose client, which method of authentication or part of the protocol, and what was done."""

    library: str
    method: str
    what: str


class Report:
    """Results by line and column, in the order in which they came."""

    def __init__(self):
        self.columns: list[str] = []
        self.results: dict[Line, dict[str, str]] = {}
        self.faults: list[str] = []

    def note(self, column: str, line: Line, result: str, why: str = ""):
        """Takes down one result. `why` is told where it failed."""
        if column not in self.columns:
            self.columns.append(column)
        self.results.setdefault(line, {})[column] = result
        if result == FAILED:
            self.faults.append(f"{line.library}, {line.method}, {line.what}, on {column}: {why}")

    def attempt(self, column: str, line: Line, do: Callable[[], None]):
        """Does it, and takes down whether it went well: whatever it raises is a failure, and the rest goes on."""
        try:
            do()
        except Exception as error:  # A library may raise anything.
            place = traceback.extract_tb(error.__traceback__)
            here = [frame for frame in place if "scripts/interop" in frame.filename][-1]
            self.note(column, line, FAILED, f"{type(error).__name__}: {error} (line {here.lineno} of {here.filename})")
        else:
            self.note(column, line, OK)

    def count(self, result: str) -> int:
        """How many results are that."""
        return sum(list(columns.values()).count(result) for columns in self.results.values())

    def table(self) -> str:
        """All of it, as text."""
        head = ["library", "method", "what was done", *self.columns]
        rows = [head, *([*dataclasses.astuple(line), *(found.get(column, "") for column in self.columns)] for line, found in self.results.items())]
        widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
        rows.insert(1, ["-" * width for width in widths])
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
