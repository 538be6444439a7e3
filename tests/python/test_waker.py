"""Wakers on their own."""

import os
import selectors
import threading

import pytest

import bridge

KINDS = ["default", "eventfd", "pipe", "udp", "condition"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_waker_is_raised_until_it_is_cleared(kind):
    waker = bridge.Waker(kind)
    with pytest.raises(bridge.Timeout):
        waker.wait(timeout=0)
    waker.clear()
    for _ in range(3):
        waker.raise_()
    for _ in range(3):
        waker.wait(timeout=0)
    waker.clear()
    with pytest.raises(bridge.Timeout):
        waker.wait(timeout=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_a_thread_wakes_another(kind):
    waker = bridge.Waker(kind)
    threading.Timer(0.01, waker.raise_).start()
    waker.wait()
    waker.clear()


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_waker_refuses_and_wakes_who_waits(kind):
    waker = bridge.Waker(kind)
    threading.Timer(0.01, waker.close).start()
    with pytest.raises(bridge.Closed):
        waker.wait()
    for use in (waker.raise_, waker.clear, lambda: waker.wait(0)):
        with pytest.raises(bridge.Closed):
            use()
    waker.close()


@pytest.mark.parametrize("kind", ["default", "eventfd", "pipe", "udp"])
def test_a_selector_sees_a_waker(kind):
    with bridge.Waker(kind) as waker, selectors.DefaultSelector() as selector:
        selector.register(waker, selectors.EVENT_READ)
        assert not selector.select(0)
        waker.raise_()
        waker.raise_()
        assert selector.select(30)
        waker.clear()
        assert not selector.select(0)
        selector.unregister(waker)
    with pytest.raises(bridge.Closed):
        waker.fileno()


def test_a_descriptor_is_not_inherited():
    waker = bridge.Waker("eventfd")
    assert not os.get_inheritable(waker.fileno())
    assert not os.get_blocking(waker.fileno())


def test_kinds_have_names():
    assert [bridge.Waker(kind).kind for kind in KINDS[1:]] == KINDS[1:]
    assert bridge.Waker().kind != "default"
    assert repr(bridge.Waker("pipe")) == "<bridge.Waker by pipe>"


@pytest.mark.parametrize("kind", ["bell", "callback", ""])
def test_an_unknown_kind_is_an_error(kind):
    with pytest.raises(bridge.InvalidError, match="eventfd"):
        bridge.Waker(kind)


@pytest.mark.parametrize("kind", [None, 3, []])
def test_a_kind_of_a_wrong_type_is_an_error(kind):
    with pytest.raises(TypeError, match="a waker is one of .*eventfd.*, not "):
        bridge.Waker(kind)


def test_a_condition_has_no_descriptor():
    with pytest.raises(bridge.Unsupported, match="by condition has no descriptor"):
        bridge.Waker("condition").fileno()


def test_no_descriptor_left_is_an_error_that_passes():
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    wakers = []
    try:
        with pytest.raises(bridge.SystemFailure):
            for _ in range(100):
                wakers.append(bridge.Waker("pipe"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wakers.clear()
    assert bridge.Waker("pipe").fileno() >= 0


def test_lua_raises_a_waker_of_python():
    waker = bridge.Waker()
    bridge.Worker("(...):raise()", waker).join(timeout=30)
    waker.wait(timeout=0)
