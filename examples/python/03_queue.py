#!/usr/bin/python3
"""Story 3: workers push into one queue, and the host waits for it in its own
event loop, here asyncio's.  Told in C and Lua, too."""

import asyncio

import bridge

WORKERS = 3
EACH = 1000

PRODUCER = """
local number, count, queue = ...
for step = 1, count do
  assert(queue:push(number, step))
end
"""


async def by_descriptor(queue, last):
    """Watch the descriptor of the queue's waker, as any event loop can."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def drain():
        """Pop until `Empty`: that promises that the next push makes the
        descriptor readable."""
        try:
            while True:
                number, step = queue.pop(timeout=0)
                # First in, first out, for each who pushes.
                assert step == last[number] + 1
                last[number] = step
        except bridge.Empty:
            if sum(last) == WORKERS * EACH and not done.done():
                done.set_result(None)

    loop.add_reader(queue.fileno(), drain)
    try:
        await done
    finally:
        loop.remove_reader(queue.fileno())


async def by_iterating(queue, last):
    """The same, by what the bridge has for asyncio."""
    async for number, step in queue:
        assert step == last[number] + 1
        last[number] = step
        if sum(last) == WORKERS * EACH:
            queue.close()


async def main():
    for listen in (by_descriptor, by_iterating):
        # Bounded: who pushes into a full queue waits.
        queue = bridge.Queue(items=64, waker="default")
        workers = [bridge.Worker(PRODUCER, i, EACH, queue) for i in range(WORKERS)]
        last = [0] * WORKERS
        await listen(queue, last)
        for number, worker in enumerate(workers):
            worker.join()
            print(f"worker {number} pushed {last[number]} messages")
        assert last == [EACH] * WORKERS


asyncio.run(main())
