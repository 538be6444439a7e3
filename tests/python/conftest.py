"""What the tests of the Python face share."""

import os
import subprocess
import sys

import pytest

import bridge

SERVICE = """
local bridge = require "bridge"
return bridge.serve {
  echo = function(...) return ... end,
  kind = function(v) return math.type(v) or type(v) end,
  length = function(s) return #s end,
  bytes = function(s) return s:byte(1, -1) end,
  fail = function(value) error(value, 0) end,
  nothing = function() end,
  push = function(queue, ...) return queue:push(...) end,
  sleep = function(seconds) bridge.sleep(seconds) return "slept" end,
}
"""

SPIN = "local go = ... go:push('up') while true do end"


@pytest.fixture
def service():
    """A worker that answers."""
    with bridge.Worker(SERVICE, name="service") as worker:
        yield worker


@pytest.fixture
def queue():
    """A queue that a selector can watch."""
    with bridge.Queue(waker="default") as queue:
        yield queue


@pytest.fixture
def spinning():
    """A worker that computes and never asks, for ever."""

    def spin():
        up = bridge.Queue()
        worker = bridge.Worker(SPIN, up)
        assert up.pop(timeout=30) == "up"
        return worker

    return spin


@pytest.fixture
def python(tmp_path):
    """Run a program in a Python of its own."""

    def run(text, *args, **options):
        script = tmp_path / "program.py"
        script.write_text(text)
        # These programs end while their workers run, or are children of a fork:
        # what the threads hold is then no leak.
        before = os.environ.get("ASAN_OPTIONS")
        leaks = "detect_leaks=0" if before is None else f"{before}:detect_leaks=0"
        return subprocess.run(
            [sys.executable, str(script), *args],
            env=dict(os.environ, ASAN_OPTIONS=leaks),
            capture_output=True,
            text=True,
            timeout=60,
            **options,
        )

    return run
