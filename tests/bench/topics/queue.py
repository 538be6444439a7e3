"""Queues: ours with all its features, beside those that do less.

A message of ours that is sent again compares with what the others move: those
without links in their items (moodycamel's, ck_ring) carry a number by value, the
others a node that the consumer reads.  None of them has bounds in bytes, close
or a waker.  Our consumer waits in pop, and sleeps if nothing comes; those of the
others never sleep: they look 200 times, and then let other threads run.

A message that is made, written, read and freed is shown by itself, beside malloc
and free of the same number.
"""

from rows import Aim, Row, Run

PEERS = {
    "moodycamel ConcurrentQueue": "libconcurrentqueue-dev",
    "Concurrency Kit": "libck-dev",
    "Userspace RCU": "liburcu-dev",
}

MOODYCAMEL = "moodycamel, tokens"
BULK = "moodycamel, tokens, bulk"


AGAIN = (
    "a message of ours is sent again as it was written once, since a message says"
    " more than a number; the peers with links write their number each time, those"
    " without carry it instead of an address."
)


def program(name, manner, producers=1):
    return Run([f"{{programs}}/queue_{name}", manner, str(producers)])


def alone(name):
    """On one thread; it stays on a core."""
    return Run([f"{{programs}}/queue_{name}", "pair"], cores="0")


def push(name):
    """The pushes alone are timed; the consumer never stops popping."""
    return Run([f"{{programs}}/queue_{name}", "push"])


def count(producers):
    return "1 producer" if producers == 1 else f"{producers} producers"


def one_by_one(producers):
    return Row(
        what=f"queue: {count(producers)}",
        unit="M/s",
        better="more",
        ours=program("bridge", "again-wait", producers),
        baselines={
            MOODYCAMEL: program("moodycamel_tokens", "again", producers),
            "moodycamel, no tokens": program("moodycamel", "again", producers),
            "ck_fifo": program("ckfifo", "again", producers),
            "ck_ring": program("ckring", "again", producers),
            "urcu wfcqueue": program("urcu", "again", producers),
            "mutex and list": program("mutex", "again", producers),
            "bare Vyukov list": program("vyukov", "again", producers),
            "bare Treiber list": program("treiber", "again", producers),
        },
        aim=Aim(">=", 1.0, MOODYCAMEL),
        note=AGAIN,
    )


def batches(producers):
    return Row(
        what=f"queue, pop 256 at once: {count(producers)}",
        unit="M/s",
        better="more",
        ours=program("bridge", "batch-wait", producers),
        baselines={
            BULK: program("moodycamel_tokens", "batch", producers),
            "moodycamel, no tokens, bulk": program("moodycamel", "batch", producers),
        },
        aim=Aim(">=", 0.9, BULK),
    )


def fresh(producers):
    return Row(
        what=f"queue and message made, written, read and freed: {count(producers)}",
        unit="M/s",
        better="more",
        ours=program("bridge", "fresh-wait", producers),
        baselines={
            "moodycamel, tokens, malloc": program(
                "moodycamel_tokens", "fresh", producers
            ),
            "mutex and list, malloc": program("mutex", "fresh", producers),
        },
    )


def crowd(producers):
    """More threads than cores: a queue may lose little by them."""
    few = "ours, 2 producers"
    return Row(
        what=f"queue: {producers} producers",
        unit="M/s",
        better="more",
        ours=program("bridge", "again-wait", producers),
        baselines={
            few: program("bridge", "again-wait", 2),
            MOODYCAMEL: program("moodycamel_tokens", "again", producers),
            "ck_ring": program("ckring", "again", producers),
        },
        aim=Aim(">=", 0.5, few),
        note="a ring whose producers wait for each other stands still here.",
    )


def channel(senders, receivers):
    """Both sides sleep where they have to, and every message is a new one."""

    def of(name):
        return Run(
            [f"{{programs}}/channel_{name}", str(senders), str(receivers)]
        )

    deque = "C++: deque, mutex and conditions"
    return Row(
        what=f"channel, room for 1024: {count(senders)}, {receivers} receiving",
        unit="M/s",
        better="more",
        ours=of("bridge"),
        baselines={deque: of("deque")},
        note="an item of the deque is a number on the heap.",
    )


ROWS = [
    *map(one_by_one, (1, 2, 4)),
    *map(batches, (1, 2, 4)),
    Row(
        what="queue, push 64 and pop 256 at once: 2 producers",
        unit="M/s",
        better="more",
        ours=program("bridge", "bulk-wait", 2),
        baselines={BULK: program("moodycamel_tokens", "bulk", 2)},
    ),
    Row(
        what="queue, consumer asks and never waits: 1 producer",
        unit="M/s",
        better="more",
        ours=program("bridge", "again"),
        baselines={MOODYCAMEL: program("moodycamel_tokens", "again")},
        note="each time it finds nothing it promises a wake-up, as for a loop.",
    ),
    Row(
        what="queue, everybody's consumer sleeps: 1 producer",
        unit="M/s",
        better="more",
        ours=program("bridge", "again-wait"),
        baselines={
            "moodycamel, blocking": program("moodycamel_blocking", "again-wait"),
            "mutex, list and condition": program("mutex", "again-wait"),
        },
    ),
    *map(fresh, (1, 4)),
    Row(
        what="bridge_mpsc: 2 producers",
        unit="M/s",
        better="more",
        ours=program("mpsc", "again", 2),
        baselines={
            "bare Treiber list": program("treiber", "again", 2),
            "bare Vyukov list": program("vyukov", "again", 2),
        },
    ),
    Row(
        what="queue: push and pop, one thread",
        unit="ns",
        better="less",
        ours=alone("bridge"),
        baselines={
            "bridge_mpsc": alone("mpsc"),
            MOODYCAMEL: alone("moodycamel_tokens"),
            "moodycamel, no tokens": alone("moodycamel"),
            "ck_ring": alone("ckring"),
            "urcu wfcqueue": alone("urcu"),
            "mutex and list": alone("mutex"),
        },
        aim=Aim("<=", 17),
    ),
    Row(
        what="queue: one push, the receiver awake on another core",
        unit="ns",
        better="less",
        ours=push("bridge"),
        baselines={
            MOODYCAMEL: push("moodycamel_tokens"),
            "moodycamel, no tokens": push("moodycamel"),
            "ck_ring": push("ckring"),
            "urcu wfcqueue": push("urcu"),
            "mutex and list": push("mutex"),
        },
        aim=Aim("<=", 25),
        note="of messages that are ready, 64 between two looks at the clock; the"
        " receiver pops without waiting and tries again when it found nothing.",
    ),
    *map(crowd, (8, 32)),
    channel(1, 1),
    channel(2, 2),
]

SHORT = (
    "queue: 1 producer",
    "queue: 4 producers",
    "queue, pop 256 at once: 4 producers",
    "queue: push and pop, one thread",
)
