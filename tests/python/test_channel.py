"""Channels, select, counters, flags, mutexes and timers in Python."""

import gc
import os
import select as system
import signal
import threading
import time

import bridge
import pytest

LONG = 20


# ---- Channel


def test_first_in_first_out():
    channel = bridge.Channel()
    channel.send(1)
    channel.send(2, "two")
    assert len(channel) == 2 and channel.bytes > 0
    assert channel.peek() == 1
    assert channel.receive() == 1
    assert channel.receive(0) == (2, "two")
    with pytest.raises(bridge.Empty):
        channel.receive(0)
    with pytest.raises(bridge.Empty):
        channel.peek()
    with pytest.raises(bridge.Timeout):
        channel.receive(0.001)
    with pytest.raises(bridge.InvalidError):
        channel.receive(-1)


def test_bounds_that_change():
    channel = bridge.Channel(items=2, bytes="1KiB", full="fail")
    assert channel.limit == (2, 1024)
    channel.send(1)
    channel.send(2)
    with pytest.raises(bridge.Full):
        channel.send(3)
    with pytest.raises(bridge.Timeout):
        channel.send(3, timeout=0.001)
    channel.set_limit(items=3)
    channel.send(3)
    channel.set_limit(bytes=2048)
    assert channel.limit == (3, 2048)
    with pytest.raises(bridge.LimitError):
        channel.send("x" * 5000)
    assert channel.receive_batch(2) == [1, 2]
    assert channel.clear() == 1
    assert channel.clear() == 0
    with pytest.raises(bridge.InvalidError):
        channel.set_limit(items=0)
    with pytest.raises(bridge.InvalidError):
        channel.receive_batch(0)


def test_drops_the_oldest():
    channel = bridge.Channel(items=1, full="drop_oldest")
    for i in range(4):
        channel.send(i)
    assert channel.dropped == 3
    assert channel.receive(0) == 3


def test_ends():
    channel = bridge.Channel()
    channel.send("a")
    channel.send("b")
    channel.close()
    channel.close()
    assert channel.closed
    with pytest.raises(bridge.Closed):
        channel.send("c")
    assert list(channel) == ["a", "b"]
    with bridge.Channel() as other:
        other.send(1)
        other.close("receiving")
        assert len(other) == 0
        with pytest.raises(bridge.Closed):
            other.receive()
    with pytest.raises(bridge.InvalidError):
        other.close("both")


def test_what_python_cannot_have_stays():
    channel = bridge.Channel()
    with bridge.Worker("local c = ... c:send(print) c:send('after')", channel) as w:
        w.join()
    for read in (channel.receive, channel.peek, lambda: channel.receive_batch(2)):
        with pytest.raises(bridge.NotShareableError):
            read()
    assert len(channel) == 2
    assert channel.discard()
    assert channel.receive(0) == "after"
    assert not channel.discard()


def test_many_workers_receive():
    work, results = bridge.Channel(items=4), bridge.Channel()
    source = "local i, o = ... for n in i:values() do o:send(n * 2) end"
    workers = [bridge.Worker(source, work, results) for _ in range(3)]
    for i in range(100):
        work.send(i)
    work.close()
    for worker in workers:
        worker.join()
    results.close()
    assert sorted(results) == [2 * i for i in range(100)]


def test_wake_ends_waits():
    channel = bridge.Channel()
    woken = []

    def wait():
        with pytest.raises(bridge.Empty, match="woken"):
            channel.receive()
        woken.append(True)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    while len(woken) < 3:
        channel.wake()
        time.sleep(0)
    for thread in threads:
        thread.join()


def test_a_wake_reaches_the_main_thread():
    channel = bridge.Channel()
    over = threading.Event()

    def wake():
        while not over.is_set():
            channel.wake()
            over.wait(0.01)

    thread = threading.Thread(target=wake)
    thread.start()
    with pytest.raises(bridge.Empty, match="woken"):
        channel.receive(LONG)
    over.set()
    thread.join()


def test_descriptor():
    channel = bridge.Channel(waker="pipe")
    assert channel.waker is not None and channel.waker.kind == "pipe"
    assert system.select([channel], [], [], 0)[0] == []
    channel.send(1)
    assert system.select([channel], [], [], 0)[0] == [channel]
    channel.receive(0)
    assert system.select([channel], [], [], 0)[0] == []
    with pytest.raises(bridge.Busy):
        bridge.Channel(waker=channel.waker)
    plain = bridge.Channel()
    assert plain.waker is None
    with pytest.raises(bridge.Unsupported):
        plain.fileno()
    with pytest.raises(TypeError):
        bridge.Channel(waker=7)


def test_ctrl_c_loses_nothing():
    channel = bridge.Channel()
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        channel.receive(LONG)
    channel.send(1)
    assert channel.receive(0) == 1


def test_peek_of_a_queue():
    queue = bridge.Queue()
    with pytest.raises(bridge.Empty):
        queue.peek()
    queue.push(1, 2)
    assert queue.peek() == (1, 2)
    assert len(queue) == 1
    queue.close()
    assert queue.pop() == (1, 2)
    with pytest.raises(bridge.Closed):
        queue.peek()


# ---- Select


def test_select_in_order_of_priority():
    high, low = bridge.Channel(), bridge.Queue()
    with pytest.raises(bridge.Empty):
        bridge.select([high, low], 0)
    with pytest.raises(bridge.Timeout):
        bridge.select([high, low], 0.001)
    low.push("low", 2)
    high.send("high")
    assert bridge.select([high, low]) == (0, "high")
    assert bridge.select((high, low)) == (1, ("low", 2))
    high.close()
    low.close()
    with pytest.raises(bridge.Closed):
        bridge.select([high, low])


def test_select_is_woken():
    first, second = bridge.Channel(), bridge.Queue()
    for i in range(50):
        thread = threading.Thread(target=second.push if i % 2 else first.send, args=(i,))
        thread.start()
        assert bridge.select([first, second], LONG) == (i % 2, i)
        thread.join()


def test_select_refuses():
    queue = bridge.Queue()
    with pytest.raises(bridge.InvalidError):
        bridge.select([])
    with pytest.raises(TypeError, match="Queue or a Channel"):
        bridge.select([queue, 7])
    with pytest.raises(TypeError):
        bridge.select([bridge.Flag()])
    with pytest.raises(TypeError):
        bridge.select(7)
    channel = bridge.Channel()
    channel.send(1)
    for alone in (queue, channel):
        with pytest.raises(TypeError, match="a list"):
            bridge.select(alone, 0)
    assert channel.receive() == 1
    with pytest.raises(bridge.Busy):
        bridge.select([queue, queue], 0)


def test_select_keeps_what_python_cannot_have():
    channel, queue = bridge.Channel(), bridge.Queue()
    with bridge.Worker("local c, q = ... c:send(print) q:push(print)", channel, queue) as w:
        w.join()
    for each in (channel, queue):
        with pytest.raises(bridge.NotShareableError):
            bridge.select([each])
        assert len(each) == 1


# ---- Counter, flag, mutex


def test_counter():
    counter = bridge.Counter()
    assert counter.add() == 1
    assert counter.add(-3) == -2
    assert counter.set(5) == -2
    assert counter.exchange(5, 6) == (True, 5)
    assert counter.exchange(5, 7) == (False, 6)
    assert counter.value == 6
    assert counter.wait(">=", 6) == counter.wait("!=", 7) == 6
    for relation, value in ((">=", 7), ("<=", 5), ("==", 5), ("!=", 6)):
        with pytest.raises(bridge.Timeout):
            counter.wait(relation, value, 0)
    counter.set(2**63 - 1)
    with pytest.raises(bridge.RangeError):
        counter.add(1)
    with pytest.raises(OverflowError):
        counter.set(2**63)
    with pytest.raises(bridge.InvalidError):
        counter.wait(">", 1)
    with pytest.raises(TypeError):
        bridge.Counter("1")


def test_counter_is_shared():
    counter = bridge.Counter()
    with bridge.Worker("local c = ... for _ = 1, 1000 do c:add(1) end", counter):
        for _ in range(1000):
            counter.add()
        assert counter.wait("==", 2000, LONG) == 2000


def test_flag():
    flag = bridge.Flag()
    with pytest.raises(bridge.Timeout):
        flag.wait(0)
    with bridge.Worker("local f = ... f:set()", flag):
        flag.wait(LONG)
    assert flag.is_set()
    flag.clear()
    assert not flag.is_set()
    with pytest.raises(TypeError):
        bridge.Flag(1)


def test_mutex():
    mutex = bridge.Mutex()
    with mutex as abandoned:
        assert abandoned is False
        assert mutex.locked
        with pytest.raises(bridge.Deadlock):
            mutex.lock(0)
    assert not mutex.locked
    for unlock in (mutex.unlock, mutex.abandon):
        with pytest.raises(bridge.InvalidError, match="does not have the mutex"):
            unlock()
    go, locked = bridge.Flag(), bridge.Flag()
    source = "local m, locked, go = ... m:lock() locked:set() go:wait()"
    with bridge.Worker(source, mutex, locked, go) as worker:
        locked.wait(LONG)
        with pytest.raises(bridge.Busy, match="somebody has the mutex"):
            mutex.lock(0)
        with pytest.raises(bridge.Timeout):
            mutex.lock(0.001)
        go.set()
        assert mutex.lock(LONG) is True
        worker.join()
    mutex.abandon()
    assert mutex.lock() is True
    mutex.unlock()


def test_threads_are_owners():
    mutex, total = bridge.Mutex(), [0]

    def work():
        for _ in range(300):
            with mutex:
                before = total[0]
                time.sleep(0)
                total[0] = before + 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total == [1200]


# ---- Closing what is no message


def test_closed_stays_as_it_is():
    counter, flag, mutex = bridge.Counter(3), bridge.Flag(), bridge.Mutex()
    mutex.lock()
    for each in (counter, flag, mutex):
        assert not each.closed
        each.close()
        each.close()
        assert each.closed
        assert "closed" in repr(each)
    assert counter.value == counter.wait("==", 3) == 3
    for call in (
        lambda: counter.wait("==", 4),
        lambda: counter.set(1),
        counter.add,
        lambda: counter.exchange(3, 1),
        flag.wait,
        flag.set,
        flag.clear,
        mutex.lock,
        mutex.__enter__,
    ):
        with pytest.raises(bridge.Closed):
            call()
    assert not flag.is_set()
    assert mutex.locked
    mutex.unlock()
    assert not mutex.locked


def test_who_waits_is_woken_by_close():
    source = """
      local object, began = ...
      if object.lock then object:lock() end
      began:set()
      object:close()
    """
    for each, wait in (
        (bridge.Counter(), lambda counter: counter.wait(">=", 1)),
        (bridge.Flag(), bridge.Flag.wait),
        (bridge.Mutex(), bridge.Mutex.lock),
    ):
        began = bridge.Flag()
        with bridge.Worker(source, each, began):
            began.wait(LONG)
            with pytest.raises(bridge.Closed):
                wait(each)


# ---- Timer


def test_timer_once():
    channel = bridge.Channel()
    timer = bridge.Timer(channel, "tick", 1, after=0.001)
    assert channel.receive(LONG) == ("tick", 1)
    while timer.active:
        time.sleep(0)
    assert timer.posted == 1 and timer.missed == 0
    assert not timer.cancel()


def test_timer_again_and_again():
    queue = bridge.Queue()
    with bridge.Timer(queue, "again", every=0.001) as timer:
        for _ in range(5):
            assert queue.pop(LONG) == "again"
    assert not timer.active


def test_timer_at_a_moment():
    channel = bridge.Channel()
    for clock in ("wall", "steady"):
        moment = bridge.now(clock) + 0.002
        bridge.Timer(channel, clock, at=moment, clock=clock)
        assert channel.receive(LONG) == clock
        assert bridge.now(clock) >= moment - 1e-6


def test_timer_goes_on_without_its_object():
    channel = bridge.Channel()
    bridge.Timer(channel, 1, every=0.001)
    gc.collect()
    assert channel.receive(LONG) == channel.receive(LONG) == 1


def test_timer_refuses():
    channel = bridge.Channel()
    for wrong in (
        {},
        {"after": 1, "at": 1},
        {"every": 0},
        {"after": -1},
        {"at": 1, "clock": "moon"},
    ):
        with pytest.raises(bridge.InvalidError):
            bridge.Timer(channel, **wrong)
    with pytest.raises(TypeError):
        bridge.Timer(7, after=1)
    with pytest.raises(TypeError):
        bridge.Timer(channel, after="soon")
    with pytest.raises(bridge.CycleError):
        bridge.Timer(channel, channel, after=1)


# ---- All of them


def test_handles_cross_as_themselves():
    queue = bridge.Queue()
    channel = bridge.Channel()
    handles = [
        channel,
        bridge.Counter(3),
        bridge.Flag(),
        bridge.Mutex(),
        bridge.Timer(channel, every=1000),
    ]
    for each in handles:
        queue.push([each])
        assert queue.pop()[0] is each
        assert repr(each).startswith(f"<bridge.{type(each).__name__}")
    with bridge.Worker("return ...", *handles) as worker:
        assert list(worker.join()) == handles
    handles[-1].cancel()


def test_objects_that_were_not_initialised():
    for face in (bridge.Channel, bridge.Counter, bridge.Flag, bridge.Mutex):
        core = type(face.__new__(face))
        with pytest.raises((AttributeError, ValueError, bridge.Error)):
            bridge.Queue().push(core.__new__(core))


# ---- Inboxes


def test_a_full_inbox_drops_what_has_waited_longest():
    gate, ready = bridge.Queue(), bridge.Flag()
    source = """
    local gate, ready = ...
    ready:set()
    gate:pop()
    return require "bridge".serve { echo = function(...) return ... end }
    """
    with bridge.Worker(
        source, gate, ready, inbox_items=1, inbox_full="drop_oldest"
    ) as worker:
        ready.wait(LONG)
        heard = []

        def ask():
            with pytest.raises(bridge.Full):
                worker.call("echo", "old", timeout=LONG)
            heard.append(True)

        thread = threading.Thread(target=ask)
        thread.start()
        while not heard:
            worker.send("echo", "new")  # drops the call once that is in
            time.sleep(0)
        thread.join()
        gate.push()
        assert worker.call("echo", "last", timeout=LONG) == "last"
    with pytest.raises(bridge.InvalidError):
        bridge.Worker("return 1", inbox_full="explode")


def test_wrong_numbers_are_told_by_their_names():
    counter = bridge.Counter(1)
    calls = {
        "value": (bridge.Counter, counter.set, lambda v: counter.wait(">=", v)),
        "change": (counter.add,),
        "expected": (lambda v: counter.exchange(v, 1),),
    }
    for name, functions in calls.items():
        for function in functions:
            for wrong in ("x", 1.5, None):
                with pytest.raises(TypeError, match=f"^{name} is a whole number, not"):
                    function(wrong)
            with pytest.raises(bridge.RangeError, match=f"^{name} is a number of 64"):
                function(2**63)
    counter.set(2**63 - 1)
    with pytest.raises(bridge.RangeError):
        counter.add()
    for options in ({"after": -1}, {"at": -1}, {"every": -1}):
        with pytest.raises(bridge.InvalidError, match=f"^{next(iter(options))} is"):
            bridge.Timer(bridge.Queue(), **options)


def test_a_channel_has_as_much_room_as_one_likes():
    assert bridge.Channel(items=2**40).limit[0] == 2**40
