"""Values to messages and back, and to Lua and back."""

import collections
import enum
import math
import os
import random
import threading

import numpy
import pytest

import bridge


def there_and_back(value):
    queue = bridge.Queue()
    queue.push(value)
    return queue.pop(timeout=0)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        1,
        -1,
        127,
        128,
        -32,
        -33,
        2**31,
        2**32,
        2**53 + 1,
        2**63 - 1,
        -(2**63),
        0.0,
        -1.5,
        1e308,
        5e-324,
        math.inf,
        -math.inf,
        "",
        "a\0b",
        "häß \U0001f600",
        "x" * 70000,
        "é" * 70000,
        b"",
        b"a\0\xff",
        b"\xff" * 70000,
        [],
        {},
        [[]],
        [None, [None]],
        list(range(100000)),
        {"a": {"b": {"c": [1, 2.5, None, b"x"]}}},
        {1: "i", "1": "s", 1.5: "f", b"1": "b", None: "n", True + 1: "t"},
        {i: str(i) for i in range(70000)},
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_value_comes_back_equal_and_of_the_same_type(value):
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)


def test_minus_zero_and_nan_stay_what_they_are():
    assert math.copysign(1, there_and_back(-0.0)) == -1
    assert math.isnan(there_and_back(math.nan))


def test_whole_floats_stay_floats():
    assert type(there_and_back(3.0)) is float
    assert type(there_and_back([3.0, 3])[0]) is float
    assert type(there_and_back([3.0, 3])[1]) is int


def test_bytes_like_objects_come_back_as_bytes():
    for source in (
        bytearray(b"a\0b"),
        memoryview(b"xa\0bx")[1:4],
        memoryview(bytearray(b"a\0b")),
    ):
        assert there_and_back(source) == b"a\0b"


def test_an_array_s_memoryview_crosses_as_its_bytes():
    array = numpy.arange(6, dtype="<u2").reshape(2, 3)
    assert there_and_back(memoryview(array)) == array.tobytes()


def test_a_memoryview_with_gaps_is_refused_by_name():
    with pytest.raises(bridge.NotShareableError, match=r"argument 1\['v'\].*contig"):
        there_and_back({"v": memoryview(b"abcdef")[::2]})


def test_tuples_come_back_as_lists():
    assert there_and_back((1, (2, ()))) == [1, [2, []]]


def test_one_value_is_itself_and_other_numbers_are_a_tuple(queue):
    queue.push()
    queue.push(None)
    queue.push(1, None)
    queue.push([1, None])
    assert [queue.pop(0) for _ in range(4)] == [(), None, (1, None), [1, None]]


def test_subclasses_of_int_str_list_and_dict_cross():
    class Colour(enum.IntEnum):
        RED = 7

    class Name(str):
        pass

    class Pair(list):
        pass

    Point = collections.namedtuple("Point", "x y")
    sent = [
        Colour.RED,
        Name("n"),
        Pair([1]),
        collections.OrderedDict(a=1),
        collections.Counter("aab"),
        Point(1, 2),
    ]
    back = there_and_back(sent)
    assert back == [7, "n", [1], {"a": 1}, {"a": 2, "b": 1}, [1, 2]]
    assert [type(each) for each in back] == [int, str, list, dict, dict, list]


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        (numpy.int64(-(2**63)), -(2**63)),
        (numpy.uint8(255), 255),
        (numpy.float64(0.5), 0.5),
        (numpy.float32(0.5), 0.5),
        (numpy.float16(0.5), 0.5),
        (numpy.bool_(True), True),
        (numpy.str_("s"), "s"),
        (numpy.bytes_(b"b"), b"b"),
    ],
)
def test_numpy_scalars_cross_as_what_they_are(scalar, value):
    back = there_and_back([scalar])[0]
    assert back == value
    assert type(back) is type(value)


def test_a_numpy_scalar_that_does_not_fit_is_refused():
    with pytest.raises(bridge.RangeError):
        there_and_back(numpy.uint64(2**63))


# ---- Shared and cyclic


def test_shared_containers_stay_shared():
    inner = [1]
    table = {"k": 2}
    back = there_and_back([inner, inner, table, {"t": table}])
    assert back[0] is back[1]
    assert back[2] is back[3]["t"]


def test_equal_containers_do_not_become_shared():
    back = there_and_back([[1], [1], {}, {}, [], [], (), ()])
    assert len({id(each) for each in back}) == 8


def test_cycles_come_back_as_cycles():
    table = {"list": []}
    table["list"].append(table)
    table["self"] = table
    back = there_and_back(table)
    assert back["self"] is back
    assert back["list"][0] is back


def test_sharing_goes_across_the_values_of_a_message(queue):
    inner = [1]
    queue.push(inner, inner)
    first, second = queue.pop(0)
    assert first is second


def test_a_doubling_structure_stays_small(queue):
    value = [0]
    for _ in range(60):
        value = [value, value]
    queue.push(value)
    assert queue.bytes < 10000
    for value in (queue.pop(0),):
        for _ in range(60):
            assert value[0] is value[1]
            value = value[0]


def test_many_containers_keep_their_numbers():
    rows = [[i] for i in range(10000)]
    back = there_and_back([rows, list(reversed(rows))])
    assert all(a is b for a, b in zip(back[0], reversed(back[1])))


def nested(depth, wrap=lambda inner: [inner]):
    value = 0
    for _ in range(depth):
        value = wrap(value)
    return value


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: (v,), lambda v: {1: v}])
def test_depth_is_limited_by_an_error(wrap):
    back = there_and_back(nested(1000, wrap))
    for _ in range(1000):
        back = back[1] if isinstance(back, dict) else back[0]
    assert back == 0
    for depth in (1001, 100000):
        with pytest.raises(bridge.LimitError, match="deeper than 1000") as caught:
            there_and_back(nested(depth, wrap))
        assert isinstance(caught.value, ValueError)
        assert len(str(caught.value)) < 200


@pytest.mark.skipif("BRIDGE_SANITIZED" in os.environ, reason="takes a GiB for real")
def test_size_is_limited_by_an_error(queue):
    huge = bytes(2**30)  # pages that nobody touches
    with pytest.raises(bridge.LimitError, match=r"argument 2\[0\]: .* 1073741824 bytes"):
        queue.push(1, [huge])
    buffer = bridge.Buffer(2**30)
    queue.push(buffer)
    assert queue.pop(0) is buffer


# ---- What cannot cross


class Odd:
    pass


@pytest.mark.parametrize(
    ("value", "path", "type_name"),
    [
        (Odd(), "argument 1:", "Odd"),
        ({"items": [0, 1, 2, {3}]}, r"argument 1\['items'\]\[3\]:", "set"),
        ([[0, (1, 2, print)]], r"argument 1\[0\]\[1\]\[2\]:", "builtin"),
        ({"a": {(1, Odd): 2}}, r"argument 1\['a'\], key .*\[1\]:", "type"),
        ({"a": {print: 2}}, r"argument 1\['a'\], key <built-in", "builtin"),
        ({1: {2: 3j}}, r"argument 1\[1\]\[2\]:", "complex"),
        (numpy.zeros(3), "argument 1:", "ndarray"),
        (numpy.zeros(()), "argument 1:", "ndarray"),
        (range(3), "argument 1:", "range"),
        (bridge, "argument 1:", "module"),
    ],
    ids=lambda each: repr(each)[:24],
)
def test_what_cannot_cross_is_named_with_its_path(queue, value, path, type_name):
    with pytest.raises(bridge.NotShareableError, match=path) as caught:
        queue.push(value)
    assert isinstance(caught.value, TypeError)
    assert caught.value.status == "ETYPE"
    assert type_name in str(caught.value)
    assert len(queue) == 0


def test_the_second_argument_is_called_so(queue):
    with pytest.raises(bridge.NotShareableError, match=r"argument 2\[0\]"):
        queue.push(1, [Odd()], 3)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**100, True << 70])
def test_integers_beyond_64_bits_raise_an_overflow_with_the_path(queue, value):
    with pytest.raises(OverflowError, match=r"argument 1\['n'\]\[1\]: .*64") as caught:
        queue.push({"n": [0, value]})
    assert isinstance(caught.value, bridge.RangeError)


def test_an_index_that_raises_is_heard():
    class Bad:
        def __index__(self):
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        there_and_back([Bad()])


def test_a_list_that_changes_meanwhile_is_an_error_and_no_crash():
    class Evil:
        def __index__(self):
            victim.clear()
            return 1

    victim = [Evil(), object(), object()]
    with pytest.raises(RuntimeError, match="changed"):
        there_and_back(victim)


def test_a_dict_that_changes_meanwhile_is_an_error_and_no_crash():
    class Evil:
        def __index__(self):
            victim.clear()
            victim.update({"x": 1, "y": 2, "z": 3})
            return 1

    victim = {1: [Evil()], 2: 3, 4: 5}
    try:
        back = there_and_back(victim)
    except RuntimeError as error:
        assert "changed" in str(error)
    else:
        assert len(back) == 3


# ---- With Lua


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "nil"),
        (True, "boolean"),
        (3, "integer"),
        (2**63 - 1, "integer"),
        (3.0, "float"),
        ("s", "string"),
        (b"s", "string"),
        ([], "table"),
        ({}, "table"),
    ],
    ids=repr,
)
def test_lua_sees_the_type(service, value, kind):
    assert service.call("kind", value) == kind


def test_values_go_to_lua_and_back(service):
    sent = (1, 2.5, "häß", [1, [2, {"x": "y"}]], True, None, {"a": 1, "b": [2]})
    assert service.call("echo", *sent) == sent


def test_trailing_and_leading_nils_survive_lua(service):
    assert service.call("echo", None, 1, None) == (None, 1, None)
    assert service.call("echo", None) is None
    assert service.call("echo") == ()


def test_cycles_survive_lua(service):
    table = {"name": "x"}
    table["self"] = table
    back = service.call("echo", table)
    assert back["self"] is back


def test_integers_of_64_bits_survive_lua(service):
    for value in (2**53 + 1, 2**63 - 1, -(2**63)):
        assert service.call("echo", value) == value


def test_a_key_that_python_cannot_have_is_an_error_with_the_path(service):
    with bridge.Worker("return {a = {[{}] = 1}}") as worker:
        with pytest.raises(bridge.NotShareableError, match=r"\['a'\], a key: a table"):
            worker.join()


def test_keys_that_are_one_in_python_are_an_error_and_no_loss():
    with bridge.Worker("return {[1] = 'i', [true] = 'b', x = 1}") as worker:
        with pytest.raises(bridge.NotShareableError, match="equal in Python"):
            worker.join()


def test_a_function_stays_in_the_queue_until_somebody_can_have_it(service):
    queue = bridge.Queue()
    worker = bridge.Worker(
        "local q = ... q:push({f = {print, function() return 7 end}}) q:push(2)", queue
    )
    worker.join(timeout=30)
    for _ in range(2):
        with pytest.raises(bridge.NotShareableError, match=r"value 1\['f'\]\[[01]\]"):
            queue.pop(0)
        assert len(queue) == 2
    reader = bridge.Worker("local q = ... return q:pop(0).f[2]()", queue)
    assert reader.join(timeout=30) == 7
    assert queue.pop(0) == 2


def test_handles_come_back_as_the_same_objects(service, queue):
    buffer = bridge.Buffer(b"x")
    waker = bridge.Waker()
    for handle in (queue, buffer, waker, service):
        assert service.call("echo", [handle])[0] is handle


def test_handles_that_python_dropped_come_back_as_new_objects(queue):
    queue.push(bridge.Queue(items=3), bridge.Buffer(b"abc"), bridge.Waker("pipe"))
    other, buffer, waker = queue.pop(0)
    other.push(1)
    assert other.pop(0) == 1
    assert bytes(buffer) == b"abc" and buffer.frozen
    assert waker.kind == "pipe"


def test_a_random_structure_comes_back_equal():
    chance = random.Random(20)

    def make(depth):
        kind = chance.randrange(9 if depth else 7)
        if kind == 0:
            return chance.choice([None, True, False])
        if kind == 1:
            return chance.randrange(-(2**63), 2**63) >> chance.randrange(64)
        if kind == 2:
            return chance.uniform(-1e9, 1e9)
        if kind in (3, 4):
            size = chance.choice([0, 1, 31, 32, 255, 256, 1000])
            return "".join(chr(chance.choice([65, 233, 0x20AC, 0x1F600])) for _ in range(size))
        if kind in (5, 6):
            return chance.randbytes(chance.choice([0, 1, 255, 256, 70000]))
        if kind == 7:
            return [make(depth - 1) for _ in range(chance.choice([0, 3, 15, 16, 40]))]
        return {str(i): make(depth - 1) for i in range(chance.choice([0, 3, 15, 16, 40]))}

    for _ in range(60):
        value = make(3)
        assert there_and_back(value) == value


def test_packing_from_many_threads_is_independent():
    failures = []

    def work(seed):
        value = [seed, {"k": [seed] * 50}]
        value.append(value[1])
        for _ in range(300):
            back = there_and_back(value)
            if back != value or back[1] is not back[2]:
                failures.append(seed)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize(
    ("value", "back"),
    [
        (b"bytes", "bytes"),
        (bytearray(b"bytes"), "bytes"),
        ((1, 2), [1, 2]),
        ({1: "a", 2: "b"}, {1: "a", 2: "b"}),
        ({}, {}),
        ([], []),
        ({"x": {}}, {"x": {}}),
        ([1, None, 3], [1, None, 3]),
        ([1, None], [1, None]),
    ],
    ids=repr,
)
def test_what_comes_back_from_lua_is_as_the_package_says(service, value, back):
    came = service.call("echo", value)
    assert (came, type(came)) == (back, type(back))
    whole = service.call("echo", 1.0)
    assert (whole, type(whole)) == (1.0, float)


def test_metatables_are_left_behind_and_equal_keys_are_refused(queue):
    bridge.Worker(
        """
        local q = ...
        q:push(setmetatable({1}, {__index = print}))
        q:push({[1] = 1, [true] = 2})
        """,
        queue,
    ).join(timeout=30)
    assert queue.pop(0) == [1]
    with pytest.raises(bridge.NotShareableError, match="equal in Python"):
        queue.pop(0)
    assert queue.discard()


# ---- What is nothing, what is empty, and what Lua has classes for


@pytest.mark.parametrize(
    "value",
    [
        [1, None, 3],
        [None, None],
        {"a": None, "b": [None, {}]},
        {},
        [[], {}, [{}]],
        {1: "a", 2: "b"},
        {1: "a", 3: "c"},
        {"n": {1: None}},
    ],
    ids=repr,
)
def test_lists_and_dicts_come_back_from_lua_as_they_were(service, value):
    back = service.call("echo", value)
    assert back == value
    assert type(back) is type(value)


def test_none_in_containers_is_null_in_lua():
    with bridge.State() as state:
        check = state.run(
            """local null = require "bridge".null
            return function(list, map, none)
              return #list, list[2] == null, map.k == null, none == nil
            end"""
        )
        assert check([1, None, 3], {"k": None}, None) == (3, True, True, True)
        assert state.run("return require 'bridge'.null") is None
        assert state.run(
            "local null = require 'bridge'.null return {null, {k = null}}"
        ) == [None, {"k": None}]


def test_marked_tables_become_what_they_are_marked_as():
    with bridge.State() as state:
        run = state.run("bridge = require 'bridge' return load")
        assert run("return bridge.map {}")() == {}
        assert run("return bridge.array {}")() == []
        assert run("return bridge.map { 'a', 'b' }")() == {1: "a", 2: "b"}
        assert run("return bridge.array { 1, nil, 3 }")() == [1, None, 3]
        assert run("return bridge.array { n = 2 }")() == [None, None]


POINT = """
local bridge = require "bridge"
Point = { __name = "test.point", __index = { kind = "point" } }
function Point.__bridge_pack(p) return p.x, p.y end
function Point.__bridge_unpack(x, y)
  return setmetatable({ x = x, y = y }, Point)
end
bridge.register("test.point", Point)
Box = { __index = { kind = "box" } }
bridge.register("test.box", Box)
function new(x, y) return setmetatable({ x = x, y = y }, Point) end
"""


def test_objects_of_lua_keep_what_they_are_made_of():
    with bridge.State() as state:
        state.run(POINT)
        p, row = state.run("local p = new(1, new(nil, {2})) return p, {p, p}")
        assert p == bridge.Object("test.point", [1, bridge.Object("test.point", [None, [2]])])
        assert row[0] is p is row[1]
        assert repr(p).startswith("bridge.Object('test.point', [1, ")
        check = state.run(
            """return function(p, row)
              return getmetatable(p) == Point and p.y.y[1] == 2
                and p.y.kind == "point" and row[1] == p
            end"""
        )
        assert check(p, [p]) is True
        made = bridge.Object("test.point", (5, "y"))
        assert state.run("return (...).x, (...).y", made) == (5, "y")


def test_tables_of_a_class_become_lists_and_dicts():
    with bridge.State() as state:
        state.run(POINT)
        back = state.run(
            """local b = setmetatable({ 1, 2 }, Box)
            return { b, setmetatable({ k = b }, Box), b }"""
        )
        assert back == [[1, 2], {"k": [1, 2]}, [1, 2]]
        assert back[0] is back[2] is back[1]["k"]


def test_objects_cross_queues_between_threads_of_python():
    sent = bridge.Object("some.class", [1, [None]], module="some.module")
    back = there_and_back(sent)
    assert back == sent
    assert back != bridge.Object("some.class", [1, [None]])
    assert back != 5


def test_objects_that_are_wrong_are_refused():
    for wrong in (
        bridge.Object(5),
        bridge.Object("x", module=7),
    ):
        with pytest.raises(bridge.NotShareableError, match="argument 1"):
            there_and_back(wrong)
    wrong = bridge.Object("x")
    wrong.values = 7
    with pytest.raises(bridge.NotShareableError, match="values are no list"):
        there_and_back(wrong)
    with pytest.raises(bridge.NotShareableError, match=r"argument 1\[1\]\[0\]"):
        there_and_back([1, bridge.Object("x", [object()])])
    with pytest.raises(TypeError):
        hash(bridge.Object("x"))


def test_an_unknown_class_is_an_error_that_names_it():
    with bridge.State() as state:
        with pytest.raises(bridge.NotShareableError, match="'who.knows'"):
            state.run("", bridge.Object("who.knows"))
        with pytest.raises(bridge.NotShareableError, match="'no.such.module'"):
            state.run("", bridge.Object("who", module="no.such.module"))
        assert state.run("return 1") == 1


def test_limits_of_messages():
    with bridge.State(depth_limit=2, value_limit=16, message_limit="1KiB") as state:
        assert state.run("return ...", [[1]]) == [[1]]
        with pytest.raises(bridge.LimitError, match="depth_limit"):
            state.run("return ...", [[[1]]])
        with pytest.raises(bridge.LimitError, match="value_limit"):
            state.run("return ...", list(range(20)))
        with pytest.raises(bridge.LimitError, match="message_limit"):
            state.run("return { ('x'):rep(1024) }")
    for wrong in ({"depth_limit": 1001}, {"value_limit": 0}, {"message_limit": 2**31}):
        with pytest.raises(bridge.InvalidError):
            bridge.State(**wrong)


def test_a_request_that_cannot_be_read_is_answered(service):
    for _ in range(2):
        with pytest.raises(bridge.NotShareableError, match="'who.knows'"):
            service.call("echo", [bridge.Object("who.knows")])
    assert service.call("echo", 1) == 1


def test_a_message_that_cannot_be_read_blocks_nobody():
    queue = bridge.Queue()
    with bridge.State() as state:
        state.run("(...):push({ print })", queue)
        queue.push("next")
        for _ in range(2):
            with pytest.raises(bridge.NotShareableError, match="C function"):
                queue.pop(0)
        assert len(queue) == 2
        assert state.run("return (...):peek()[1] == print", queue) is True
        assert queue.discard() is True
        assert queue.pop(0) == "next"
