"""Tell how far it is, and in the end what came out: on a terminal and in a log."""

import os
import shutil
import sys
import time
from collections import Counter

LISTED = 20


def name(path):
    """A path as text that is safe to print, whatever bytes are in it."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def plural(count, noun):
    """So many of them, as in: 1 file, 2 files."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def size(count):
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else plural(count, "byte")


class Progress:
    """A bar on a terminal, which moves; else a line at each tenth."""

    WIDTH = 32

    def __init__(self, work):
        self.work = work
        self.live = sys.stdout.isatty()
        self.shown = 0.0

    def __enter__(self):
        print(f"{plural(self.work.count, 'worker')}:", flush=True)
        self.work.begin()
        return self

    def __exit__(self, *details):
        """Leave the terminal's line as it should stay."""
        if self.live:
            self.bar()
            print(flush=True)

    def update(self):
        if self.live:
            if time.monotonic() - self.shown >= 0.05:
                self.shown = time.monotonic()
                self.bar()
        elif self.tenth > self.shown:
            self.shown = self.tenth
            print(f"  {self.text()}", flush=True)

    @property
    def tenth(self):
        return 10 * self.work.done // len(self.work.found.paths)

    def bar(self):
        """In one line of the terminal, however narrow that is."""
        columns = shutil.get_terminal_size().columns - 1
        text = self.text()
        width = min(self.WIDTH, columns - len(text) - 3)
        if width >= 4:
            full = width * self.work.done // len(self.work.found.paths)
            text = "█" * full + "░" * (width - full) + " " + text
        print("\r" + f"  {text}".ljust(columns)[:columns], end="", flush=True)

    def text(self):
        work, files = self.work, len(self.work.found.paths)
        text = f"{100 * work.done // files:3}%  {work.done:,} of {plural(files, 'file')}"
        if work.timed:
            text += f"  {work.total.bytes / 1e6 / work.now():.1f} MB/s"
        return text


def announce(found):
    """Tell what there is to do; False if that is nothing."""
    print(f"{plural(len(found.paths), 'file')}, {size(sum(found.sizes))}, below")
    for root in found.roots:
        print(f"  {name(root)}", flush=True)
    if found.skipped:
        print(f"left out: {reasons(found.skipped)}")
    if found.failed:
        print(f"cannot be looked at: {len(found.failed):,}", flush=True)
    for path, why in [] if found.paths else found.failed + found.skipped:
        print(f"  {name(path)}: {why}")
    if not found.paths:
        print("scan.py: there is no file to scan", file=sys.stderr)
    return bool(found.paths)


def stopped(passes):
    """After Ctrl-C: tell how far it came."""
    if passes:
        done = sum(work.done for work in passes)
        print(f"stopped after {done:,} of {2 * len(passes[0].found.paths):,} scans")
    else:
        print("stopped while looking for files")


def report(many, one):
    """Print the tables.  True if nothing was lost and both passes agree."""
    workers(many)
    identifiers(many)
    speeds(many, one)
    problems(many)
    same = many.outcome() == one.outcome()
    return sums(many, one) and same_text(same)


def workers(work):
    print(f"\n{'':10} {'files':>9} {'lines':>12} {'words':>12} {'MB':>9} {'CPU':>6}")
    for number, totals in enumerate(work.workers):
        row(f"worker {number + 1}", totals, work.share(number))
    row("all", work.total, work.share(*range(work.count)))
    if work.share(0) is not None:
        print("CPU: the part of the time in which a worker was on a processor")


def row(title, totals, share):
    print(
        f"{title:10} {totals.files:9,} {totals.lines:12,} {totals.words:12,}"
        f" {totals.bytes / 1e6:9.2f} {'-' if share is None else f'{share:.0%}':>6}"
    )


def identifiers(work):
    count = plural(len(work.identifiers), "different identifier")
    print(f"\n{count}" + ("; the most frequent:" if work.identifiers else ""))
    top = work.top(12)
    half = (len(top) + 1) // 2
    for left, right in zip(top[:half], top[half:] + [("", None)]):
        line = f"  {left[0]:24} {left[1]:9,}"
        if right[1] is not None:
            line += f"    {right[0]:24} {right[1]:9,}"
        print(line)


def speeds(many, one):
    if not (many.timed and one.timed):
        print("\ntoo little text to time")
        return
    print(f"\n{speed(many)}\n{speed(one)}")
    if many.count > 1:
        print(f"speed-up           {one.seconds / many.seconds:7.2f}")


def speed(work):
    title = plural(work.count, "worker")
    return f"{title:18} {work.seconds:7.2f} s {work.speed:8.1f} MB/s"


def reasons(skipped):
    counted = Counter(why for _, why in skipped)
    return ", ".join(plural(count, why) for why, count in counted.items())


def problems(work):
    """What was not scanned, and why; and what is strange."""
    found = work.found
    skipped = found.skipped + [("", "binary file")] * len(work.binary)
    if skipped:
        print(f"\nskipped: {reasons(skipped)}")
    if work.total.empty:
        print(f"empty: {work.total.empty:,}")
    if found.odd:
        verb = "is" if found.odd == 1 else "are"
        print(f"{plural(found.odd, 'name')} that {verb} not UTF-8")
    failed = found.failed + [(found.paths[i], why) for i, why in sorted(work.failed)]
    if failed:
        print(f"failed: {len(failed):,}")
    for path, why in failed[:LISTED]:
        print(f"  {name(path)}: {name(why)}")
    if len(failed) > LISTED:
        print(f"  and {len(failed) - LISTED:,} more")


def sums(many, one):
    """Every file that was found must be somewhere."""
    found = many.found
    scanned = many.total.files
    skipped = len(found.skipped) + len(many.binary)
    failed = len(found.failed) + len(many.failed)
    whole = found.count == scanned + skipped + failed
    print(
        f"\nfound {found.count:,} = {scanned:,} scanned + {skipped:,} skipped"
        f" + {failed:,} failed" + ("" if whole else ": WRONG")
    )
    return whole and many.complete and one.complete


def same_text(same):
    print("both passes agree" if same else "THE PASSES DIFFER: did files change?")
    return same
