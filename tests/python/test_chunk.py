"""bridge_run_chunk through a foreign function interface: ctypes, as any other would."""

import ctypes
import pathlib
import threading

import bridge


class Chunk(ctypes.Structure):
    """struct bridge_chunk."""


Finished = ctypes.CFUNCTYPE(None, ctypes.POINTER(Chunk))
Chunk._fields_ = [
    ("version", ctypes.c_uint),
    ("source", ctypes.c_char_p),
    ("size", ctypes.c_size_t),
    ("name", ctypes.c_char_p),
    ("options", ctypes.c_void_p),
    ("arguments", ctypes.c_void_p),
    ("finished", ctypes.c_void_p),
    ("user", ctypes.c_void_p),
    ("status", ctypes.c_int),
    ("results", ctypes.c_void_p),
    ("error", ctypes.c_void_p),
]

# The library that the package itself runs on.
library = ctypes.CDLL(str(next(pathlib.Path(bridge.__file__).parent.glob("_core*.so"))))
library.bridge_run_chunk.restype = ctypes.c_void_p
library.bridge_run_chunk.argtypes = [ctypes.c_void_p]
library.bridge_error_text.restype = ctypes.c_char_p
library.bridge_error_text.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
library.bridge_reader_init.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
library.bridge_reader_integer.argtypes = [ctypes.c_void_p, ctypes.c_void_p]


def chunk_of(source):
    chunk = Chunk()
    library.bridge_chunk_init(ctypes.byref(chunk))
    chunk.source = source
    return chunk


def run(chunk):
    """The value of a thread, as the status that it is."""
    return ctypes.c_int(library.bridge_run_chunk(ctypes.addressof(chunk)) or 0).value


def integer(message):
    reader = (ctypes.c_void_p * 2)()
    out = ctypes.c_int64()
    assert library.bridge_reader_init(reader, message) == 0
    assert library.bridge_reader_integer(reader, ctypes.byref(out)) == 0
    return out.value


def test_the_structure_is_the_one_of_the_header():
    chunk = chunk_of(b"")
    assert chunk.version == 1
    assert run(chunk) == 0
    library.bridge_chunk_clear(ctypes.byref(chunk))


def test_results_and_errors():
    chunk = chunk_of(b"return 6 * 7")
    assert run(chunk) == 0
    assert integer(chunk.results) == 42
    library.bridge_chunk_clear(ctypes.byref(chunk))
    assert chunk.results is None

    chunk = chunk_of(b"error('broken', 0)")
    status = run(chunk)
    assert status < 0
    assert chunk.status == status
    assert library.bridge_error_text(chunk.error, None) == b"broken"
    library.bridge_chunk_clear(ctypes.byref(chunk))
    assert run(chunk_of(None)) < 0


def test_on_python_s_own_threads():
    chunks = [chunk_of(b"local s = 0 for i = 1, 10000 do s = s + i end return s")
              for _ in range(8)]
    statuses = [None] * len(chunks)

    def work(index):
        statuses[index] = run(chunks[index])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(chunks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [0] * len(chunks)
    for chunk in chunks:
        assert integer(chunk.results) == 50005000
        library.bridge_chunk_clear(ctypes.byref(chunk))


def test_as_the_function_of_a_system_s_thread():
    """pthread_create, with the function's address as it stands in the library."""
    system = ctypes.CDLL(None)
    chunk = chunk_of(b"return 5")
    thread = ctypes.c_ulong()
    address = ctypes.cast(library.bridge_run_chunk, ctypes.c_void_p)
    assert system.pthread_create(ctypes.byref(thread), None, address,
                                 ctypes.byref(chunk)) == 0
    value = ctypes.c_void_p(1)
    assert system.pthread_join(thread, ctypes.byref(value)) == 0
    assert value.value is None
    assert integer(chunk.results) == 5
    library.bridge_chunk_clear(ctypes.byref(chunk))


def test_as_a_function_pointer():
    """What a callback of another library would be."""
    prototype = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
    start = prototype(("bridge_run_chunk", library))
    chunk = chunk_of(b"return 1")
    assert start(ctypes.addressof(chunk)) is None
    library.bridge_chunk_clear(ctypes.byref(chunk))


def test_says_that_it_is_over():
    seen = []

    @Finished
    def finished(chunk):
        seen.append(chunk.contents.status)

    chunk = chunk_of(b"return 1")
    chunk.finished = ctypes.cast(finished, ctypes.c_void_p)
    assert run(chunk) == 0
    assert seen == [0]
    library.bridge_chunk_clear(ctypes.byref(chunk))
