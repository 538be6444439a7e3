"""The registry of all objects: listed, found, named and closed from anywhere."""

import asyncio
import gc
import os
import threading
import time

import pytest

import bridge

LONG = 20

MAKERS = {
    "queue": lambda name: bridge.Queue(name=name),
    "channel": lambda name: bridge.Channel(name=name),
    "counter": lambda name: bridge.Counter(7, name=name),
    "flag": lambda name: bridge.Flag(True, name=name),
    "mutex": lambda name: bridge.Mutex(name=name),
    "timer": lambda name: bridge.Timer(bridge.Queue(), after=3600, name=name),
}


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    gc.collect()
    limit = time.monotonic() + LONG
    while bridge.objects() and time.monotonic() < limit:
        time.sleep(0)  # the thread of a worker that has ended has it for a moment
    assert bridge.objects() == []


def of_kind(kind):
    return [each for each in bridge.objects() if each.kind == kind]


@pytest.mark.parametrize("kind", MAKERS)
def test_each_kind(kind):
    made = MAKERS[kind]("jobs")
    info = of_kind(kind)[-1]
    assert info.object is made
    assert made.info() == info
    assert (info.kind, info.name, info.closed) == (kind, "jobs", False)
    assert info.references == (1 if kind == "timer" else 0)
    assert info.id == made.id
    for key in ("jobs", info.id):
        assert bridge.find_object(key) is made
        assert bridge.find_object(key, kind) is made
        assert bridge.find_object(key, "worker") is None
    made.name = "others"
    assert made.name == "others"
    assert bridge.find_object("jobs") is None
    made.name = None
    assert made.name == ""
    for _ in range(2):
        made.close()
        assert made.closed
        assert made.info().closed


def test_values():
    queue, channel, mutex = bridge.Queue(), bridge.Channel(), bridge.Mutex()
    queue.push("some", "bytes")
    assert queue.info()[6:] == (1, queue.bytes, None, None)
    assert channel.info()[6:] == (0, 0, None, None)
    assert bridge.Counter(7).info()[6:] == (None, None, 7, None)
    assert bridge.Flag(True).info().value is True
    assert mutex.info().value is False
    with mutex:
        assert mutex.info().value is True
    with bridge.Timer(channel, "tick", every=0.001) as timer:
        assert channel.receive(LONG) == "tick"
        assert timer.info().value >= 1
        assert timer.info().target == channel.id
    assert timer.close() is None


def test_workers_are_objects_too():
    with bridge.Worker("return require('bridge').serve {}", name="server") as worker:
        (info,) = bridge.objects()
        assert info.object is worker
        assert (info.kind, info.name, info.id) == ("worker", "server", worker.id)
        assert bridge.find_object("server", "worker") is worker
    assert worker.info().phase == "ended"
    assert all(each.closed for each in of_kind("worker"))


def test_the_oldest_comes_first_and_the_latest_is_found():
    made = [bridge.Flag(name="same") for _ in range(3)]
    listed = bridge.objects()
    assert [each.object for each in listed] == made
    assert sorted(each.id for each in listed) == [each.id for each in listed]
    assert bridge.find_object("same") is made[-1]


def test_refuses():
    queue = bridge.Queue()
    for call in (
        lambda: bridge.find_object(None),
        lambda: bridge.find_object(True),
        lambda: bridge.find_object(1.0),
        lambda: bridge.Queue(name=7),
        lambda: bridge.Timer(queue, every=1000, name=7),
        lambda: setattr(queue, "name", 7),
    ):
        with pytest.raises(TypeError):
            call()
    for call in (
        lambda: bridge.find_object("x", "thing"),
        lambda: bridge.Flag(name="a\0b"),
        lambda: bridge.find_object("a\0b"),
    ):
        with pytest.raises((bridge.InvalidError, ValueError)):
            call()
    assert bridge.find_object(0) is bridge.find_object(-1) is None
    assert bridge.find_object(2**64) is None
    gc.collect()
    assert of_kind("timer") == []


def test_a_timer_without_its_object_is_found_and_ended():
    channel = bridge.Channel()
    bridge.Timer(channel, "tick", every=0.001, name="lost")
    gc.collect()
    assert channel.receive(LONG) == "tick"
    bridge.find_object("lost", "timer").close()
    gc.collect()
    assert bridge.find_object("lost") is None


def test_queues_within_each_other_are_seen():
    one, two = bridge.Queue(), bridge.Queue()
    one.push(two)
    two.push(one)
    del one, two
    gc.collect()
    left = bridge.objects()
    assert [(each.kind, each.references, each.items) for each in left] == [
        ("queue", 1, 1)
    ] * 2
    left[0].object.discard()


def test_a_hidden_wait_is_ended_from_anywhere():
    source = """
      local bridge = require "bridge"
      return bridge.flag(false, "secret"):wait()
    """
    with bridge.Worker(source) as worker:
        while (found := bridge.find_object("secret", "flag")) is None:
            pass
        found.close()
        assert worker.join(LONG)[2] == "ECLOSED"


def test_listing_while_others_come_and_go():
    over = threading.Event()

    def guest():
        while not over.is_set():
            bridge.Queue(name="guest").push(bridge.Counter())

    threads = [threading.Thread(target=guest) for _ in range(2)]
    for thread in threads:
        thread.start()
    seen = 0
    while seen < 200:
        seen += len(bridge.objects())
        found = bridge.find_object("guest", "queue")
        assert found is None or found.name in ("", "guest")
    over.set()
    for thread in threads:
        thread.join()


def test_the_child_of_a_fork_has_its_own():
    parents = bridge.Queue(name="parent's")
    child = os.fork()
    if child == 0:
        good = bridge.objects() == [] and bridge.find_object("parent's") is None
        try:
            parents.info()
            good = False
        except bridge.ForkedError:
            pass
        own = bridge.Flag(name="own")
        good = good and [each.object for each in bridge.objects()] == [own]
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_what_the_package_makes_for_itself_is_not_there():
    async def main():
        worker = bridge.Worker(
            "return require('bridge').serve{f = function() return 1 end}"
        )
        channel = bridge.Channel(1)
        async with worker:
            waiting = asyncio.ensure_future(channel.areceive())
            assert await worker.acall("f") == 1
            worker.call("f")
            for each in bridge.objects():
                if each.kind == "queue":
                    each.object.close()
            channel.send(2)
            assert await worker.acall("f", timeout=LONG) == 1
            assert await asyncio.wait_for(waiting, LONG) == 2

    records = []
    bridge.set_logger(records.append)
    try:
        asyncio.run(main())
    finally:
        bridge.set_logger(None)
    assert records == []
