#!/usr/bin/env python3
"""Whether the model checker would notice.

Makes the product's sources worse, one change at a time, and lets the scenarios
run on each: every memory order weakened, and errors that one might make.  The
checker has to find each of them, but for the orders that WITHOUT_EFFECT argues.

The sources are changed in copies; the objects that a change does not touch are
those of the build.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# ---- Errors that one might make -------------------------------------------

# Name, file, text, what comes in its place, and what the checker must say.
SEEDS = [
    ("a push publishes nothing", "queue/mpsc.h",
     "newest, memory_order_acq_rel,", "newest, memory_order_relaxed,",
     "DATA RACE"),
    ("arming overwrites what came after the last look", "queue/mpsc.h", """\
  return atomic_compare_exchange_strong_explicit(
             &list->head, &head, BRIDGE__ARMED, memory_order_release,
             memory_order_relaxed) ||
         head == BRIDGE__ARMED;
""", """\
  (void)head;
  atomic_store_explicit(&list->head, BRIDGE__ARMED, memory_order_release);
  return true;
""", "LIVELOCK"),
    ("the waker is cleared after arming", "queue/pop.c", """\
    if (!cleared && bridge__waker_pending(queue->waker)) {
      bridge_waker_clear(queue->waker);
      cleared = true;
    } else if (bridge__mpsc_arm(&queue->list)) {
""", """\
    if (bridge__mpsc_arm(&queue->list)) {
      bridge_waker_clear(queue->waker);
""", "DEADLOCK"),
    ("what was cleared for nothing is not raised again", "queue/pop.c", """\
  if (cleared) {
    bridge_waker_raise(queue->waker);
  }
""", "", "USER ASSERT FAILED"),
    ("a push looks only once whether the queue is closed", "queue/push.c", """\
  uint64_t word = pushed(queue);
  for (;;) {
    if ((word & BRIDGE__CREDIT_CLOSED) != 0) {
      return BRIDGE_ECLOSED;
    }
    const uint64_t old = known(queue);
    const uint64_t next""", """\
  uint64_t word = pushed(queue);
  if ((word & BRIDGE__CREDIT_CLOSED) != 0) {
    return BRIDGE_ECLOSED;
  }
  for (;;) {
    const uint64_t old = known(queue);
    const uint64_t next""", "USER ASSERT FAILED"),
    ("the consumer looks who waits without a place in the order",
     "queue/wait.c",
     "atomic_fetch_add_explicit(&queue->waiting, 0, memory_order_acq_rel)",
     "atomic_load_explicit(&queue->waiting, memory_order_acquire)",
     "DEADLOCK"),
    ("who raises looks without a place in the order who selects",
     "queue/body.h",
     "atomic_fetch_add_explicit(&queue->selecting, 0, memory_order_acq_rel)",
     "atomic_load_explicit(&queue->selecting, memory_order_acquire)",
     "DEADLOCK"),
    ("a close does not wake who waits for room", "queue/queue.c", """\
    bridge__condition_broadcast(&queue->room);
""", "", "DEADLOCK"),
    ("a cancel wakes only where there is room", "queue/wait.c",
     "bridge__wait_begin(wake_all, queue)",
     "bridge__wait_begin((void (*)(void *))bridge__queue_wake_waiting, queue)",
     "DEADLOCK"),
    ("a quarter of the messages is not enough to wake for", "queue/wait.c",
     "queue->items - quarter,", "queue->items - quarter - 1,", "DEADLOCK"),
    ("a quarter of the bytes is not enough to wake for", "queue/wait.c",
     "queue->bytes - queue->bytes / 4)", "queue->bytes - queue->bytes / 4 - 1)",
     "DEADLOCK"),
    ("an unpop leaves producers what they know of the room", "queue/pop.c",
     "  while (known != popped &&", "  while (false && known != popped &&",
     "USER ASSERT FAILED"),
    ("who tells of room does not look again", "queue/push.c",
     "    if (again == popped) {", "    if (again == popped || popped != old) {",
     "USER ASSERT FAILED"),
    ("the oldest is dropped beside the consumer", "queue/push.c", """\
  bridge__queue_borrow(queue);
  bridge_message *message = bridge__queue_next(queue);
""", """\
  bridge_message *message = bridge__queue_next(queue);
""", ""),
    ("a waker ends while somebody is inside", "waker/waker.c",
     "(before & BRIDGE__CLOSED) != 0 && before < 2 * BRIDGE__USER",
     "(before & BRIDGE__CLOSED) != 0", "DATA RACE"),
    ("a waker is unmarked before its signal is taken away", "waker/waker.c",
     "if (mechanism->drain(waker) && unmark(waker)) {",
     "const bool was_closed = unmark(waker);\n"
     "  if (mechanism->drain(waker) && was_closed) {", "USER ASSERT FAILED"),
    ("a raise of what is raised writes nothing", "waker/waker.c",
     "bool raised = (state & BRIDGE__PENDING) != 0;",
     "bool raised = (state & BRIDGE__PENDING) != 0;\n"
     "    if (raised) {\n      return BRIDGE_OK;\n    }", "LOCK"),
    ("a signal only looks whether somebody sleeps", "platform/parking.h",
     "atomic_fetch_add_explicit(&parking->word, 0, memory_order_acq_rel)",
     "atomic_load_explicit(&parking->word, memory_order_acquire)", "DEADLOCK"),
    ("sleepers are woken outside of the mutex", "platform/parking.c", """\
  bridge__mutex_lock(&parking->mutex);
  bridge__condition_broadcast(&parking->condition);
  bridge__mutex_unlock(&parking->mutex);
""", """\
  bridge__condition_broadcast(&parking->condition);
""", "DEADLOCK"),
]

# ---- Orders that may be weakened without an effect that is observable -----

# As --list prints them, without the file: and why.  Some have one, which the runs
# do not meet.
WITHOUT_EFFECT = {
    "bridge_queue_close: fetch_or of pushed: acq_rel -> release":
        "a closer takes nothing",
    "known: load of known: acquire -> relaxed":
        "who finds no room takes it from `popped` itself; only that the word "
        "never goes back rests on it",
    "refresh: load of popped: acquire -> relaxed":
        "who wrote `known` looks again and takes it there; who did not takes it "
        "from `known`",
    "take_room: compare_exchange_weak of known: seq_cst -> acq_rel":
        "the load before it has its place in the one order",
    "take_room: compare_exchange_weak of known: seq_cst -> acq_rel (2)":
        "who wrote what it finds looks again by itself",
    "exchange: compare_exchange_weak of pushed: acq_rel -> release":
        "nothing is looked at after it",
    "has_room: load of popped: acquire -> relaxed":
        "the count of those who wait, and the mutex, order it",
    "bridge__queue_await_room: fetch_add of waiting: acq_rel -> acquire":
        "the count itself is all that is told",
    "bridge__queue_wake_waiting: fetch_add of waiting: acq_rel -> release":
        "the count itself is all that is taken",
    "restless: load of state: acquire -> relaxed":
        "the look whether it was closed takes the same",
    "closed: load of state: acquire -> relaxed":
        "the look of the wait has taken the same",
    "enter: compare_exchange_weak of state: acquire -> relaxed":
        "who leaves takes what the others did; nobody needs it earlier",
    "unmark: fetch_and of state: acq_rel -> acquire":
        "who leaves publishes; a raise takes nothing from a clear",
    "unmark: fetch_and of state: acq_rel -> release":
        "who leaves takes what was told before the raise",
    "bridge_waker_raise: compare_exchange_weak of state: acq_rel -> release":
        "who raises takes nothing",
    "bridge_waker_close: fetch_or of state: acq_rel -> acquire":
        "who leaves publishes",
    "bridge_waker_close: fetch_or of state: acq_rel -> release":
        "who leaves takes what the others did",
    "bridge__parking_prepare: fetch_or of word: acq_rel -> acquire":
        "the bit itself is all that is told",
    "bridge__parking_unpark: fetch_add of word: acq_rel -> release":
        "who unparks takes nothing",
    "bridge__parking_unpark: compare_exchange_weak of word: acq_rel -> acquire":
        "the operation before it has published, and this continues it",
    "bridge__parking_unpark: compare_exchange_weak of word: acq_rel -> release":
        "who unparks takes nothing",
    "bridge__parking_unpark: compare_exchange_weak of word: acquire -> relaxed":
        "who unparks takes nothing",
    "bridge__parking_park: load of word: acquire -> relaxed":
        "who parked prepares again, or looks by an acquire of its own",
}

# ---- Weakening orders -------------------------------------------------------

WEAKER = {
    "acquire": ["relaxed"],
    "release": ["relaxed"],
    "acq_rel": ["acquire", "release"],
    "seq_cst": ["acq_rel"],
}
# Neither may be both.
WEAKER_THAN_ALL = {"load": ["acquire"], "store": ["release"]}


class Mutant:
    """One change of one file."""

    def __init__(self, name, file, start, end, text, expected=None):
        self.name = name
        self.file = file
        self.start = start
        self.end = end
        self.text = text
        self.expected = expected  # None: anything


def closing(text, position):
    """Behind the parenthesis that closes the one at position."""
    depth = 0
    for i in range(position, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return i + 1
    raise ValueError("parentheses")


def function_at(text, position):
    """The function that the position is in."""
    found = re.findall(r"^\w[^;=\n]*?\b(\w+)\((?![^;{]*;)", text[:position],
                       re.MULTILINE)
    return found[-1] if found else "?"


def subject_of(call):
    """What an atomic operation works on."""
    found = re.search(r"\(\s*&?(?:\w+->)*(\w+)", call)
    return found.group(1) if found else "?"


def weakened(file, text):
    """All mutants of a file that weaken an order."""
    mutants = []
    names = {}
    for call in re.finditer(r"\batomic_(\w+)_explicit(?=\()", text):
        end = closing(text, call.end())
        whole = text[call.start():end]
        for order in re.finditer(r"memory_order_(\w+)", whole):
            weaker_ones = WEAKER.get(order.group(1), [])
            if order.group(1) == "seq_cst":
                weaker_ones = WEAKER_THAN_ALL.get(call.group(1), weaker_ones)
            for weaker in weaker_ones:
                name = (f"{function_at(text, call.start())}: {call.group(1)} of "
                        f"{subject_of(whole)}: {order.group(1)} -> {weaker}")
                names[name] = names.get(name, 0) + 1
                if names[name] > 1:
                    name += f" ({names[name]})"
                mutants.append(Mutant(
                    name, file,
                    call.start() + order.start(1), call.start() + order.end(1),
                    weaker))
    return mutants


def seeded(source):
    """The errors above."""
    mutants = []
    for name, file, old, new, expected in SEEDS:
        text = (source / file).read_text(encoding="utf-8")
        if text.count(old) != 1:
            sys.exit(f"{file} has changed: the seed '{name}' finds its place "
                     f"{text.count(old)} times; write it anew in {__file__}")
        start = text.index(old)
        mutants.append(Mutant(name, file, start, start + len(old), new,
                              expected))
    return mutants


# ---- Building and running ---------------------------------------------------


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **more)


class Bench:
    """Builds the checker with one source changed, and runs it."""

    def __init__(self, options):
        self.source = pathlib.Path(options.source)
        self.compile = options.compile
        self.link = options.link
        self.objects = options.objects  # of the engine and the scenarios
        self.product = options.product  # sources, relative
        self.built = options.built  # their objects, in that order
        self.checker = options.checker
        self.iterations = options.iterations
        self.jobs = options.jobs

    def scenarios(self):
        answer = run([self.checker]).stdout
        return re.findall(r"^  (\w+) \(", answer, re.MULTILINE)

    def build(self, folder, mutant):
        copy = folder / "src"
        shutil.copytree(self.source, copy)
        changed = copy / mutant.file
        text = changed.read_text(encoding="utf-8")
        changed.write_text(text[:mutant.start] + mutant.text +
                           text[mutant.end:], encoding="utf-8")
        made = list(self.built)
        for i, name in enumerate(self.product):
            if mutant.file.endswith(".c") and name != mutant.file:
                continue  # nobody includes what was changed
            made[i] = str(folder / f"{i}.o")
            done = run(self.compile + [f"-I{copy}", "-c", str(copy / name),
                                       "-o", made[i]])
            if done.returncode != 0:
                raise RuntimeError(done.stdout)
        program = str(folder / "check")
        done = run(self.link + made + self.objects + ["-o", program])
        if done.returncode != 0:
            raise RuntimeError(done.stdout)
        return program

    def judge(self, mutant, scenarios):
        """What the checker says of a mutant; empty if nothing."""
        with tempfile.TemporaryDirectory() as folder:
            program = self.build(pathlib.Path(folder), mutant)
            try:
                done = run([program, str(self.iterations)] + scenarios,
                           timeout=300)
            except subprocess.TimeoutExpired:
                return "HANG"
            if done.returncode == 0:
                return ""
            if done.returncode != 1:
                return f"CRASH {done.returncode} {done.stdout[-200:]}"
            return " ".join(done.stdout.splitlines()[-2:])


def verdict(mutant, found):
    """Whether this is as it should be, and what to say."""
    argued = WITHOUT_EFFECT.get(mutant.name)
    if mutant.expected is not None and mutant.expected not in found:
        return False, f"NOT FOUND as '{mutant.expected}': {found}"
    if found:
        return True, f"found: {found}"
    if argued is not None:
        return True, f"no effect: {argued}"
    return False, "NOT FOUND, and not argued"


def examine(bench, mutants):
    scenarios = bench.scenarios()
    well = True
    with concurrent.futures.ThreadPoolExecutor(bench.jobs) as pool:
        judged = pool.map(lambda each: bench.judge(each, scenarios), mutants)
        for mutant, found in zip(mutants, judged):
            fine, text = verdict(mutant, found)
            well = well and fine
            print(f"{'ok  ' if fine else 'FAIL'} {mutant.file}: {mutant.name}: "
                  f"{text}", flush=True)
    return well


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["seeds", "orders"])
    parser.add_argument("--list", action="store_true", help="only the names")
    parser.add_argument("--only", default="", help="a part of the name")
    parser.add_argument("--source", required=True, help="libbridge/src")
    parser.add_argument("--checker", required=True)
    parser.add_argument("--iterations", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    # Lists, with a bar between.
    parser.add_argument("--compile", type=lambda text: text.split("|"))
    parser.add_argument("--link", type=lambda text: text.split("|"))
    parser.add_argument("--objects", type=lambda text: text.split("|"))
    parser.add_argument("--product", type=lambda text: text.split("|"))
    parser.add_argument("--built", type=lambda text: text.split("|"))
    parser.add_argument("--files", type=lambda text: text.split("|"),
                        help="whose orders are weakened")
    options = parser.parse_args()

    # A copy: somebody may be writing there.
    keep = tempfile.TemporaryDirectory()
    source = pathlib.Path(keep.name) / "src"
    shutil.copytree(options.source, source)
    options.source = source
    if options.what == "seeds":
        mutants = seeded(source)
    else:
        mutants = []
        for name in options.files:
            text = (source / name).read_text(encoding="utf-8")
            mutants += weakened(name, text)
        gone = set(WITHOUT_EFFECT) - {each.name for each in mutants}
        for name in sorted(gone):
            print(f"argued, and no longer there: {name}")
        if gone:
            return 1
    mutants = [each for each in mutants if options.only in each.name]
    if options.list:
        for each in mutants:
            print(f"{each.file}: {each.name}")
        return 0
    return 0 if examine(Bench(options), mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
