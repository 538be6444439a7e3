"""Buffers: bytes in place."""

import ctypes
import io
import pydoc
import weakref

import numpy
import pytest

import bridge


def test_a_buffer_of_a_size_is_zeros():
    buffer = bridge.Buffer(5)
    assert bytes(buffer) == bytes(5)
    assert len(buffer) == 5
    assert not buffer.frozen


@pytest.mark.parametrize(
    "source", [b"abc", bytearray(b"abc"), memoryview(b"abc"), bridge.Buffer(b"abc")]
)
def test_a_buffer_of_bytes_is_a_copy(source):
    buffer = bridge.Buffer(source)
    assert bytes(buffer) == b"abc"
    memoryview(buffer)[0] = 120
    assert bytes(source) == b"abc"


def test_a_buffer_of_an_array_with_gaps_holds_its_elements():
    array = numpy.arange(12, dtype="u1").reshape(3, 4)
    assert bytes(bridge.Buffer(array[:, ::2])) == array[:, ::2].tobytes()


@pytest.mark.parametrize("size", [0, b"", bytearray(), numpy.zeros(0)])
def test_an_empty_buffer_is_fine(size, queue):
    buffer = bridge.Buffer(size)
    assert bytes(buffer) == b"" and len(buffer) == 0
    assert len(memoryview(buffer)) == 0
    queue.push(buffer)
    assert queue.pop(0) is buffer
    assert bytes(buffer) == b""


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (-1, ValueError),
        (2**63, bridge.RangeError),
        (-(2**63) - 1, bridge.RangeError),
        (True, TypeError),
        (2**62, (bridge.LimitError, MemoryError)),
        ("text", TypeError),
        (None, TypeError),
        (1.5, TypeError),
        ([1, 2], TypeError),
        (object(), TypeError),
    ],
)
def test_what_a_buffer_cannot_be_made_of_is_an_error(source, error):
    with pytest.raises(error):
        bridge.Buffer(source)


def test_a_buffer_needs_exactly_one_argument():
    with pytest.raises(TypeError):
        bridge.Buffer()
    with pytest.raises(TypeError):
        bridge.Buffer(1, 2)


def test_a_subclass_that_forgets_to_initialise_is_an_error_and_no_crash(queue):
    class Lazy(bridge.Buffer):
        def __init__(self):
            pass

    for lazy in (Lazy(), bridge.Buffer.__new__(bridge.Buffer)):
        for use in (bytes, memoryview, queue.push, bridge.Buffer):
            with pytest.raises(ValueError, match="not initialised"):
                use(lazy)
        for use in (len, repr, list, bridge.Buffer.freeze):
            with pytest.raises(AttributeError):
                use(lazy)


@pytest.mark.parametrize("noun", [bridge.Queue, bridge.Waker, bridge.Worker])
def test_handles_that_were_not_initialised_are_errors_and_no_crashes(queue, noun):
    blank = noun.__new__(noun)
    with pytest.raises(ValueError, match="not initialised"):
        queue.push(blank)
    core = getattr(bridge.core, noun.__name__)
    inner = core.__new__(core)
    blank._core = inner
    with pytest.raises(ValueError):
        queue.push(blank)
    if noun is not bridge.Waker:
        assert "bridge" in repr(blank)
    assert inner.address() == 0


# ---- Views


def test_numpy_uses_the_bytes_in_place():
    buffer = bridge.Buffer(8 * 4)
    array = numpy.frombuffer(buffer, dtype="<i8")
    array[:] = [1, 2, 3, 4]
    other = numpy.frombuffer(buffer, dtype="<i8")
    address = array.__array_interface__["data"][0]
    assert other.__array_interface__["data"][0] == address
    assert other.tolist() == [1, 2, 3, 4]
    assert array.flags.writeable


def test_numpy_reads_a_frozen_buffer_in_place_and_cannot_write():
    buffer = bridge.Buffer(b"\1\2\3")
    with memoryview(buffer) as view:
        address = ctypes.addressof(ctypes.c_char.from_buffer(view))
    buffer.freeze()
    array = numpy.frombuffer(buffer, dtype="u1")
    assert array.__array_interface__["data"][0] == address
    assert not array.flags.writeable
    with pytest.raises(ValueError):
        array[0] = 9


def test_the_bytes_are_the_same_on_the_other_side(service, queue):
    buffer = bridge.Buffer(b"abc")
    buffer.freeze()
    address = numpy.frombuffer(buffer, dtype="u1").__array_interface__["data"][0]
    weak = weakref.ref(buffer)
    service.call("push", queue, buffer)
    del buffer
    assert weak() is None
    back = queue.pop(timeout=30)
    again = numpy.frombuffer(back, dtype="u1").__array_interface__["data"][0]
    assert again == address


def test_files_read_into_a_buffer():
    buffer = bridge.Buffer(4)
    assert io.BytesIO(b"abcdef").readinto(buffer) == 4
    assert bytes(buffer) == b"abcd"


def test_a_view_that_can_write_holds_up_freezing_and_crossing(queue):
    buffer = bridge.Buffer(b"abc")
    view = memoryview(buffer)
    for use in (buffer.freeze, lambda: queue.push(buffer)):
        with pytest.raises(BufferError) as caught:
            use()
        assert isinstance(caught.value, bridge.BufferBusy)
        assert isinstance(caught.value, bridge.Busy)
        assert not buffer.frozen
    view[0] = 120
    view.release()
    queue.push(buffer)
    assert buffer.frozen and bytes(queue.pop(0)) == b"xbc"


def test_each_of_several_views_counts():
    buffer = bridge.Buffer(3)
    views = [memoryview(buffer) for _ in range(3)]
    for view in views:
        with pytest.raises(bridge.BufferBusy):
            buffer.freeze()
        view.release()
    buffer.freeze()
    buffer.freeze()


def test_nothing_writes_a_frozen_buffer():
    buffer = bridge.Buffer(b"abc")
    buffer.freeze()
    assert memoryview(buffer).readonly
    with pytest.raises(TypeError):
        memoryview(buffer)[0] = 1
    with pytest.raises(TypeError, match="read-write"):
        io.BytesIO(b"xyz").readinto(buffer)
    view = ctypes.create_string_buffer(1024)
    with pytest.raises(BufferError) as caught:
        PyBUF_WRITABLE = 1
        ctypes.pythonapi.PyObject_GetBuffer(
            ctypes.py_object(buffer), view, PyBUF_WRITABLE
        )
    assert isinstance(caught.value, bridge.Frozen)
    assert bytes(buffer) == b"abc"


def test_reading_bytes_does_not_count_as_writing(tmp_path):
    buffer = bridge.Buffer(b"abc")
    (tmp_path / "file").write_bytes(buffer)
    assert (tmp_path / "file").read_bytes() == b"abc"
    assert b"".join([buffer]) == b"abc"
    assert bytes(buffer) == b"abc"
    buffer.freeze()


def test_a_view_keeps_the_bytes_when_the_buffer_is_dropped():
    buffer = bridge.Buffer(b"abc" * 1000)
    view = memoryview(buffer)
    array = numpy.frombuffer(buffer, dtype="u1")
    weak = weakref.ref(buffer)
    del buffer
    assert bytes(view) == b"abc" * 1000
    assert array.sum() == sum(b"abc") * 1000
    view.release()
    assert weak() is not None
    del array
    assert weak() is None


def test_a_buffer_says_what_it_is():
    buffer = bridge.Buffer(3)
    assert repr(buffer) == "<bridge.Buffer of 3 bytes, writable>"
    buffer.freeze()
    assert repr(buffer) == "<bridge.Buffer of 3 bytes, frozen>"
    assert bridge.Buffer(0)
    with pytest.raises(TypeError, match="unhashable"):
        hash(buffer)


def test_a_buffer_has_indices_and_slices():
    buffer = bridge.Buffer(b"hello")
    assert (buffer[0], buffer[-1], buffer[numpy.int64(1)]) == (104, 111, 101)
    for key in (
        slice(1, 3), slice(None), slice(-2, None), slice(4, 1), slice(9, 99),
        slice(None, None, -1), slice(4, 0, -2), slice(0, 5, 2),
    ):
        assert buffer[key] == b"hello"[key]
        assert type(buffer[key]) is bytes
    for index in (5, -6, 2**70):
        with pytest.raises(IndexError):
            buffer[index]
    for key in ("0", 1.5, None):
        with pytest.raises(TypeError):
            buffer[key]
    with pytest.raises(TypeError):
        buffer[0] = 1
    assert list(buffer) == list(b"hello")
    assert 104 in buffer and 0 not in buffer
    assert bridge.Buffer(0)[:] == b"" and list(bridge.Buffer(0)) == []
    buffer.freeze()  # none of it counts as writing
    assert buffer[1:] == b"ello"


def test_a_buffer_equals_what_has_the_same_bytes():
    buffer = bridge.Buffer(b"abcd")
    for same in (
        b"abcd", bytearray(b"abcd"), memoryview(b"abcd"), bridge.Buffer(b"abcd"), buffer
    ):
        assert buffer == same and same == buffer
        assert not buffer != same
    for other in (
        b"", b"abc", b"abce", bytearray(4), bridge.Buffer(4), memoryview(b"abcdabcd")[::2],
        "abcd", None, 4, [97, 98, 99, 100], object(),
    ):
        assert buffer != other and other != buffer
    assert bridge.Buffer(0) == b"" == bridge.Buffer(0)
    buffer.freeze()
    assert buffer == b"abcd"


def test_a_buffer_shows_nothing_of_how_it_is_made():
    public = {name for name in dir(bridge.Buffer) if not name.startswith("_")}
    assert public == {"freeze", "frozen"}
    assert not hasattr(bridge.Buffer, "__int__")
    help_text = pydoc.render_doc(bridge.Buffer)
    for word in ("disown", "thisown", "freeze_now", "acquire"):
        assert word not in help_text


def test_the_exporter_alone_has_no_bytes():
    with pytest.raises(ValueError, match="not initialised"):
        memoryview(bridge.core.Exporter())
    buffer = bridge.Buffer(b"abc")
    exporter = type("Other", (bridge.core.Exporter,), {"_core": buffer})()
    with pytest.raises(ValueError):
        memoryview(exporter)


def test_a_view_lives_on_when_the_buffer_gets_another_handle():
    buffer = bridge.Buffer(b"abc")
    view = memoryview(buffer)
    buffer._core = bridge.Buffer(b"xyz")._core
    assert bytes(view) == b"abc" and bytes(buffer) == b"xyz"
    view.release()
    buffer.freeze()


def test_lua_reads_a_buffer(service):
    assert service.call("length", bridge.Buffer(b"four")) == 4
