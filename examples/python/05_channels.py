#!/usr/bin/python3
"""Story 5: several workers share the work of two channels, what is urgent first,
and the host hears of it by a select.  Told in C and Lua, too."""

import bridge

WORKERS = 3
EACH = 200

# Whoever is free takes the next job.  `urgent` stands first, so it goes first.
WORKER = """
local bridge = require "bridge"
local urgent, normal, results, started, mutex, log = ...
started:wait()
while true do
  local place, number, code = bridge.select { urgent, normal }
  if not place then
    return assert(code == "ECLOSED" and "done") -- both are closed and empty
  end
  results:send(place, number * number)
  -- One at a time: the others wait, whichever thread they are on.
  mutex:with(function()
    log:set(log:get() + 1) -- in two steps, which nobody may come between
  end)
end
"""


def main():
    urgent, normal = bridge.Channel(), bridge.Channel(items=16)
    results, pulse = bridge.Channel(), bridge.Channel()
    started, mutex, log = bridge.Flag(), bridge.Mutex(), bridge.Counter()
    shared = (urgent, normal, results, started, mutex, log)
    workers = [bridge.Worker(WORKER, *shared) for _ in range(WORKERS)]

    # What is urgent is there before anybody begins.
    for number in range(1, EACH + 1):
        urgent.send(number)
    assert urgent.peek() == 1 and len(urgent) == EACH  # a look; it stays
    started.set()
    for number in range(1, EACH + 1):
        normal.send(number)  # waits while 16 are there
    urgent.close()
    normal.close()  # what is inside is received all the same

    # A timer posts to a channel, too: a host that waits for results has a pulse.
    sums, count, ticks = [0, 0], 0, 0
    with bridge.Timer(pulse, "tick", every=0.005):
        while count < 2 * EACH or ticks == 0:
            source, value = bridge.select([results, pulse])
            if source == 0:
                place, square = value
                sums[place - 1] += square
                count += 1
            else:
                ticks += 1

    assert [worker.join() for worker in workers] == ["done"] * WORKERS
    assert sums == [sum(n * n for n in range(EACH + 1))] * 2
    log.wait("==", 2 * EACH, timeout=10)
    with mutex as abandoned:  # a thread of Python is an owner like any other
        assert not abandoned
    print(f"{count} jobs by {WORKERS} workers, and the timer ticked")


main()
