"""Workers."""

import os
import selectors
import threading
import time

import pytest

import bridge


# ---- A chunk with arguments and results


def test_join_gives_what_the_chunk_returned_to_everybody():
    worker = bridge.Worker("local a, b = ... return a + b, {a, b}", 1, 2)
    for _ in range(3):
        assert worker.join(timeout=30) == (3, [1, 2])


def test_one_result_is_itself_and_none_is_an_empty_tuple():
    assert bridge.Worker("return 6 * 7").join(timeout=30) == 42
    assert bridge.Worker("return nil").join(timeout=30) is None
    assert bridge.Worker("return {}").join(timeout=30) == []
    assert bridge.Worker("").join(timeout=30) == ()


def test_a_chunk_is_text_of_any_kind():
    assert bridge.Worker(b"return 'a\0b'").join(timeout=30) == "a\0b"
    assert bridge.Worker("return 'a\0b'").join(timeout=30) == "a\0b"
    assert bridge.Worker("return 'h\udcff'").join(timeout=30) == "h\udcff"


def test_a_chunk_comes_from_a_file(tmp_path):
    path = tmp_path / "chunk.lua"
    path.write_text("return 'from', ...")
    for file in (path, str(path), os.fsencode(path)):
        assert bridge.Worker(None, 1, file=file).join(timeout=30) == ("from", 1)


def test_a_file_whose_name_is_no_utf8(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.lua"
    with open(path, "w") as file:
        file.write("return 1")
    for name in (path, os.fsdecode(path)):
        assert bridge.Worker(file=name).join(timeout=30) == 1


def test_a_file_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(bridge.NotFound) as caught:
        bridge.Worker(file=tmp_path / "nothing.lua")
    assert isinstance(caught.value, LookupError)
    assert "nothing.lua" in str(caught.value)


def test_a_chunk_that_does_not_parse_is_reported_at_once():
    with pytest.raises(bridge.LuaSyntaxError) as caught:
        bridge.Worker("return +", name="odd")
    assert isinstance(caught.value, bridge.LuaError)
    assert caught.value.status == "ESYNTAX"
    assert "odd:1:" in str(caught.value)


def test_binary_chunks_only_if_asked():
    dump = bridge.Worker("return string.dump(function(...) return 7, ... end)")
    code = dump.join(timeout=30)
    with pytest.raises(bridge.LuaError):
        bridge.Worker(code)
    assert bridge.Worker(code, 8, binary_chunks=True).join(timeout=30) == (7, 8)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"source": "", "file": "x"},
        {"source": "", "drive": "magic"},
        {"source": "", "waker": "bell"},
        {"source": "", "memory": "lots"},
        {"source": "", "memory": -1},
        {"source": "", "memory": "1 parsec"},
        {"source": "", "memory": 2**64},
        {"source": "", "stack_size": -1},
        {"source": "", "inbox_items": -1},
        {"source": "", "inbox_bytes": -1},
        {"source": "", "name": "a\0b"},
        {"file": "a\0b"},
        {"source": "", "libraries": "string\0"},
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_errors(arguments):
    with pytest.raises(bridge.InvalidError):
        bridge.Worker(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"source": 7},
        {"source": print},
        {"source": "", "name": 7},
        {"source": "", "path": 7},
        {"source": "", "libraries": 7},
        {"source": "", "memory": 1.5},
        {"source": "", "nonsense": 7},
        {"file": 7},
    ],
    ids=str,
)
def test_options_of_a_wrong_type_are_errors(arguments):
    with pytest.raises(TypeError):
        bridge.Worker(**arguments)


def test_an_argument_that_cannot_cross_is_named():
    with pytest.raises(bridge.NotShareableError, match=r"argument 2\['x'\]"):
        bridge.Worker("", 1, {"x": object()})


# ---- Libraries, paths, memory


def test_libraries_are_all_or_some_or_none():
    ask = "return (_G.string ~= nil), (_G.os ~= nil)"
    assert bridge.Worker(ask).join(timeout=30) == (True, True)
    assert bridge.Worker(ask, libraries=["base", "string"]).join(30) == (True, False)
    assert bridge.Worker(ask, libraries="base,string").join(30) == (True, False)
    for none in ("", [], ()):
        assert bridge.Worker("return _G == nil", libraries=none).join(30) is True
    with pytest.raises(bridge.NotFound, match="strong"):
        bridge.Worker(ask, libraries=["strong"])


def test_paths_are_those_of_lua(tmp_path):
    (tmp_path / "mine.lua").write_text("return {answer = 42}")
    worker = bridge.Worker("return require('mine').answer", path=f"{tmp_path}/?.lua")
    assert worker.join(timeout=30) == 42
    assert bridge.Worker("return package.cpath", cpath="x/?.so").join(30) == "x/?.so"


def test_memory_is_limited_and_reported():
    worker = bridge.Worker(
        "local t = {} for i = 1, 1e9 do t[i] = {i} end", memory_limit="4MiB"
    )
    with pytest.raises(bridge.LuaMemoryError) as caught:
        worker.join(timeout=60)
    assert isinstance(caught.value, MemoryError)
    assert isinstance(caught.value, bridge.LuaError)
    assert ":1: in main chunk" in caught.value.traceback
    used, peak, limit = worker.memory
    # What the libraries take does not count, but is in all three numbers.
    assert 4 * 2**20 <= limit < 4.2 * 2**20
    assert used == 0
    assert 2**20 < peak <= limit


@pytest.mark.parametrize(
    ("text", "size"),
    [("64MiB", 64 * 2**20), ("1 kB", 1000), ("3", 3), ("2gib", 2**31), (5, 5)],
)
def test_sizes_are_numbers_or_texts(text, size):
    worker = bridge.Worker("", inbox_bytes=text, memory_limit="8MiB")
    worker.join(timeout=30)
    assert bridge.options.size("memory", text, 2**40) == size


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"memory": 2.5}, TypeError, "memory is bytes or a text like '64MiB', not 2.5"),
        ({"memory": "lots"}, ValueError, "memory is bytes or .*, not 'lots'"),
        ({"memory": 0}, ValueError, "memory is 1 or more, not 0"),
        ({"memory_limit": 0}, ValueError, "memory_limit is 1 or more, not 0"),
        ({"memory_limit": 1, "memory": 1}, ValueError, "old name of memory_limit"),
        ({"memory": "9" * 5000}, ValueError, "memory is bytes or a text"),
        ({"inbox_items": 0}, ValueError, "inbox_items is 1 to 4,194,303, not 0"),
        ({"inbox_items": "5"}, TypeError, "inbox_items is a whole number, not '5'"),
        ({"inbox_bytes": 2**40}, ValueError, "inbox_bytes is 1 to 549,755,813,888"),
        ({"stack_size": []}, TypeError, r"stack_size is bytes or .*, not \[\]"),
        ({"tracebacks": 1}, TypeError, "tracebacks is True or False, not 1"),
        ({"binary_chunks": "no"}, TypeError, "binary_chunks is True or False, not 'no'"),
        ({"name": 7}, TypeError, "name is a text, not 7"),
        ({"name": "a\0b"}, ValueError, "name is a text without NULs"),
        ({"path": 7}, TypeError, "path is a text, not 7"),
        ({"cpath": b"\0"}, ValueError, "cpath is a text without NULs"),
        ({"libraries": 7}, TypeError, "libraries is None, or names .*, not 7"),
        ({"libraries": [7]}, TypeError, r"libraries is None, or names .*, not \[7\]"),
        ({"libraries": b"os"}, TypeError, "libraries is None, or names .*, not b'os'"),
        ({"drive": None}, TypeError, "drive is one of 'thread', 'host', not None"),
        ({"drive": []}, TypeError, "drive is one of"),
        ({"waker": 3}, TypeError, "a waker is one of .*, not 3"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_error_of_an_option_names_it_and_what_it_may_be(arguments, error, text):
    with pytest.raises(error, match=text) as caught:
        bridge.Worker("", **arguments)
    assert isinstance(caught.value, bridge.InvalidError) == (error is ValueError)


def test_a_source_and_a_grace_of_a_wrong_type_are_named(service):
    with pytest.raises(TypeError, match="source is a text or bytes, not 7"):
        bridge.Worker(7)
    with pytest.raises(TypeError, match="grace is None or seconds, not 'x'"):
        service.close("x")
    with pytest.raises(bridge.InvalidError, match="grace is None or seconds from 0"):
        service.close(-1)
    assert service.call("echo", 1, timeout=30) == 1


# ---- Errors


def test_an_error_has_the_value_the_text_and_the_frames():
    worker = bridge.Worker(
        "local function inner() error({code = 7}) end\n"
        "local function outer() inner() end\n"
        "outer()",
        name="bad",
    )
    with pytest.raises(bridge.LuaError) as caught:
        worker.join(timeout=30)
    error = caught.value
    assert error.value == {"code": 7}
    assert error.worker == "bad"
    assert (error.status, error.code) == ("ESCRIPT", -14)
    lines = [(frame.name, frame.line) for frame in error.frames if frame.what == "Lua"]
    assert lines[:2] == [("inner", 1), ("outer", 2)]
    assert error.frames[-1].what == "main"
    assert "bad:2:" in error.traceback
    assert error.traceback in str(error)
    assert error.message in str(error)


def test_an_error_of_text_is_that_text():
    with pytest.raises(bridge.LuaError) as caught:
        bridge.Worker("error('oops \\255', 0)").join(timeout=30)
    assert caught.value.value == "oops \udcff"
    assert caught.value.message == "oops \udcff"


def test_an_error_value_that_cannot_cross_is_its_text():
    with pytest.raises(bridge.LuaError) as caught:
        bridge.Worker("error(setmetatable({}, {__tostring = function() return 'mine' end}))").join(30)
    assert (caught.value.value, caught.value.message) == ([], "mine")
    with pytest.raises(bridge.LuaError) as caught:
        bridge.Worker("error(print)").join(timeout=30)
    assert caught.value.value == caught.value.message
    assert "function" in caught.value.message


def test_tracebacks_can_be_off():
    with pytest.raises(bridge.LuaError) as caught:
        bridge.Worker("error('x')", tracebacks=False).join(timeout=30)
    assert caught.value.traceback == ""
    assert str(caught.value) == caught.value.message


def test_errors_go_through_pickle():
    import pickle

    with pytest.raises(bridge.LuaError) as caught:
        bridge.Worker("error({1})").join(timeout=30)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.value, copy.frames, str(copy)) == (
        caught.value.value,
        caught.value.frames,
        str(caught.value),
    )
    for each in (bridge.Timeout("t"), bridge.Full("f"), bridge.NotFound("n")):
        back = pickle.loads(pickle.dumps(each))
        assert (type(back), str(back), back.code) == (type(each), str(each), each.code)


# ---- A service


def test_a_service_answers(service):
    assert service.call("echo", 1, "b") == (1, "b")
    assert service.call("nothing") == ()
    assert service.phase == "serving"
    assert service.alive


@pytest.mark.parametrize(
    "name, shown",
    [
        ("add\0", r"'add\000'"),
        ("\0\n\x1b\x7f!", r"'\000\010\027\127!'"),
        ("\0" * 81, "'" + r"\000" * 80 + "'"),
        ("n" * 81, "'" + "n" * 80 + "'"),
        ("", "''"),
        ("h\u00e4", "'h\u00e4'"),
    ],
)
def test_a_name_that_nobody_has_is_shown_whole(service, name, shown):
    with pytest.raises(bridge.NotFound) as caught:
        service.call(name)
    assert str(caught.value).endswith("no handler is called " + shown)


def test_each_failure_of_a_call_is_its_own_error(service):
    with pytest.raises(bridge.NotFound, match="unheard"):
        service.call("unheard")
    with pytest.raises(bridge.LuaError) as caught:
        service.call("fail", {"why": 1})
    assert caught.value.value == {"why": 1}
    assert caught.value.worker == "service"
    with pytest.raises(bridge.NotShareableError):
        service.call("echo", object())
    with pytest.raises(bridge.Timeout):
        service.call("sleep", 5, timeout=0.02)
    with pytest.raises(TypeError):
        service.call(7)
    with pytest.raises(bridge.InvalidError):
        service.call("echo", timeout=-1)
    assert service.call("echo", "still there") == "still there"


def test_a_late_answer_harms_nothing(service):
    for _ in range(20):
        with pytest.raises(bridge.Timeout):
            service.call("sleep", 0.7, timeout=0.001)
    assert [service.call("echo", i) for i in range(50)] == list(range(50))
    assert service.call("sleep", 0.8) == "slept"
    assert [service.call("echo", i) for i in range(50)] == list(range(50))


def test_handlers_that_wait_do_not_hold_the_others(service):
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(service.call("sleep", 0.3)))
        for _ in range(10)
    ]
    before = time.monotonic()
    for thread in threads:
        thread.start()
    assert service.call("echo", 1) == 1
    for thread in threads:
        thread.join()
    assert results == ["slept"] * 10
    assert time.monotonic() - before < 10 * 0.3


def test_send_is_done_without_an_answer(service, queue):
    service.send("push", queue, "sent")
    assert queue.pop(timeout=30) == "sent"
    service.send("unheard")
    service.send("fail", 1)
    assert service.call("echo", 1) == 1


def test_calls_from_many_threads_get_their_own_answers(service):
    wrong = []

    def ask(who):
        for i in range(200):
            if service.call("echo", who, i) != (who, i):
                wrong.append((who, i))

    threads = [threading.Thread(target=ask, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_worker_that_dies_says_so_to_who_waits():
    worker = bridge.Worker(
        "local bridge = require 'bridge'\n"
        "bridge.serve{ hang = function() bridge.stop() bridge.sleep(60) end }"
    )
    seen = []

    def ask():
        try:
            worker.call("hang")
        except bridge.Error as error:
            seen.append(type(error))

    thread = threading.Thread(target=ask)
    thread.start()
    while worker.phase != "stopping" and worker.alive:
        time.sleep(0)
    worker.cancel()
    thread.join(timeout=30)
    assert seen == [bridge.Cancelled]


def test_a_worker_that_ended_refuses():
    worker = bridge.Worker("return 1")
    worker.join(timeout=30)
    for use in (lambda: worker.call("x"), lambda: worker.send("x")):
        with pytest.raises(bridge.WorkerDied):
            use()


def test_a_worker_that_does_not_serve_dies_without_an_answer():
    worker = bridge.Worker("local q = ... q:pop()", hold := bridge.Queue())
    with pytest.raises(bridge.Timeout):
        worker.call("x", timeout=0.02)
    seen = []

    def ask():
        try:
            worker.call("x")
        except bridge.Error as error:
            seen.append(type(error))

    thread = threading.Thread(target=ask)
    thread.start()
    hold.push(1)
    worker.join(timeout=30)
    thread.join(timeout=30)
    assert seen == [bridge.WorkerDied]


def test_a_full_inbox_is_full():
    hold = bridge.Queue()
    worker = bridge.Worker("local q = ... q:pop()", hold, inbox_items=2)
    worker.send("a")
    worker.send("b")
    with pytest.raises(bridge.Full):
        worker.send("c", timeout=0)
    with pytest.raises(bridge.Full):
        worker.call("c", timeout=0)
    with pytest.raises(bridge.Timeout):
        worker.send("c", timeout=0.01)
    with pytest.raises(bridge.Timeout):
        worker.call("c", timeout=0.01)
    hold.push(1)
    worker.join(timeout=30)


# ---- Ending


def test_stopping_answers_what_is_asked_and_refuses_the_rest(service):
    service.stop()
    service.stop()
    service.join(timeout=30)
    assert service.phase == "ended"
    assert not service.alive
    with pytest.raises((bridge.Closed, bridge.WorkerDied)):
        service.call("echo", 1)


def test_cancelling_breaks_a_wait():
    hold = bridge.Queue()
    worker = bridge.Worker("local q = ... return q:pop()", hold)
    worker.cancel("cooperative")
    assert worker.join(timeout=30) == (None, "cancelled", "ECANCELLED")
    assert not worker.alive
    worker = bridge.Worker("local q = ... while true do pcall(q.pop, q) end", hold)
    worker.cancel()
    with pytest.raises(bridge.Cancelled):
        worker.join(timeout=30)


def test_closing_ends_a_service_and_twice_is_harmless(service):
    service.close()
    service.close(grace=0)
    assert service.phase == "ended"


def test_closing_stops_a_worker_that_computes(spinning):
    worker = spinning()
    worker.close(grace=0.02)
    assert worker.phase == "ended"
    with pytest.raises(bridge.Cancelled) as caught:
        worker.join(timeout=30)
    assert caught.value.frames[0].what == "main"


def test_with_closes_also_when_the_body_raises():
    with pytest.raises(ZeroDivisionError):
        with bridge.Worker("local q = ... q:pop()", bridge.Queue()) as worker:
            1 / 0
    assert not worker.alive


def test_joining_a_worker_that_runs_times_out(spinning):
    worker = spinning()
    with pytest.raises(bridge.Timeout):
        worker.join(timeout=0)
    with pytest.raises(bridge.Timeout):
        worker.join(timeout=0.02)
    assert worker.phase == "running"


def test_dropping_a_worker_does_not_stop_it_and_does_not_wait(queue):
    hold = bridge.Queue()
    bridge.Worker("local hold, out = ... hold:pop() out:push('done')", hold, queue)
    hold.push(1)
    assert queue.pop(timeout=30) == "done"


# ---- Driven by the host

HOST = """
local bridge = require "bridge"
return bridge.serve {
  echo = function(...) return ... end,
  sleep = function(s) bridge.sleep(s) return "slept" end,
}
"""


def drive(worker, answer):
    with selectors.DefaultSelector() as selector:
        selector.register(worker, selectors.EVENT_READ)
        while answer.is_alive():
            while worker.step():
                pass
            wait = worker.timeout()
            selector.select(0.02 if wait is None else min(wait, 0.02))


@pytest.mark.parametrize("kind", ["default", "eventfd", "pipe", "udp"])
def test_a_host_drives_a_worker(kind):
    worker = bridge.Worker(HOST, drive="host", waker=kind)
    results = []
    thread = threading.Thread(
        target=lambda: results.extend(
            [worker.call("echo", 1), worker.call("sleep", 0.01), worker.call("echo", 2)]
        )
    )
    thread.start()
    drive(worker, thread)
    thread.join()
    assert results == [1, "slept", 2]
    worker.close()
    with pytest.raises(bridge.Closed):
        worker.step()
    assert worker.join() == ()


def test_a_host_s_worker_needs_steps_not_waiting():
    worker = bridge.Worker("return 1", drive="host")
    with pytest.raises(bridge.Unsupported, match="you drive this worker: step it"):
        worker.join(timeout=1)
    with pytest.raises(bridge.Closed):
        while worker.step():
            pass
        worker.step()
    assert worker.join() == 1


def test_a_worker_with_a_thread_takes_no_steps(service):
    for use in (service.step, service.timeout, service.fileno, lambda: service.waker):
        with pytest.raises(bridge.Unsupported, match="has a thread of its own"):
            use()
    with pytest.raises(bridge.InvalidError, match="budget is 1 or more, not -1"):
        service.step(-1)
    with pytest.raises(TypeError, match="budget is a whole number, not '1MiB'"):
        service.step("1MiB")
    assert service.call("echo", 3) == 3  # the refusal was no step


def test_with_closes_a_worker_of_the_host():
    with bridge.Worker(HOST, drive="host") as worker:
        assert worker.step() is False
        assert worker.phase == "serving"
        assert worker.timeout() is None
    assert worker.phase == "ended"


def test_closing_a_worker_that_was_never_stepped_does_not_run_it(queue):
    worker = bridge.Worker("(...):push('ran')", queue, drive="host")
    worker.close(grace=None)
    assert worker.phase == "ended"
    with pytest.raises(bridge.Empty):
        queue.pop(timeout=0)
    with pytest.raises(bridge.Closed):
        worker.step()
    worker.close()


def test_closing_a_worker_of_the_host_ends_what_it_does():
    worker = bridge.Worker("require('bridge').sleep(1e6)", drive="host")
    assert worker.step() is False
    worker.close(grace=0.01)
    assert worker.phase == "ended"


def test_closing_a_worker_of_the_host_ends_what_computes():
    source = """
    local bridge = require "bridge"
    bridge.sleep(0.001)
    while true do end
    """
    worker = bridge.Worker(source, drive="host")
    assert worker.step() is False
    worker.close(grace=0.05)
    assert worker.phase == "ended"


# ---- The rest


def test_workers_have_names_and_numbers():
    first = bridge.Worker("", name="häß")
    second = bridge.Worker("")
    assert first.name == "häß"
    assert second.name.startswith("worker-")
    assert 0 < first.id < second.id
    second.join(timeout=30)
    assert repr(second) == f"<bridge.Worker {second.name}, ended>"


def test_lua_makes_workers_and_hands_them_on():
    worker = bridge.Worker(
        """
        local bridge = require "bridge"
        return bridge.worker [[
          local bridge = require "bridge"
          return bridge.serve { twice = function(n) return 2 * n end }
        ]]
        """
    ).join(timeout=30)
    assert isinstance(worker, bridge.Worker)
    with worker:
        assert worker.call("twice", 21) == 42


def test_many_workers_at_once():
    workers = [
        bridge.Worker("require 'bridge' local n = ... return n * n", i) for i in range(200)
    ]
    assert [worker.join(timeout=60) for worker in workers] == [i * i for i in range(200)]


def test_cores_and_version():
    assert bridge.cores() == len(os.sched_getaffinity(0))
    assert bridge.__version__.count(".") == 2


def test_a_call_tells_what_ended_the_worker():
    worker = bridge.Worker("local x = nil .. 'typo'", name="broken")
    with pytest.raises(bridge.LuaError):
        worker.join()
    with pytest.raises(bridge.WorkerDied, match="broken:1: attempt to concatenate"):
        worker.call("anything")


def test_the_thread_that_steps_a_worker_cannot_wait_for_it():
    source = "return require('bridge').serve { echo = function(x) return x end }"
    worker = bridge.Worker(source, drive="host")
    assert not worker.step()
    with pytest.raises(bridge.Deadlock):
        worker.call("echo", 1)
    worker.close()


@pytest.mark.parametrize("sandbox", [False, True])
def test_tracebacks_name_functions_as_scripts_know_them(sandbox):
    source = "local b = require 'bridge' b.sleep('long') return 1"
    with pytest.raises(bridge.LuaError) as caught:
        bridge.Worker(source, sandbox=sandbox).join(timeout=30)
    assert "in function 'bridge.sleep'" in caught.value.traceback
