"""Queues: ours with all its features, beside those that do less."""

from rows import Aim, Row, Run

PEERS = {"moodycamel ConcurrentQueue": "libconcurrentqueue-dev"}

ROWS = [
    Row(
        what="queue: push and pop, one thread",
        unit="ns",
        better="less",
        ours=Run(["{programs}/queue_bridge"], cores="0"),
        aim=Aim("<=", 17),
    ),
]
