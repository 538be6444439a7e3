"""Waking: what it costs to tell another thread, awake, waiting or asleep."""

from rows import Aim, Row, Run

PEERS = {
    "libuv": "libuv1-dev",
    "moodycamel ConcurrentQueue": "libconcurrentqueue-dev",
}


def program(name, *arguments, cores=None):
    return Run([f"{{programs}}/wake_{name}", *arguments], cores=cores)


def counted(name):
    return Run(["{python}", "{bench}/wake_syscalls.py", f"{{programs}}/wake_load_{name}"])


def trips(kind, cores=None):
    return {
        "futex": program("futex", kind, cores=cores),
        "eventfd, read": program("eventfd", kind, cores=cores),
        "condition variable": program("condition", kind, cores=cores),
        "moodycamel, blocking": program("moodycamel", kind, cores=cores),
    }


def loops(kind, cores=None):
    return {
        "eventfd and poll()": program("poll", kind, cores=cores),
        "libuv, uv_async_send": program("uv", kind, cores=cores),
    }


ROWS = [
    Row(
        what="wake: system calls per message under load, pop waits",
        unit="calls",
        better="less",
        ours=counted("bridge"),
        baselines={"list, eventfd written each time": counted("eventfd")},
        aim=Aim("<=", 0.01),
        note="two threads make messages as fast as they can, so that the queue is"
        " full most of the time; calls to wake and to wait are counted, on both"
        " sides, not those for memory.",
    ),
    Row(
        what="wake: system calls per message under load, in a loop with poll()",
        unit="calls",
        better="less",
        ours=counted("poll"),
        baselines={"list, eventfd written each time": counted("eventfd")},
        aim=Aim("<=", 0.01),
    ),
    Row(
        what="wake: raise a waker whose receiver is awake",
        unit="ns",
        better="less",
        ours=program("send_bridge"),
        baselines={
            "exchanged flag and eventfd": program("send_flag"),
            "libuv, uv_async_send": program("send_uv"),
            "eventfd written each time": program("send_eventfd"),
        },
        aim=Aim("<=", 25),
        note="the waker is raised already most of the time, and no message is moved:"
        " what a push costs is a row of the queue.",
    ),
    Row(
        what="wake: round trip, both running",
        unit="us",
        better="less",
        ours=program("bridge", "trip"),
        baselines={**trips("trip"), "nobody ever sleeps": program("spin", "trip")},
        aim=Aim("<=", 1.5),
        note="by two queues; the others send nothing but the wake-up.",
    ),
    Row(
        what="wake: round trip, both on one core",
        unit="us",
        better="less",
        ours=program("bridge", "trip", cores="0"),
        baselines=trips("trip", cores="0"),
        aim=Aim("<=", 5),
    ),
    Row(
        what="wake: one way, receiver asleep",
        unit="us",
        better="less",
        ours=program("bridge", "parked"),
        baselines=trips("parked"),
        aim=Aim("<=", 1.1, "futex"),
        note="100 us between any two messages.",
    ),
    Row(
        what="wake: one way, receiver asleep, both on one core",
        unit="us",
        better="less",
        ours=program("bridge", "parked", cores="0"),
        baselines=trips("parked", cores="0"),
    ),
    Row(
        what="wake: round trip, each in a loop with poll()",
        unit="us",
        better="less",
        ours=program("bridge_poll", "trip"),
        baselines=loops("trip"),
    ),
    Row(
        what="wake: round trip, each in a loop with poll(), both on one core",
        unit="us",
        better="less",
        ours=program("bridge_poll", "trip", cores="0"),
        baselines=loops("trip", cores="0"),
    ),
]

SHORT = (
    "wake: system calls per message under load, pop waits",
    "wake: round trip, both running",
    "wake: one way, receiver asleep",
)
