"""Workers and queues in a loop of asyncio."""

import asyncio
import gc
import os
import threading

import pytest

import bridge
from bridge import aio
from conftest import SERVICE


def run(main):
    return asyncio.run(asyncio.wait_for(main, 60))


def test_async_for_ends_when_the_queue_is_closed():
    async def main():
        queue = bridge.Queue(waker="eventfd")
        worker = bridge.Worker(
            "local q = ... for i = 1, 2000 do q:push(i) end q:close()", queue
        )
        seen = [value async for value in queue]
        worker.join(timeout=30)
        return seen

    assert run(main()) == list(range(1, 2001))


@pytest.mark.parametrize("kind", ["default", "eventfd", "pipe", "udp"])
def test_every_kind_with_a_descriptor_wakes_the_loop(kind):
    async def main():
        queue = bridge.Queue(waker=kind)
        seen = []
        for i in range(20):
            loop = asyncio.get_running_loop()
            loop.run_in_executor(None, queue.push, i)
            seen.append(await queue.apop(timeout=30))
        return seen

    assert run(main()) == list(range(20))


def test_a_condition_cannot_wake_a_loop():
    async def main():
        with pytest.raises(bridge.Unsupported, match="eventfd"):
            await bridge.Queue().apop()

    run(main())


def test_apop_asks_waits_and_times_out(queue):
    async def main():
        with pytest.raises(bridge.Empty):
            await queue.apop(timeout=0)
        with pytest.raises(bridge.Timeout):
            await queue.apop(timeout=0.01)
        queue.push(1)
        assert await queue.apop() == 1
        queue.close()
        with pytest.raises(bridge.Closed):
            await queue.apop()

    run(main())


@pytest.mark.parametrize(
    ("timeout", "error"),
    [("x", TypeError), (-1, bridge.InvalidError), (float("nan"), bridge.InvalidError)],
)
def test_a_time_out_that_is_none_is_an_error(queue, service, timeout, error):
    async def main():
        for wait in (queue.apop(timeout), service.acall("echo", timeout=timeout)):
            with pytest.raises(error, match="timeout is None or seconds"):
                await wait

    run(main())


def test_a_time_out_says_the_same_everywhere(queue, service):
    # Of a call the handler may be first to say it, and where it was stopped.
    stopped = "the time that the caller gave is over"

    async def main():
        for wait in (queue.apop(0.01), service.acall("sleep", 30, timeout=0.01)):
            with pytest.raises(bridge.Timeout) as caught:
                await wait
            texts.add(caught.value.message)

    texts = set()
    run(main())
    for wait in (
        lambda: queue.pop(0.01),
        lambda: queue.waker.wait(0.01),
        lambda: service.call("sleep", 30, timeout=0.01),
        lambda: service.join(0.01),
    ):
        with pytest.raises(bridge.Timeout) as caught:
            wait()
        texts.add(caught.value.message)
    service.cancel()
    assert len(texts - {stopped}) == 1, texts


def test_a_cancelled_apop_loses_nothing(queue):
    async def main():
        task = asyncio.ensure_future(queue.apop())
        await asyncio.sleep(0)
        task.cancel()
        queue.push("kept")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await queue.apop(timeout=30) == "kept"

    run(main())


def test_two_tasks_cannot_wait_for_one_queue(queue):
    async def main():
        task = asyncio.ensure_future(queue.apop())
        await asyncio.sleep(0)
        with pytest.raises(bridge.Busy):
            await queue.apop()
        queue.push("first")
        assert await task == "first"

    run(main())


def test_a_loop_that_breaks_leaves_what_it_did_not_get(queue):
    async def main():
        for i in range(1000):
            queue.push(i)
        seen = []
        for stop in (0, 1, 300, 301, 999):
            async for value in queue:
                seen.append(value)
                if value == stop:
                    break
            assert len(queue) == 999 - stop
            assert seen == list(range(stop + 1))
        queue.push("last")
        assert await queue.apop() == "last"

    run(main())


def test_a_loop_that_fails_leaves_what_it_did_not_get(queue):
    async def main():
        for i in range(10):
            queue.push(i)
        with pytest.raises(ZeroDivisionError):
            async for value in queue:
                1 / value
        assert queue.pop_batch(20) == list(range(1, 10))

    run(main())


def test_what_python_cannot_have_stays_in_front(queue):
    async def main():
        queue.push(1)
        bridge.Worker("(...):push(print)", queue).join(timeout=30)
        queue.push(3)
        messages = queue.__aiter__()
        assert await messages.__anext__() == 1
        for _ in range(2):
            with pytest.raises(bridge.NotShareableError):
                await messages.__anext__()
            assert len(queue) == 2
        with pytest.raises(bridge.NotShareableError):
            await queue.apop()
        with pytest.raises(bridge.NotShareableError):
            await queue.apop_batch(5)
        assert queue.discard()
        assert await messages.__anext__() == 3

    run(main())


def test_a_full_queue_does_not_starve_other_tasks(queue):
    async def main():
        turns = 0

        async def other():
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        task = asyncio.ensure_future(other())
        for i in range(10_000):
            queue.push(i)
        queue.close()
        async for _ in queue:
            pass
        task.cancel()
        return turns

    assert run(main()) >= 10_000 // 256


def test_a_cancelled_loop_loses_nothing(queue):
    async def main():
        seen = []

        async def read():
            async for value in queue:
                seen.append(value)

        for cancel_at in range(20):
            task = asyncio.ensure_future(read())
            queue.push(cancel_at)
            for _ in range(cancel_at % 5):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        while len(queue):
            seen.append(await queue.apop())
        assert seen == list(range(20))

    run(main())


def test_messages_end_with_the_queue_and_not_before(queue):
    async def main():
        messages = queue.__aiter__()
        assert messages.__aiter__() is messages
        waiting = asyncio.ensure_future(messages.__anext__())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not waiting.done()
        queue.push("one")
        assert await waiting == "one"
        queue.push("two")
        queue.close()
        assert await messages.__anext__() == "two"
        for _ in range(2):
            with pytest.raises(StopAsyncIteration):
                await messages.__anext__()

    run(main())


def test_apop_batch_takes_what_is_there(queue):
    async def main():
        with pytest.raises(bridge.Empty):
            await queue.apop_batch(5, timeout=0)
        with pytest.raises(bridge.Timeout):
            await queue.apop_batch(5, timeout=0.01)
        for i in range(8):
            queue.push(i)
        assert await queue.apop_batch(5) == [0, 1, 2, 3, 4]
        assert await queue.apop_batch(5, timeout=1) == [5, 6, 7]
        waiting = asyncio.ensure_future(queue.apop_batch(5))
        await asyncio.sleep(0)
        queue.push("x")
        assert await waiting == ["x"]
        for limit, error in ((0, bridge.InvalidError), ("x", TypeError)):
            with pytest.raises(error):
                await queue.apop_batch(limit)
        queue.close()
        with pytest.raises(bridge.Closed):
            await queue.apop_batch(5)

    run(main())


def test_async_for_needs_a_descriptor():
    async def main():
        queue = bridge.Queue()
        queue.push(1)
        with pytest.raises(bridge.Unsupported, match="eventfd"):
            async for _ in queue:
                pass
        assert len(queue) == 1

    run(main())


def test_add_reader_works_by_hand(queue):
    async def main():
        loop = asyncio.get_running_loop()
        seen = []
        done = loop.create_future()

        def ready():
            try:
                while True:
                    seen.append(queue.pop(timeout=0))
            except bridge.Empty:
                if len(seen) == 100 and not done.done():
                    done.set_result(None)

        loop.add_reader(queue, ready)
        bridge.Worker("local q = ... for i = 1, 100 do q:push(i) end", queue)
        await done
        loop.remove_reader(queue)
        return seen

    assert run(main()) == list(range(1, 101))


# ---- Calls


def test_a_thousand_calls_at_once():
    async def main():
        async with bridge.Worker(SERVICE) as worker:
            calls = [worker.acall("echo", i) for i in range(1000)]
            return await asyncio.gather(*calls)

    assert run(main()) == list(range(1000))


def test_calls_that_wait_overlap():
    async def main():
        async with bridge.Worker(SERVICE) as worker:
            calls = [worker.acall("sleep", 0.2) for _ in range(50)]
            return await asyncio.wait_for(asyncio.gather(*calls), 0.2 * 25)

    assert run(main()) == ["slept"] * 50


def test_each_failure_is_its_own_error():
    async def main():
        async with bridge.Worker(SERVICE, name="service") as worker:
            with pytest.raises(bridge.NotFound):
                await worker.acall("unheard")
            with pytest.raises(bridge.LuaError) as caught:
                await worker.acall("fail", [1])
            assert caught.value.value == [1]
            with pytest.raises(bridge.NotShareableError):
                await worker.acall("echo", object())
            with pytest.raises(bridge.Timeout):
                await worker.acall("sleep", 30, timeout=0.01)
            with pytest.raises(TypeError):
                await worker.acall(3)
            assert await worker.acall("echo", "on") == "on"
        with pytest.raises((bridge.Closed, bridge.WorkerDied)):
            await worker.acall("echo", 1)

    run(main())


def test_a_cancelled_call_is_forgotten():

    async def main():
        async with bridge.Worker(SERVICE) as worker:
            tasks = [asyncio.ensure_future(worker.acall("sleep", 0.05)) for _ in range(20)]
            await asyncio.sleep(0.01)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(each, asyncio.CancelledError) for each in results)
            answers = aio._answers_of(asyncio.get_running_loop())
            assert answers.waiting == {}
            assert await worker.acall("sleep", 0.1) == "slept"
            assert answers.waiting == {}

    run(main())


def test_ajoin_gives_what_join_gives():
    async def main():
        worker = bridge.Worker("local q = ... return q:pop(), 2", bridge.Queue())
        for timeout in (0, 0.01):
            with pytest.raises(bridge.Timeout):
                await worker.ajoin(timeout=timeout)
        with pytest.raises(bridge.InvalidError):
            await worker.ajoin(timeout=-1)
        waits = asyncio.ensure_future(worker.ajoin())
        await asyncio.sleep(0)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        worker.cancel()
        with pytest.raises(bridge.Cancelled):
            await worker.ajoin(timeout=30)
        assert await bridge.Worker("return 1, 'two'").ajoin() == (1, "two")
        with pytest.raises(bridge.LuaError, match="oh"):
            await bridge.Worker("error('oh', 0)").ajoin()

    run(main())


def test_ajoin_is_told_of_the_end_and_looks_at_nothing_meanwhile():
    async def main():
        loop = asyncio.get_running_loop()
        worker = bridge.Worker("local q = ... return q:pop()", up := bridge.Queue())
        waits = [asyncio.ensure_future(worker.ajoin()) for _ in range(3)]
        await asyncio.sleep(0.02)
        assert not [each for each in loop._scheduled if not each.cancelled()]
        waits.pop().cancel()
        up.push(7)
        assert await asyncio.gather(*waits) == [7, 7]
        answers = aio._answers_of(loop)
        assert answers.waiting == {}

    asyncio.run(main())


def test_ajoin_of_one_that_was_given_up(tmp_path):
    async def main():
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        worker = bridge.Worker("io.open((...)):read()", str(pipe))
        waits = asyncio.ensure_future(worker.ajoin())
        with pytest.raises(bridge.Lost):
            await worker.aclose(grace=0)
        with pytest.raises(bridge.Lost):
            await waits
        with pytest.raises(bridge.Lost):
            await worker.ajoin()
        with open(pipe, "w"):  # now it comes back
            while worker.alive:
                await asyncio.sleep(0.001)

    run(main())


def test_a_wait_for_a_worker_is_left_by_ctrl_c(python):
    program = """
import asyncio, bridge, os, signal, threading
w = bridge.Worker("while true do end")
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    asyncio.run(w.ajoin())
except KeyboardInterrupt:
    print("left")
"""
    assert python(program).stdout == "left\n"


def test_areceive_of_many_tasks_gives_each_message_to_one():
    async def main():
        channel = bridge.Channel(items=2)
        seen = []

        async def take():
            async for value in channel:
                seen.append(value)

        tasks = [asyncio.ensure_future(take()) for _ in range(5)]
        worker = bridge.Worker(
            "local c = ... for i = 1, 500 do c:send(i) end c:close()", channel
        )
        await asyncio.gather(*tasks)
        await worker.ajoin(timeout=30)
        assert sorted(seen) == list(range(1, 501))

    run(main())


def test_areceive_asks_waits_and_ends_as_receive_does():
    async def main():
        channel = bridge.Channel()
        with pytest.raises(bridge.Empty):
            await channel.areceive(timeout=0)
        with pytest.raises(bridge.Timeout):
            await channel.areceive(timeout=0.01)
        with pytest.raises(bridge.InvalidError):
            await channel.areceive(timeout=-1)
        channel.send(1, 2)
        assert await channel.areceive(timeout=0) == (1, 2)
        waits = asyncio.ensure_future(channel.areceive())
        await asyncio.sleep(0)
        channel.wake()
        with pytest.raises(bridge.Empty, match="woken"):
            await waits
        waits = asyncio.ensure_future(channel.areceive())
        await asyncio.sleep(0)
        channel.close()
        with pytest.raises(bridge.Closed):
            await waits

    run(main())


def test_a_cancelled_areceive_loses_nothing_and_leaves_it_to_others():
    async def main():
        channel = bridge.Channel()
        for i in range(50):
            tasks = [asyncio.ensure_future(channel.areceive()) for _ in range(2)]
            await asyncio.sleep(0)
            channel.send(i)  # the first one is told
            if i % 2:
                await asyncio.sleep(0)
            tasks[0].cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            got = [each for each in done if each == i]
            if isinstance(done[0], asyncio.CancelledError):
                assert got == [i]
            else:
                tasks[1].cancel()
        assert len(channel) == 0

    async def first_done():
        channel = bridge.Channel()
        for i in range(20):
            channel.send(i)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(bridge.Channel().areceive(), 0.001)
            assert await asyncio.wait_for(channel.areceive(), 30) == i

    run(first_done())
    run(main())


def test_asend_waits_for_room():
    async def main():
        channel = bridge.Channel(items=1)
        await channel.asend("first")
        with pytest.raises(bridge.Full):
            await channel.asend("no", timeout=0)
        with pytest.raises(bridge.Timeout):
            await channel.asend("no", timeout=0.01)
        with pytest.raises(bridge.Full):
            await bridge_full("fail").asend("no")
        waits = [asyncio.ensure_future(channel.asend(i)) for i in range(3)]
        await asyncio.sleep(0)
        waits[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits[1]
        got = [await channel.areceive(timeout=30) for _ in range(3)]
        assert got == ["first", 0, 2]
        await asyncio.gather(waits[0], waits[2])
        with pytest.raises(bridge.NotShareableError):
            await channel.asend(object())
        await channel.asend("last")
        waits = asyncio.ensure_future(channel.asend("never"))
        await asyncio.sleep(0)
        channel.close()
        with pytest.raises(bridge.Closed):
            await waits

    def bridge_full(policy):
        channel = bridge.Channel(items=1, full=policy)
        channel.send("there")
        return channel

    run(main())


def test_aselect_takes_what_stands_first_of_channels_and_queues(queue):
    async def main():
        channel = bridge.Channel()
        sources = [queue, channel]
        with pytest.raises(bridge.Empty):
            await bridge.aselect(sources, timeout=0)
        with pytest.raises(bridge.Timeout):
            await bridge.aselect(sources, timeout=0.01)
        for i in range(20):
            waits = asyncio.ensure_future(bridge.aselect(sources))
            await asyncio.sleep(0)
            if i % 2:
                channel.send(i)
            else:
                queue.push(i)
            assert await waits == (i % 2, i)
        channel.send("later")
        queue.push("sooner")
        assert await bridge.aselect(sources) == (0, "sooner")
        assert await bridge.aselect(sources) == (1, "later")
        waits = asyncio.ensure_future(bridge.aselect(sources))
        await asyncio.sleep(0)
        with pytest.raises(bridge.Busy):
            await queue.apop()
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        queue.push(1)
        assert await queue.apop() == 1
        for wrong in (queue, channel):
            with pytest.raises(TypeError, match="list of queues"):
                await bridge.aselect(wrong)
        with pytest.raises(bridge.Unsupported, match="eventfd"):
            await bridge.aselect([bridge.Queue()])

    run(main())


def turns_of(monkeypatch):
    """Counts how often somebody asks to be told."""
    turns = []
    make = aio._Change.__init__

    def init(self):
        turns.append(self)
        make(self)

    monkeypatch.setattr(aio._Change, "__init__", init)
    return turns


async def many_turns():
    for _ in range(200):
        await asyncio.sleep(0)


def test_senders_for_whom_room_is_too_small_wait_without_turns(monkeypatch):
    async def main():
        channel = bridge.Channel(items=10, bytes=1000)
        channel.send("x" * 300)
        channel.send("x" * 300)
        large = [asyncio.ensure_future(channel.asend("y" * 800)) for _ in range(2)]
        await many_turns()
        channel.receive()
        await many_turns()
        assert len(turns) <= 6
        await channel.asend("z" * 100)
        for _ in range(4):
            await channel.areceive(timeout=30)
        await asyncio.gather(*large)

    turns = turns_of(monkeypatch)
    run(main())


@pytest.mark.parametrize("other", [bridge.Channel, lambda: bridge.Queue(waker="pipe")])
def test_aselect_waits_without_turns_beside_what_is_closed(queue, other, monkeypatch):
    async def main():
        beside = other()
        waits = asyncio.ensure_future(bridge.aselect([queue, beside]))
        await many_turns()
        queue.push(1)
        queue.close()
        assert await waits == (0, 1)
        waits = asyncio.ensure_future(bridge.aselect([queue, beside]))
        del turns[:]
        await many_turns()
        assert len(turns) <= 2
        beside.close()
        with pytest.raises(bridge.Closed):
            await waits

    turns = turns_of(monkeypatch)
    run(main())


def test_a_loop_whose_answers_were_closed_gets_others():
    async def main():
        async with bridge.Worker(SERVICE) as worker:
            assert await worker.acall("echo", 1) == 1
            waits = asyncio.ensure_future(bridge.Channel().areceive())
            await asyncio.sleep(0)
            aio._answers[asyncio.get_running_loop()].queue.close()
            with pytest.raises(bridge.Closed):
                await asyncio.wait_for(waits, 30)
            assert await worker.acall("echo", 2, timeout=30) == 2

    run(main())


def test_atraceback_tells_where_it_is(spinning):
    async def main():
        async with spinning() as worker:
            stack = await worker.atraceback()
            assert "main chunk" in stack.text
            assert stack.frames[0].line == 1
            with pytest.raises(bridge.InvalidError):
                await worker.atraceback(timeout=-1)
            await worker.aclose(grace=0.05)
            with pytest.raises(bridge.WorkerDied):
                await worker.atraceback()

    run(main())


def test_aclose_lets_the_loop_go_on(service, spinning):
    async def main():
        await service.aclose()
        assert service.phase == "ended"
        worker = spinning()
        turns = 0
        close = asyncio.ensure_future(worker.aclose(grace=0.05))
        while not close.done():
            await asyncio.sleep(0)
            turns += 1
        await close
        assert turns > 10
        waits = bridge.Worker("local q = ... q:pop()", up := bridge.Queue())
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(waits.aclose(grace=None), 0.02)
        up.push(1)
        await waits.aclose(grace=None)
        assert waits.phase == "ended"

    run(main())


SPINS = """return require "bridge".serve {
  spin = function(started) started:push(true) while true do end end,
  add = function(a, b) return a + b end }"""


def test_a_cancelled_call_stops_its_handler(queue):
    async def main():
        async with bridge.Worker(SPINS) as worker:
            call = asyncio.ensure_future(worker.acall("spin", queue))
            await queue.apop()
            waits = asyncio.ensure_future(worker.acall("spin", queue))
            await asyncio.sleep(0)
            for task in (waits, call):
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(worker.acall("spin", queue), 0.05)
            assert await worker.acall("add", 1, 2, timeout=30) == 3

    run(main())


def test_a_full_inbox_makes_calls_wait_for_room():
    async def main():
        async with bridge.Worker(SERVICE, inbox_items=2) as worker:
            return await asyncio.gather(*(worker.acall("echo", i) for i in range(200)))

    assert run(main()) == list(range(200))


def test_a_full_inbox_fails_in_time():
    async def main():
        hold = bridge.Queue()
        worker = bridge.Worker("local q = ... q:pop()", hold, inbox_items=1)
        worker.send("x")
        with pytest.raises((bridge.Full, bridge.Timeout)):
            await worker.acall("y", timeout=0)
        with pytest.raises((bridge.Full, bridge.Timeout)):
            await worker.acall("y", timeout=0.02)
        hold.push(1)
        worker.join(timeout=30)

    run(main())


def test_a_worker_that_dies_says_so():
    async def main():
        hold = bridge.Queue()
        worker = bridge.Worker("local q = ... q:pop() error('dead')", hold)
        task = asyncio.ensure_future(worker.acall("x"))
        await asyncio.sleep(0)
        hold.push(1)
        with pytest.raises((bridge.WorkerDied, bridge.Closed)):
            await task

    run(main())


def test_closing_does_not_hold_up_the_loop():
    async def main():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.005)
                ticks += 1

        ticker = asyncio.ensure_future(tick())
        worker = bridge.Worker(
            "local bridge = require 'bridge' local up = ... up:push(1)\n"
            "while not bridge.cancelled() do end",
            up := bridge.Queue(waker="eventfd"),
        )
        async with worker:
            await up.apop()
            before = ticks
            # It does not heed stop, so that closing waits for the grace.
            closing = asyncio.ensure_future(
                asyncio.get_running_loop().run_in_executor(None, worker.close, 0.2)
            )
            await closing
        ticker.cancel()
        assert ticks - before >= 5
        assert not worker.alive

    run(main())


def test_loops_of_several_threads_have_their_own_answers():
    worker = bridge.Worker(SERVICE)
    wrong = []

    def loop(who):
        async def main():
            for i in range(100):
                if await worker.acall("echo", who, i) != (who, i):
                    wrong.append((who, i))

        run(main())

    threads = [threading.Thread(target=loop, args=(who,)) for who in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    worker.close()


def test_a_loop_that_ends_leaves_nothing_behind():
    import os


    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    async def main():
        async with bridge.Worker(SERVICE) as worker:
            assert await worker.acall("echo", 1) == 1

    run(main())
    gc.collect()
    before = descriptors()
    for _ in range(20):
        run(main())
    gc.collect()
    assert descriptors() <= before
    assert len(aio._answers) <= 1


# ---- By hand


@pytest.mark.parametrize("kind", ["eventfd", "pipe", "udp"])
def test_a_waker_wakes_a_loop(kind):
    async def main():
        loop = asyncio.get_running_loop()
        waker = bridge.Waker(kind)
        seen = asyncio.Semaphore(0)

        def ready():
            waker.clear()
            seen.release()

        loop.add_reader(waker, ready)
        for _ in range(20):
            await loop.run_in_executor(None, waker.raise_)
            await seen.acquire()
        loop.remove_reader(waker)
        waker.close()

    run(main())


def test_a_loop_drives_a_worker():
    async def main():
        loop = asyncio.get_running_loop()
        worker = bridge.Worker(SERVICE, drive="host")
        timers = []

        def step():
            while timers:
                timers.pop().cancel()
            while worker.step():
                pass
            wait = worker.timeout()
            if wait is not None:
                timers.append(loop.call_later(wait, step))

        loop.add_reader(worker, step)
        step()
        answers = await asyncio.gather(
            worker.acall("sleep", 0.03), *(worker.acall("echo", i) for i in range(100))
        )
        loop.remove_reader(worker)
        worker.close()
        return answers

    assert run(main()) == ["slept", *range(100)]
