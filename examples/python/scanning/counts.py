"""What a pass over the files finds out, and how its work is divided."""

import os
import time
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Dict, List, Optional, Tuple

BATCH_FILES = 64
BATCH_BYTES = 1 << 20
# Less than this says nothing about the speed.
TIMED_BYTES, TIMED_SECONDS = 1_000_000, 0.2


def batches(found):
    """Divide the files into portions: (number of the first one, paths)."""
    first, size = 0, 0
    for index, more in enumerate(found.sizes):
        if index > first and (index - first == BATCH_FILES or size > BATCH_BYTES):
            yield first, names(found, first, index)
            first, size = index, 0
        size += more
    if first < len(found.paths):
        yield first, names(found, first, len(found.paths))


def names(found, begin, end):
    """The names as the system has them: bytes, in whatever encoding."""
    return [os.fsencode(path) for path in found.paths[begin:end]]


@dataclass
class Totals:
    """What one worker, or all of them, counted."""

    files: int = 0
    empty: int = 0
    lines: int = 0
    words: int = 0
    bytes: int = 0

    def add(self, other):
        self.files += other.files
        self.empty += other.empty
        self.lines += other.lines
        self.words += other.words
        self.bytes += other.bytes


@dataclass
class Pass:
    """One pass over all files by some workers."""

    found: object
    count: int
    workers: List[Totals] = field(default_factory=list)
    identifiers: Dict[str, int] = field(default_factory=dict)
    binary: List[int] = field(default_factory=list)
    failed: List[Tuple[int, str]] = field(default_factory=list)
    # Seconds that each worker was on a processor; None where nobody knows.
    cpu: List[Optional[float]] = field(default_factory=list)
    # (worker, begin, end, file), in seconds since the begin of the pass.
    bars: List[Tuple[int, float, float, int]] = field(default_factory=list)
    seconds: float = 0.0  # until the last file was done

    def __post_init__(self):
        self.workers = [Totals() for _ in range(self.count)]
        self.cpu = [None] * self.count
        self.begun = time.monotonic()
        self.free_since = [0.0] * self.count
        self.in_hand = [0] * self.count

    def begin(self):
        self.begun = time.monotonic()

    def now(self):
        return time.monotonic() - self.begun

    def give(self, worker, files):
        """So many files are now on their way to a worker."""
        if self.in_hand[worker] == 0:
            self.free_since[worker] = self.now()
        self.in_hand[worker] += files

    def take(self, kind, worker, *rest):
        """A message of scan.lua."""
        if kind == "names":
            known = self.identifiers
            for name, count in rest[0].items():
                known[name] = known.get(name, 0) + count
            return
        if kind == "told":
            self.cpu[worker] = rest[0]
            return
        index = rest[0]
        if kind == "text":
            self.take_text(self.workers[worker], *rest[1:])
        elif kind == "binary":
            self.binary.append(index)
        else:
            self.failed.append((index, rest[1]))
        self.stamp(worker, index)

    @staticmethod
    def take_text(totals, lines, words, size):
        totals.files += 1
        totals.empty += size == 0
        totals.lines += lines
        totals.words += words
        totals.bytes += size

    def stamp(self, worker, index):
        """A worker takes its files one after the other: it began this one when
        it was ready with the one before."""
        now = self.seconds = self.now()
        begin = self.free_since[worker]
        self.bars.append((worker, begin, now, index))
        self.free_since[worker] = now
        self.in_hand[worker] -= 1

    @property
    def done(self):
        """How many files were looked at."""
        return len(self.bars)

    @property
    def total(self):
        total = Totals()
        for worker in self.workers:
            total.add(worker)
        return total

    @property
    def speed(self):
        """Megabytes of text a second."""
        return self.total.bytes / 1e6 / max(self.seconds, 1e-9)

    @property
    def timed(self):
        """Whether there was enough text to speak of a speed."""
        return self.total.bytes >= TIMED_BYTES and self.seconds >= TIMED_SECONDS

    def share(self, *workers):
        """The part of the time in which these workers were on a processor; None
        where that is not known, or says nothing."""
        seconds = [self.cpu[worker] for worker in workers]
        if not self.timed or None in seconds:
            return None
        return sum(seconds) / self.seconds / len(workers)

    @property
    def complete(self):
        """Whether every file that was found was scanned, skipped or failed."""
        seen = self.total.files + len(self.binary) + len(self.failed)
        return seen == self.done == len(self.found.paths)

    def outcome(self):
        """All that must not depend on who did the work."""
        total = self.total
        numbers = (total.files, total.empty, total.lines, total.words, total.bytes)
        return numbers, sorted(self.binary), sorted(self.failed), self.identifiers

    def top(self, most):
        """The most frequent identifiers; those of one frequency by name."""
        return nsmallest(
            most, self.identifiers.items(), key=lambda item: (-item[1], item[0])
        )
