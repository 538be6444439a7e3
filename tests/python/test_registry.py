"""Looking at workers, finding, holding and watching them."""

import asyncio
import os
import threading
import time

import pytest

import bridge

LONG = 30


def until(condition):
    """Wait, within bounds, for what comes by itself."""
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_all_that_live_are_listed_the_oldest_first():
    source = "require 'bridge'.sleep(1e6)"
    with bridge.Worker(source, name="one") as one, bridge.Worker(
        source, name="two"
    ) as two:
        mine = [each for each in bridge.workers() if each.id in (one.id, two.id)]
        assert [each.name for each in mine] == ["one", "two"]
        assert [each.worker for each in mine] == [one, two]
    assert {one.id, two.id}.isdisjoint(each.id for each in bridge.workers())


def test_one_of_which_nobody_has_a_handle_is_found():
    hold = bridge.Queue()
    bridge.Worker("local q = ... q:pop()", hold, name="nobody has me")
    found = bridge.find("nobody has me")
    assert found.name == "nobody has me"
    hold.close()
    found.join(timeout=LONG)
    assert bridge.find("nobody has me") is None


def test_a_worker_is_found_by_its_name_and_its_number():
    with bridge.Worker("require 'bridge'.sleep(1e6)", name="ä name") as worker:
        assert bridge.find("ä name") is worker
        assert bridge.find(worker.id) is worker
        assert bridge.find("ä") is None
        for number in (0, -1, 2**63, 2**64, 10**30):
            assert bridge.find(number) is None
    assert bridge.find(worker.id) is None
    for wrong in (None, True, 1.5, b"name"):
        with pytest.raises(TypeError):
            bridge.find(wrong)
    with pytest.raises(ValueError):
        bridge.find("a\0b")


def test_the_latest_of_a_name_is_found():
    source = "require 'bridge'.sleep(1e6)"
    with bridge.Worker(source, name="twin"), bridge.Worker(source, name="twin") as b:
        assert bridge.find("twin") is b


def test_info_of_a_service(service):
    assert service.call("echo", 1) == 1
    with pytest.raises(bridge.LuaError):
        service.call("fail", "x")
    info = service.info()
    assert info.worker is service
    assert (info.id, info.name, info.phase) == (service.id, "service", "serving")
    assert (info.messages, info.errors, info.dropped) == (2, 1, 0)
    assert (info.paused, info.inbox_items) == (False, 0)
    assert info.memory.used > 0
    assert info.memory == (info.memory_used, info.memory_peak, info.memory_limit)
    assert info.cpu_time >= 0


def test_info_of_one_that_computes(spinning):
    with spinning() as worker:
        until(lambda: worker.info().running_time > 0.01)
        info = worker.info()
        assert info.running != ""
        until(lambda: worker.info().cpu_time > 0)
    assert worker.info().phase == "ended"
    assert worker.info().memory.used == 0


def test_the_inbox_is_seen():
    hold = bridge.Queue()
    source = "local q = ... q:pop()"
    with bridge.Worker(source, hold, inbox_items=2, inbox_full="fail") as worker:
        worker.send("a", "b" * 100)
        worker.send("a")
        with pytest.raises(bridge.Full):
            worker.send("a")
        info = worker.info()
        assert info.inbox_items == 2 and info.dropped == 1
        assert info.inbox_bytes > 100


REFUSALS = {
    "send": lambda worker, wait: worker.send("a", timeout=wait),
    "call": lambda worker, wait: worker.call("a", timeout=wait),
    "acall": lambda worker, wait: asyncio.run(acall(worker, wait)),
}


async def acall(worker, wait):
    return await worker.acall("a", timeout=wait)


@pytest.mark.parametrize("how", REFUSALS)
@pytest.mark.parametrize("full", ["fail", "block"])
def test_each_request_that_finds_no_room_counts_once(how, full):
    source = "local q = ... q:pop()"
    with bridge.Worker(source, bridge.Queue(), inbox_items=1, inbox_full=full) as worker:
        worker.send("a")
        expected = bridge.Full if full == "fail" else bridge.Timeout
        for turn, wait in enumerate((0.3, 0.05, 0.001)):
            with pytest.raises(expected):
                REFUSALS[how](worker, wait)
            assert worker.info().dropped == turn + 1
        with pytest.raises(bridge.Full):
            REFUSALS[how](worker, 0)
        if full == "fail":
            with pytest.raises(bridge.Full):
                REFUSALS[how](worker, None)


def test_a_request_that_waits_for_room_and_finds_it_is_not_dropped():
    hold = bridge.Queue()
    source = "local b, q = require 'bridge', ... q:pop() b.serve{a = function() end}"
    with bridge.Worker(source, hold, inbox_items=1) as worker:
        worker.send("a")
        thread = threading.Thread(target=worker.call, args=("a",))
        thread.start()
        until(lambda: worker.info().dropped == 1)
        hold.push(1)
        thread.join(LONG)
        assert not thread.is_alive()
        assert worker.info().dropped == 0


def test_where_a_worker_is_that_computes():
    up = bridge.Queue()
    source = "local q = ... local function inner() q:push(1) while true do end end inner()"
    with bridge.Worker(source, up, name="spin") as worker:
        up.pop(timeout=LONG)
        stack = worker.traceback(timeout=LONG)
        assert "inner" in stack.traceback
        assert stack.frames[0].name == "inner"
        assert stack.resumed is None
        assert stack.traceback in str(stack)


def test_where_a_coroutine_was_resumed():
    up = bridge.Queue()
    source = """
    local q = ...
    local co = coroutine.wrap(function() q:push(1) while true do end end)
    co()
    """
    with bridge.Worker(source, up) as worker:
        up.pop(timeout=LONG)
        stack = worker.traceback(timeout=LONG)
        assert [frame.line for frame in stack.frames if frame.line > 0] == [3]
        assert 4 in [frame.line for frame in stack.resumed.frames]


def test_where_a_worker_that_ended_is_cannot_be_told():
    worker = bridge.Worker("return 1")
    worker.join(timeout=LONG)
    with pytest.raises(bridge.WorkerDied):
        worker.traceback()
    with pytest.raises(bridge.InvalidError):
        worker.traceback(-1)
    with pytest.raises(TypeError):
        worker.traceback("x")


def test_a_paused_worker_answers_when_it_is_resumed(service):
    service.pause()
    service.pause()
    assert service.info().paused
    service.send("echo")
    with pytest.raises(bridge.Timeout):
        service.call("echo", 1, timeout=0.02)
    service.resume()
    service.resume()
    assert service.call("echo", 2, timeout=LONG) == 2
    assert not service.info().paused


def test_one_that_computes_is_held():
    count = bridge.Counter()
    with bridge.Worker("local c = ... while true do c:add(1) end", count) as worker:
        until(lambda: count.value > 10)
        worker.pause()

        def stands():
            before = count.value
            time.sleep(0.005)
            return count.value == before

        until(stands)
        worker.resume()
        before = count.value
        until(lambda: count.value > before)
        worker.pause()
    assert worker.phase == "ended"


def test_a_watchdog_names_who_runs_for_long(spinning):
    heard = bridge.Queue()
    bridge.set_logger(heard)
    bridge.set_watchdog(0.01)
    try:
        with spinning() as worker:
            while True:
                record = bridge.Record.of(heard.pop(timeout=LONG))
                if record.id == worker.id:
                    break
        assert record.level == "warning"
        assert record.worker == worker.name
    finally:
        bridge.set_watchdog(None)
        bridge.set_logger(None)
    bridge.set_watchdog(0)
    for wrong in (-1, float("nan")):
        with pytest.raises(bridge.InvalidError):
            bridge.set_watchdog(wrong)
    for wrong in ("1", True, False):
        with pytest.raises(TypeError):
            bridge.set_watchdog(wrong)


def test_many_threads_look_while_workers_come_and_go():
    done = threading.Event()
    errors = []

    def look():
        try:
            while not done.is_set():
                for info in bridge.workers():
                    info.worker.info()
                    bridge.find(info.id)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        worker = bridge.Worker("require 'bridge'.sleep(1e6)")
        worker.cancel()
        worker.close(LONG)
    done.set()
    for thread in threads:
        thread.join()
    assert errors == []


def test_the_child_of_a_fork_sees_none_of_them(service):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            seen = len(bridge.workers())
            try:
                service.info()
            except bridge.ForkedError:
                seen += 100
            os.write(write, bytes([seen]))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 1) == bytes([100])
    os.close(read)
    os.close(write)
