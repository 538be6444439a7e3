"""Millions of messages a second into a loop of asyncio, or as near to it as the
peer comes.  loop.py WHAT"""

import asyncio
import concurrent.futures
import queue
import sys
import threading
import time

#: A worker of Lua that pushes as fast as it is let.
PUSH = """
local queue, count, value = ...
if value then
  for _ = 1, count do queue:push(value) end
else
  for i = 1, count do queue:push(i) end
end
queue:close()
"""
MANY = 300_000
FEW = 30_000
TEXT = "x" * 20


def rate(count, begin):
    return count / (time.perf_counter() - begin) / 1e6


def of_bridge(receive, value=None):
    import bridge

    async def main():
        messages = bridge.Queue(waker="default")
        begin = time.perf_counter()
        worker = bridge.Worker(PUSH, messages, MANY, value)
        seen = await receive(messages)
        result = rate(MANY, begin)
        worker.join()
        assert seen == MANY, seen
        return result

    return asyncio.run(main())


async def by_for(messages):
    seen = 0
    async for _ in messages:
        seen += 1
    return seen


async def by_apop(messages):
    import bridge

    seen = 0
    try:
        while True:
            await messages.apop()
            seen += 1
    except bridge.Closed:
        return seen


async def by_batch(messages):
    import bridge

    seen = 0
    try:
        while True:
            for _ in await messages.apop_batch(256):
                seen += 1
    except bridge.Closed:
        return seen


def of_thread(main, push):
    """A thread of Python pushes; its start counts, as a worker's does."""
    thread = threading.Thread(target=push)
    begin = time.perf_counter()
    thread.start()
    seen = main()
    result = rate(FEW, begin)
    thread.join()
    assert seen == FEW, seen
    return result


def call_soon():
    async def main():
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        seen = 0

        def receive(_):
            nonlocal seen
            seen += 1
            if seen == FEW:
                done.set_result(None)

        def push():
            for i in range(FEW):
                loop.call_soon_threadsafe(receive, i)

        thread = threading.Thread(target=push)
        begin = time.perf_counter()
        thread.start()
        await done
        result = rate(FEW, begin)
        thread.join()
        return result

    return asyncio.run(main())


def asyncio_queue():
    async def main():
        loop = asyncio.get_running_loop()
        messages = asyncio.Queue()

        def push():
            for i in range(FEW):
                loop.call_soon_threadsafe(messages.put_nowait, i)

        thread = threading.Thread(target=push)
        begin = time.perf_counter()
        thread.start()
        for _ in range(FEW):
            await messages.get()
        result = rate(FEW, begin)
        thread.join()
        return result

    return asyncio.run(main())


def simple_queue():
    """No loop: the thread that receives does nothing else."""
    messages = queue.SimpleQueue()

    def push():
        for i in range(FEW):
            messages.put(i)

    def receive():
        return sum(messages.get() is not None for _ in range(FEW))

    return of_thread(receive, push)


def futures():
    async def main():
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            begin = time.perf_counter()
            count = FEW // 3
            waiting = [loop.run_in_executor(pool, int, i) for i in range(count)]
            await asyncio.gather(*waiting)
            return rate(count, begin)

    return asyncio.run(main())


WHAT = {
    "for": lambda: of_bridge(by_for),
    "for-text": lambda: of_bridge(by_for, TEXT),
    "apop": lambda: of_bridge(by_apop),
    "batch": lambda: of_bridge(by_batch),
    "call-soon": call_soon,
    "asyncio-queue": asyncio_queue,
    "simple-queue": simple_queue,
    "futures": futures,
}
print(WHAT[sys.argv[1]]())
