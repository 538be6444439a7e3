"""Tell how far it is, and in the end what came out: on a terminal and in a log."""

import os
import sys
import time
from collections import Counter

LISTED = 20


def name(path):
    """A path as text that is safe to print, whatever bytes are in it."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class Progress:
    """A bar on a terminal, which moves; else a line at each tenth."""

    WIDTH = 32

    def __init__(self, work):
        self.work = work
        self.live = sys.stdout.isatty()
        self.shown = 0.0

    def __enter__(self):
        print(f"{workers_text(self.work.count)}:", flush=True)
        self.work.begin()
        return self

    def __exit__(self, *details):
        """Leave the terminal's line as it should stay."""
        if self.live:
            self.bar(self.share)
            print(flush=True)

    @property
    def share(self):
        return self.work.done_weight / max(self.work.weight, 1)

    def update(self):
        share = self.share
        if self.live:
            if time.monotonic() - self.shown >= 0.05:
                self.shown = time.monotonic()
                self.bar(share)
        elif int(share * 10) > self.shown:
            self.shown = int(share * 10)
            print(f"  {self.text(share)}", flush=True)

    def bar(self, share):
        full = int(share * self.WIDTH)
        bar = "█" * full + "░" * (self.WIDTH - full)
        print(f"\r  {bar} {self.text(share)} ", end="", flush=True)

    def text(self, share):
        work = self.work
        speed = work.total.bytes / 1e6 / max(work.now(), 1e-9)
        return (
            f"{share:4.0%}  {work.done:,} of {len(work.found.paths):,} files"
            f"  {speed:.1f} MB/s"
        )


def workers_text(count):
    return f"{count} worker" + ("s" if count != 1 else "")


def announce(found):
    """Tell what there is to do; False if that is nothing."""
    print(f"{found.count:,} files, {sum(found.sizes) / 1e6:,.1f} MB, below")
    for root in found.roots:
        print(f"  {name(root)}", flush=True)
    for path, why in [] if found.paths else found.failed + found.skipped:
        print(f"  {name(path)}: {why}")
    if not found.paths:
        print("scan.py: there is no file to scan", file=sys.stderr)
    return bool(found.paths)


def stopped(passes):
    """After Ctrl-C: tell how far it came."""
    done = sum(work.done for work in passes)
    if passes:
        print(f"stopped after {done:,} of {2 * len(passes[0].found.paths):,} scans")
    else:
        print("stopped while looking for files")


def report(many, one):
    """Print the tables.  True if nothing was lost and both passes agree."""
    workers(many)
    identifiers(many)
    print(f"\n{speed(many)}\n{speed(one)}")
    print(f"speed-up           {one.seconds / max(many.seconds, 1e-9):7.2f}")
    problems(many)
    same = many.outcome() == one.outcome()
    return sums(many, one) and same_text(same)


def workers(work):
    print(f"\n{'':10} {'files':>9} {'lines':>12} {'words':>12} {'MB':>9} {'busy':>6}")
    for number, totals in enumerate(work.workers, 1):
        row(f"worker {number}", totals, totals.busy / max(work.seconds, 1e-9))
    total = work.total
    row("all", total, total.busy / max(work.seconds, 1e-9) / work.count)


def row(title, totals, busy):
    print(
        f"{title:10} {totals.files:9,} {totals.lines:12,} {totals.words:12,}"
        f" {totals.bytes / 1e6:9.2f} {busy:6.0%}"
    )


def identifiers(work):
    print(f"\n{len(work.identifiers):,} different identifiers; the most frequent:")
    top = work.top(12)
    half = (len(top) + 1) // 2
    for left, right in zip(top[:half], top[half:] + [("", None)]):
        line = f"  {left[0]:24} {left[1]:9,}"
        if right[1] is not None:
            line += f"    {right[0]:24} {right[1]:9,}"
        print(line)


def speed(work):
    return f"{workers_text(work.count):18} {work.seconds:7.2f} s {work.speed:8.1f} MB/s"


def problems(work):
    """What was not scanned, and why."""
    found = work.found
    reasons = Counter(why for _, why in found.skipped)
    if work.binary:
        reasons["binary"] = len(work.binary)
    if reasons:
        print("\nskipped: " + ", ".join(f"{n:,} {why}" for why, n in reasons.items()))
    if work.total.empty:
        print(f"empty: {work.total.empty:,}")
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
