"""What is logged, and where it goes."""

import logging
import threading

import pytest

import bridge

LONG = 30


class Heard(logging.Handler):
    """Keeps what comes, for who waits for it."""

    def __init__(self):
        super().__init__()
        self.records = []
        self.come = threading.Condition()

    def emit(self, record):
        with self.come:
            self.records.append(record)
            self.come.notify_all()

    def wait(self, wanted):
        def found():
            return next((each for each in self.records if wanted(each)), None)

        with self.come:
            assert self.come.wait_for(found, timeout=LONG)
            return found()


@pytest.fixture
def heard():
    logger = logging.getLogger("bridge.test")
    handler = Heard()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield logger, handler
    bridge.set_logger(None)
    logger.removeHandler(handler)


def test_records_have_the_names_of_workers(heard):
    logger, handler = heard
    bridge.set_logger(logger)
    with bridge.Worker("require 'bridge'.log.info('hello')", name="w1") as worker:
        record = handler.wait(lambda each: each.getMessage() == "hello")
    assert (record.name, record.levelno) == ("bridge.test.w1", logging.INFO)
    assert (record.worker, record.worker_id) == ("w1", worker.id)
    assert record.exc_info is None
    assert "bridge.test.w1" not in logging.Logger.manager.loggerDict


def test_what_a_watchdog_says_is_told_once_and_is_no_error(heard, spinning):
    logger, handler = heard
    bridge.set_logger(logger)
    bridge.set_watchdog(0.01)
    try:
        with spinning():
            record = handler.wait(lambda each: "without a break" in each.getMessage())
    finally:
        bridge.set_watchdog(0)
    assert record.exc_info is None
    assert logging.Formatter().format(record).count("stack traceback:") == 1
    assert record.lineno == 1


def test_a_script_cannot_fill_a_log_by_one_text(heard):
    logger, handler = heard
    bridge.set_logger(logger)
    source = r"""local log = require 'bridge'.log
        log.info(('x'):rep(1 << 20)) log.info(('\u{e9}'):rep(4000))
        log.info(('y'):rep(4096))"""
    bridge.Worker(source, sandbox=True).join(LONG)
    texts = [
        handler.wait(lambda each: each.getMessage().startswith(first)).getMessage()
        for first in "x\u00e9y"
    ]
    assert texts[0] == "x" * 4096 + f"... ({2**20 - 4096} more bytes)"
    assert texts[1] == "\u00e9" * 2048 + "... (3904 more bytes)"
    assert texts[2] == "y" * 4096
    bridge.log("info", "mine" * 4096)
    handler.wait(lambda each: each.getMessage() == "mine" * 4096)


def test_errors_that_nobody_else_hears_come_with_their_stack(heard):
    logger, handler = heard
    bridge.set_logger(logger)
    source = "return require 'bridge'.serve{f = function() error({code = 5}) end}"
    with bridge.Worker(source, name="w2") as worker:
        worker.send("f")
        record = handler.wait(lambda each: each.exc_info is not None)
    kind, error, _ = record.exc_info
    assert kind is bridge.LuaError
    assert error.value == {"code": 5}
    assert error.worker == "w2"
    assert error.frames
    assert "stack traceback" in logging.Formatter().format(record)


def test_one_worker_has_a_log_of_its_own(heard):
    logger, handler = heard
    with bridge.Worker("require 'bridge'.log.error('mine')", log=logger):
        record = handler.wait(lambda each: each.getMessage() == "mine")
    assert record.name == "bridge.test"


def test_a_function_and_a_queue_take_records():
    taken = bridge.Queue()

    def take(record):
        taken.push(record.text, record.level)

    bridge.set_logger(take)
    bridge.log("warning", "to a function")
    assert taken.pop(timeout=LONG) == ("to a function", "warning")
    queue = bridge.Queue()
    bridge.set_logger(queue)
    bridge.log("info", "to a queue")
    record = bridge.Record.of(queue.pop(timeout=LONG))
    bridge.set_logger(None)
    assert (record.text, record.worker, record.id) == ("to a queue", "", 0)
    assert (record.error, record.suppressed) == (None, 0)


def test_levels():
    queue = bridge.Queue()
    bridge.set_logger(queue)
    bridge.set_log_level("error")
    bridge.log("warning", "no")
    bridge.log("error", "yes")
    bridge.set_log_level("info")
    bridge.set_logger(None)
    assert queue.pop(timeout=LONG)["text"] == "yes"
    for wrong in ("loud", "ERROR", ""):
        with pytest.raises(bridge.InvalidError):
            bridge.set_log_level(wrong)
        with pytest.raises(bridge.InvalidError):
            bridge.log(wrong, "x")
    for wrong in (1, None):
        with pytest.raises(TypeError):
            bridge.set_logger(1)
        with pytest.raises(TypeError):
            bridge.log("info", wrong)


def test_a_cause_is_the_cause():
    failing = "return require 'bridge'.serve{f = function() error('deep') end}"
    asking = """
    local bridge, other = require "bridge", ...
    return bridge.serve{ask = function()
      local ok, _, _, failure = other:call("f")
      if not ok then error(failure, 0) end
    end}
    """
    with bridge.Worker(failing, name="inner") as inner:
        with bridge.Worker(asking, inner, name="outer") as outer:
            with pytest.raises(bridge.LuaError) as caught:
                outer.call("ask", timeout=LONG)
    cause = caught.value.__cause__
    assert isinstance(cause, bridge.LuaError)
    assert "deep" in cause.message
    assert "in method 'call'" in cause.caller
    assert caught.value.caller == ""


def test_what_is_logged_at_the_end_is_not_lost(python):
    run = python(
        "import bridge, logging\n"
        "logging.basicConfig(format='%(name)s: %(message)s', level=logging.INFO)\n"
        "bridge.set_logger(logging.getLogger('bridge'))\n"
        "bridge.Worker(\"require 'bridge'.log.info('last')\", name='w').join()\n"
    )
    assert (run.returncode, run.stderr) == (0, "bridge.w: last\n")
