#!/usr/bin/python3
"""Scan folders of text with Lua workers on all cores.

    ./dev demo [FOLDER]             or          scan.py [FOLDER...]

Python finds the files and hands them to Lua workers, one for each core.  A worker
is a thread with a Lua state of its own; here it runs ../scan/scan.lua, which counts
the lines, words and identifiers of the files that it is given.  The results stream
back through one queue.  The queue's waker is a descriptor, which `async for` puts
into asyncio's loop like any socket: Python sleeps while there is nothing.

The files are scanned twice, by all workers and by one alone: that shows what the
cores are worth, and both must find the same.  All that concerns the bridge is in
scan() below; to find, to count and to draw is the business of scanning/.
"""

import asyncio
import contextlib
import sys
import time
from pathlib import Path

import bridge
import scanning

SCRIPT = Path(__file__).resolve().parent.parent / "scan" / "scan.lua"
IN_FLIGHT = 2  # batches that a worker has: the next one waits while it scans one


async def scan(work, progress):
    """Let `work.count` workers scan the files of `work`."""
    batches = scanning.batches(work.found)  # everybody takes from this one
    workers = []

    # It is bounded: workers that are faster than Python wait for Python.
    results = bridge.Queue(items=4096, waker="default")

    async def listen():
        """Take what comes, until the queue is closed and empty."""
        async for result in results:
            work.take(*result)
            progress.update()

    async def feed(number, worker):
        """Give a worker a batch, and the next one when it has answered."""
        for first, paths in batches:
            work.give(number, len(paths))
            await worker.acall("scan", first, paths)

    async def feed_all():
        each = list(enumerate(workers))
        await asyncio.gather(*(feed(*pair) for pair in each * IN_FLIGHT))
        await asyncio.gather(*(worker.acall("names") for worker in workers))
        results.close()

    try:
        for number in range(work.count):
            # The script finds its number and the queue in `...`.
            name = f"scanner-{number + 1}"
            worker = bridge.Worker(None, number, results, file=SCRIPT, name=name)
            workers.append(worker)
        await asyncio.gather(listen(), feed_all())
    finally:
        # After Ctrl-C, too: asyncio then cancels scan() where it waits.  A worker
        # that the system holds, in a file that never ends, is left behind.
        patience = time.monotonic() + 0.5
        for worker in workers:
            worker.cancel()
        for worker in workers:
            with contextlib.suppress(bridge.Error):
                worker.join(timeout=max(patience - time.monotonic(), 0))


def run(folders, count, picture):
    """Find, scan, tell.  Returns the exit status."""
    passes = []
    try:
        found = scanning.find(folders)
        if not scanning.announce(found):
            return 1
        passes = [scanning.Pass(found, count), scanning.Pass(found, 1)]
        scanning.read_ahead(found)
        for work in passes:
            with scanning.Progress(work) as progress:
                asyncio.run(scan(work, progress))
    except KeyboardInterrupt:
        scanning.stopped(passes)
        return 130
    well = scanning.report(*passes)
    scanning.draw(*passes, picture)
    print(f"picture: {picture}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(scanning.main(run, cores=bridge.cores(), errors=bridge.Error))
