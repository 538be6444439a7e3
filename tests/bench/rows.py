"""What a topic of the benchmark is made of.

A topic is a file in topics/ that holds ROWS, a list of Row and of Line; if it has
peers, PEERS: what each is called, and the Debian package that brings it; and SHORT:
what those rows are called that also go into a README.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Run:
    """A program that prints one number, in the unit of its row, and takes 0.1 to
    1 s.  It exits with 0, or with 77 if what it needs is not installed here; or with
    76, and prints some words, if what it measures does not happen.

    In the words of the command, {build} is the build folder, {programs} where
    the programs of the benchmark were built, {bench} the folder of this file,
    {python} and {lua} the interpreters; both find the bindings of the build
    folder.
    """

    command: tuple[str, ...] | list[str]
    #: The cores it may use, as for taskset: "0", "0,1"; None for all.
    cores: str | None = None


@dataclass(frozen=True)
class Aim:
    """`figure relation value`: of our figure itself, or, if a baseline is named,
    of our figure divided by that baseline's."""

    relation: str
    value: float
    baseline: str | None = None


@dataclass(frozen=True)
class Row:
    """One thing that is measured, by us and by others."""

    what: str
    unit: str
    #: "more" or "less"
    better: str
    ours: Run
    baselines: dict[str, Run] = field(default_factory=dict)
    aim: Aim | tuple[Aim, ...] | None = None
    #: What a reader has to know to judge the figures; a sentence.
    note: str = ""

    @property
    def aims(self) -> tuple[Aim, ...]:
        if self.aim is None:
            return ()
        return (self.aim,) if isinstance(self.aim, Aim) else tuple(self.aim)


@dataclass(frozen=True)
class Line:
    """One line of a table of figures that nobody compares with others'."""

    what: str
    unit: str
    #: The columns: those of all lines of a topic are the same.
    runs: dict[str, Run]
    note: str = ""
    aims: tuple[Aim, ...] = ()


def check(row: Row | Line) -> None:
    """Refuse a row that could not be judged."""
    if isinstance(row, Line):
        return
    if row.better not in ("more", "less"):
        raise ValueError(f"{row.what}: better is 'more' or 'less'")
    if "ours" in row.baselines:
        raise ValueError(f"{row.what}: a baseline must not be called 'ours'")
    for aim in row.aims:
        if aim.relation not in ("<=", ">="):
            raise ValueError(f"{row.what}: an aim's relation is '<=' or '>='")
        if (aim.relation == ">=") != (row.better == "more"):
            raise ValueError(f"{row.what}: the aim is not on the better side")
        if aim.baseline is not None and aim.baseline not in row.baselines:
            raise ValueError(f"{row.what}: no baseline '{aim.baseline}'")
