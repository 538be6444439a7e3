"""Queues."""

import queue as standard
import selectors
import threading
import time
import weakref

import pytest

import bridge


def test_messages_come_out_in_order(queue):
    for i in range(1000):
        queue.push(i)
    assert len(queue) == 1000
    assert [queue.pop(0) for _ in range(1000)] == list(range(1000))
    assert len(queue) == 0


def test_popping_an_empty_queue_asks_or_times_out(queue):
    with pytest.raises(bridge.Empty) as caught:
        queue.pop(timeout=0)
    assert isinstance(caught.value, standard.Empty)
    assert (caught.value.status, caught.value.code) == ("EEMPTY", -4)
    with pytest.raises(bridge.Timeout) as caught:
        queue.pop(timeout=0.01)
    assert isinstance(caught.value, TimeoutError)


def test_a_time_out_is_never_too_short(queue):
    for timeout in (0.0005, 0.02, 0.25):
        before = time.monotonic()
        with pytest.raises(bridge.Timeout):
            queue.pop(timeout)
        assert time.monotonic() - before >= timeout


@pytest.mark.parametrize("timeout", [-1, -0.001, float("nan"), float("-inf")])
def test_a_time_out_that_is_no_time_is_an_error(queue, timeout):
    for use in (
        lambda: queue.pop(timeout),
        lambda: queue.push(1, timeout=timeout),
        lambda: queue.pop_batch(1, timeout),
        lambda: bridge.Queue(timeout=timeout),
    ):
        with pytest.raises(bridge.InvalidError):
            use()
    for use in (
        lambda: queue.pop("1"),
        lambda: queue.push(1, timeout="1"),
        lambda: queue.pop_batch(1, "1"),
        lambda: queue.waker.wait("1"),
        lambda: bridge.Queue(timeout="1"),
    ):
        with pytest.raises(TypeError, match="None or seconds, not '1'"):
            use()
    assert len(queue) == 0


@pytest.mark.parametrize("timeout", [1e6, 1e12, 1e300, float("inf"), None, 2**40])
def test_a_huge_time_out_waits(queue, timeout):
    threading.Timer(0.01, queue.push, ["late"]).start()
    assert queue.pop(timeout) == "late"
    bridge.Queue(timeout=timeout)


# ---- Without room


def test_a_queue_that_fails_fails_at_once():
    queue = bridge.Queue(items=2, full="fail")
    queue.push(1)
    queue.push(2)
    with pytest.raises(bridge.Full) as caught:
        queue.push(3)
    assert isinstance(caught.value, standard.Full)
    assert queue.pop(0) == 1
    queue.push(3)
    assert [queue.pop(0), queue.pop(0)] == [2, 3]


def test_a_queue_that_blocks_waits_as_long_as_it_was_made_to():
    queue = bridge.Queue(items=1, timeout=0.01)
    queue.push(1)
    with pytest.raises(bridge.Timeout):
        queue.push(2)
    with pytest.raises(bridge.Full):
        queue.push(2, timeout=0)
    assert queue.pop(0) == 1


def test_a_queue_that_blocks_for_ever_goes_on_when_there_is_room():
    queue = bridge.Queue(items=1)
    queue.push(0)
    thread = threading.Thread(target=lambda: [queue.push(i) for i in range(1, 500)])
    thread.start()
    assert [queue.pop(timeout=30) for _ in range(500)] == list(range(500))
    thread.join()


def test_a_time_out_of_the_caller_goes_before_the_policy():
    queue = bridge.Queue(items=1, full="fail")
    queue.push(1)
    with pytest.raises(bridge.Timeout):
        queue.push(2, timeout=0.01)


def test_a_queue_that_drops_counts_what_it_drops():
    queue = bridge.Queue(items=3, full="drop_oldest")
    for i in range(10):
        queue.push(i)
    assert queue.dropped == 7
    assert [queue.pop(0) for _ in range(3)] == [7, 8, 9]


def test_a_policy_is_kept_by_a_queue_that_comes_from_elsewhere(queue):
    made = bridge.Worker(
        "local bridge = require 'bridge' local q = ...\n"
        "q:push(bridge.queue{items = 1, full = 'fail'})\n"
        "q:push(bridge.queue{items = 1, full = 'block', timeout = 0.01})\n"
        "q:push(bridge.queue{items = 1, full = 'drop_oldest'})",
        queue,
    )
    made.join(timeout=30)
    failing, blocking, dropping = (queue.pop(0) for _ in range(3))
    for each in (failing, blocking, dropping):
        each.push(1)
    with pytest.raises(bridge.Full):
        failing.push(2)
    with pytest.raises(bridge.Timeout):
        blocking.push(2)
    dropping.push(2)
    assert (dropping.pop(0), dropping.dropped) == (2, 1)


def test_bytes_are_bounded_too():
    queue = bridge.Queue(bytes=1000, full="fail")
    with pytest.raises(bridge.LimitError):
        queue.push(b"x" * 2000)
    pushed = 0
    with pytest.raises(bridge.Full):
        for _ in range(100):
            queue.push(b"x" * 100)
            pushed += 1
    assert 0 < pushed <= 10
    assert 0 < queue.bytes <= 1000


@pytest.mark.parametrize(
    "arguments",
    [
        {"items": -1},
        {"bytes": -1},
        {"items": 2**22},
        {"bytes": 2**40},
        {"full": "explode"},
        {"waker": "bell"},
        {"waker": "callback"},
        {"items": 0},
        {"bytes": 0},
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_errors(arguments):
    with pytest.raises(bridge.InvalidError) as caught:
        bridge.Queue(**arguments)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("arguments", [{"items": "1"}, {"items": 1.5}, {"nonsense": 1}])
def test_options_of_a_wrong_type_are_errors(arguments):
    with pytest.raises(TypeError):
        bridge.Queue(**arguments)


def test_a_queue_cannot_be_pushed_into_itself(queue):
    with pytest.raises(bridge.CycleError):
        queue.push([queue])
    assert len(queue) == 0


# ---- Batches


def test_a_batch_takes_what_there_is(queue):
    for i in range(10):
        queue.push(i)
    assert queue.pop_batch(4) == [0, 1, 2, 3]
    assert queue.pop_batch(100, timeout=0) == [4, 5, 6, 7, 8, 9]
    with pytest.raises(bridge.Empty):
        queue.pop_batch(4, timeout=0)
    with pytest.raises(bridge.Timeout):
        queue.pop_batch(4, timeout=0.01)


@pytest.mark.parametrize(
    ("limit", "error"), [(0, ValueError), (-1, ValueError), (2**70, OverflowError), ("3", TypeError)]
)
def test_the_limit_of_a_batch_is_from_1(queue, limit, error):
    queue.push(1)
    with pytest.raises(error):
        queue.pop_batch(limit)
    assert len(queue) == 1


def test_a_batch_ends_before_what_python_cannot_have(queue):
    bridge.Worker(
        "local q = ... q:push(1) q:push(2) q:push(print) q:push(4)", queue
    ).join(timeout=30)
    assert queue.pop_batch(10) == [1, 2]
    with pytest.raises(bridge.NotShareableError):
        queue.pop_batch(10)
    assert len(queue) == 2


# ---- Closing


def test_a_closed_queue_gives_what_is_in_it_and_takes_no_more(queue):
    queue.push(1)
    assert not queue.closed
    queue.close()
    queue.close()
    assert queue.closed
    with pytest.raises(bridge.Closed):
        queue.push(2)
    assert queue.pop() == 1
    for timeout in (0, 1, None):
        with pytest.raises(bridge.Closed):
            queue.pop(timeout)
        with pytest.raises(bridge.Closed):
            queue.pop_batch(5, timeout)


def test_closing_wakes_who_waits_to_pop():
    queue = bridge.Queue()
    seen = []

    def wait():
        try:
            queue.pop()
        except bridge.Closed as error:
            seen.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    queue.close()
    thread.join(timeout=30)
    assert len(seen) == 1


def test_closing_wakes_who_waits_to_push():
    queue = bridge.Queue(items=1)
    queue.push(1)
    seen = []

    def wait():
        try:
            queue.push(2)
        except bridge.Closed as error:
            seen.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    queue.close()
    thread.join(timeout=30)
    assert len(seen) == 1
    assert queue.pop(0) == 1


def test_iteration_ends_when_the_queue_is_closed():
    queue = bridge.Queue()
    worker = bridge.Worker("local q = ... for i = 1, 100 do q:push(i) end q:close()", queue)
    assert list(queue) == list(range(1, 101))
    worker.join(timeout=30)


def test_with_closes_the_queue():
    with bridge.Queue() as queue:
        queue.push(1)
    assert queue.closed
    assert list(queue) == [1]


# ---- Threads


def test_many_producers_lose_nothing_and_keep_their_order():
    queue = bridge.Queue(items=16)

    def produce(who):
        for i in range(2000):
            queue.push(who, i)

    threads = [threading.Thread(target=produce, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    last = [-1] * 4
    for _ in range(8000):
        who, i = queue.pop(timeout=60)
        assert i == last[who] + 1
        last[who] = i
    for thread in threads:
        thread.join()
    assert len(queue) == 0


def test_two_threads_cannot_pop_at_once():
    queue = bridge.Queue()
    results = []

    def pop():
        try:
            results.append(queue.pop(timeout=30))
        except bridge.Busy:
            results.append("busy")
            queue.push("enough")

    threads = [threading.Thread(target=pop) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["busy", "enough"]


def test_what_cannot_be_read_is_not_lost_to_a_second_consumer():
    """A message goes back while another thread has begun to wait for one."""
    queue = bridge.Queue()
    bridge.Worker(
        "local bridge, q = require 'bridge', ... q:push(bridge.waker('condition'), print)",
        queue,
    ).join(timeout=30)
    refused = []

    def consume():
        try:
            queue.pop(timeout=30)
        except bridge.NotShareableError:
            refused.append("second")

    second = threading.Thread(target=consume)

    def make(core):
        # We are in the middle of reading the message: the queue is empty.
        bridge.core.set_face(bridge.core.HANDLE_WAKER, bridge.Waker, bridge.Waker._of)
        second.start()
        while True:
            try:
                queue.pop(timeout=0)
            except bridge.Busy:
                return bridge.Waker._of(core)
            except bridge.Empty:
                pass

    bridge.core.set_face(bridge.core.HANDLE_WAKER, bridge.Waker, make)
    try:
        with pytest.raises(bridge.NotShareableError):
            queue.pop(timeout=0)
    finally:
        bridge.core.set_face(bridge.core.HANDLE_WAKER, bridge.Waker, bridge.Waker._of)
    second.join(timeout=30)
    assert refused == ["second"]
    assert len(queue) == 1


def test_a_thread_that_waits_lets_others_run():
    queue = bridge.Queue()
    steps = []
    thread = threading.Thread(target=lambda: steps.append(queue.pop()))
    thread.start()
    # Whoever held the GIL while waiting would keep this from ever ending.
    queue.push("go")
    thread.join(timeout=30)
    assert steps == ["go"]


# ---- Handles


def test_selectors_watch_a_queue(queue):
    with selectors.DefaultSelector() as selector:
        selector.register(queue, selectors.EVENT_READ)
        assert selector.select(0) == []
        worker = bridge.Worker("local q = ... for i = 1, 10 do q:push(i) end", queue)
        seen = []
        while len(seen) < 10:
            assert selector.select(30)
            try:
                while True:
                    seen.append(queue.pop(timeout=0))
            except bridge.Empty:
                pass
        assert seen == list(range(1, 11))
        assert selector.select(0) == []
        worker.join(timeout=30)
        queue.close()
        assert selector.select(30)


@pytest.mark.parametrize("kind", ["eventfd", "pipe", "udp"])
def test_every_kind_with_a_descriptor_wakes_a_selector(kind):
    queue = bridge.Queue(waker=kind)
    assert queue.waker.kind == kind
    with selectors.DefaultSelector() as selector:
        selector.register(queue.fileno(), selectors.EVENT_READ)
        for i in range(50):
            assert not selector.select(0)
            bridge.Worker("(...):push(1)", queue).join(timeout=30)
            assert selector.select(30)
            assert queue.pop(0) == 1
            with pytest.raises(bridge.Empty):
                queue.pop(0)


def test_a_condition_has_no_descriptor_and_says_what_to_do():
    queue = bridge.Queue()
    with pytest.raises(bridge.Unsupported, match='waker="eventfd"'):
        queue.fileno()


def test_a_waker_serves_one_queue():
    waker = bridge.Waker()
    queue = bridge.Queue(waker=waker)
    assert queue.waker is waker
    with pytest.raises(bridge.Busy):
        bridge.Queue(waker=waker)


def test_a_queue_says_what_it_is(queue):
    queue.push(1)
    assert repr(queue) == "<bridge.Queue with 1 messages>"
    queue.close()
    assert repr(queue) == "<bridge.Queue with 1 messages, closed>"
    assert bridge.Queue()


def test_dropping_a_queue_frees_what_is_in_it():
    buffer = bridge.Buffer(b"x")
    inner = bridge.Queue()
    inner.push(buffer)
    outer = bridge.Queue()
    outer.push(inner)
    weak = weakref.ref(inner)
    del inner
    assert weak() is None
    del outer
    assert bytes(buffer) == b"x"


def test_what_belongs_to_a_process_has_no_pickle(queue):
    import copy
    import pickle

    for handle in (queue, bridge.Buffer(1), bridge.Waker()):
        with pytest.raises(TypeError, match="no pickle"):
            pickle.dumps(handle)
        with pytest.raises(TypeError, match="no pickle"):
            copy.copy(handle)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"items": 0}, ValueError, "items is 1 to 4,194,303, not 0"),
        ({"items": 2**22}, ValueError, "items is 1 to 4,194,303, not 4194304"),
        ({"bytes": 2**40}, ValueError, "bytes is 1 to 549,755,813,888, not"),
        ({"items": "3"}, TypeError, "items is a whole number, not '3'"),
        ({"items": 2.5}, TypeError, "items is a whole number, not 2.5"),
        ({"items": True}, TypeError, "items is a whole number, not True"),
        ({"bytes": b"3"}, TypeError, "bytes is a whole number, not b'3'"),
        ({"full": "explode"}, ValueError, "full is one of 'block', .*, not 'explode'"),
        ({"full": None}, TypeError, "full is one of 'block', .*, not None"),
        ({"full": []}, TypeError, r"full is one of 'block', .*, not \[\]"),
        ({"waker": None}, TypeError, "a waker is one of .*, not None"),
        ({"timeout": "x"}, TypeError, "timeout is None or seconds, not 'x'"),
        ({"timeout": -1}, ValueError, "timeout is None or seconds from 0, not -1"),
    ],
    ids=str,
)
def test_an_error_of_an_option_names_it_and_what_it_may_be(arguments, error, text):
    with pytest.raises(error, match=text) as caught:
        bridge.Queue(**arguments)
    assert isinstance(caught.value, bridge.InvalidError) == (error is ValueError)


def test_a_waker_serves_one_queue():
    with bridge.Queue(waker="eventfd") as first:
        with pytest.raises(bridge.Busy, match="the waker serves another queue"):
            bridge.Queue(waker=first.waker)


def test_an_integer_of_more_than_64_bits_says_so(queue):
    for number in (1 << 63, -(1 << 63) - 1):
        with pytest.raises(bridge.RangeError, match="a signed integer of 64 bits"):
            queue.push(number)


def test_what_python_cannot_have_is_discarded(queue):
    bridge.Worker("local q = ... q:push(print) q:push(1)", queue).join(timeout=30)
    for pop in (lambda: queue.pop(0), lambda: queue.pop_batch(3, 0)):
        with pytest.raises(bridge.NotShareableError):
            pop()
    assert len(queue) == 2
    assert queue.discard() is True
    assert queue.pop(0) == 1
    assert queue.discard() is False
    queue.push(2)
    queue.close()
    assert queue.discard() is True
    with pytest.raises(bridge.Closed):
        queue.discard()


def test_whoever_has_bytes_is_told_of_buffers(queue):
    import array

    import numpy

    for value in (numpy.zeros(3), array.array("i"), memoryview(b"abcd")[::2]):
        with pytest.raises(bridge.NotShareableError, match="into a bridge.Buffer"):
            queue.push([value])
    with pytest.raises(bridge.NotShareableError) as caught:
        queue.push(object())
    assert "Buffer" not in str(caught.value)


def test_a_limit_of_a_batch_is_checked(queue):
    with pytest.raises(TypeError, match="limit is a number of messages, not 'x'"):
        queue.pop_batch("x", 0)
    with pytest.raises(bridge.InvalidError, match="limit is 1 or more, not 0"):
        queue.pop_batch(0, 0)
