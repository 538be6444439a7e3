"""str and the bytes of Lua's strings."""

import random

import pytest

import bridge


def through_lua(service, value):
    return service.call("echo", value)


def bytes_in_lua(service, text):
    numbers = service.call("bytes", text)
    return bytes(numbers if isinstance(numbers, tuple) else [numbers])


def as_bytes(queue, text):
    """The bytes as they stand in the message: pushed as str, seen by Lua."""
    worker = bridge.Worker("local s = ... return #s, s:byte(1, -1)", text)
    result = worker.join(timeout=30)
    return bytes(result[1:]) if isinstance(result, tuple) else b""


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", b""),
        ("a\0b", b"a\0b"),
        ("é€\U0001f600", "é€\U0001f600".encode()),
        ("\udc80", b"\x80"),
        ("\udcff", b"\xff"),
        ("a\udcc3(", b"a\xc3("),
        ("\ud800", b"\xed\xa0\x80"),
        ("\udbff", b"\xed\xaf\xbf"),
        ("\udc00", b"\xed\xb0\x80"),
        ("\udc7f", b"\xed\xb1\xbf"),
        ("\udd00", b"\xed\xb4\x80"),
        ("\udfff", b"\xed\xbf\xbf"),
        ("\ud83d\ude00", b"\xed\xa0\xbd\xed\xb8\x80"),
        ("x\ud800y\udcfez\U0010ffff", b"x\xed\xa0\x80y\xfez\xf4\x8f\xbf\xbf"),
    ],
    ids=ascii,
)
def test_text_becomes_these_bytes_and_comes_back(queue, text, data):
    assert as_bytes(queue, text) == data
    queue.push(text, {text: text})
    assert queue.pop(0) == (text, {text: text})


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x80", "\udc80"),
        (b"\xff\xfe", "\udcff\udcfe"),
        (b"\xc0\x80", "\udcc0\udc80"),
        (b"\xe2\x82", "\udce2\udc82"),
        (b"\xf5\x80\x80\x80", "\udcf5\udc80\udc80\udc80"),
        (b"\xf4\x90\x80\x80", "\udcf4\udc90\udc80\udc80"),
        (b"\xe0\x80\x80", "\udce0\udc80\udc80"),
        (b"\xf0\x80\x80\x80", "\udcf0\udc80\udc80\udc80"),
        (b"\xed\xa0\x80", "\ud800"),
        (b"\xed\xb2\x80", "\udced\udcb2\udc80"),
        (b"\xed\xb3\xbf", "\udced\udcb3\udcbf"),
        (b"ok\xe9ok", "ok\udce9ok"),
        (b"\xc3\xa9\xe9", "é\udce9"),
    ],
    ids=ascii,
)
def test_bytes_of_lua_become_this_text_and_go_back(data, text):
    worker = bridge.Worker("return string.char(...)", *data)
    assert worker.join(timeout=30) == text
    again = bridge.Worker("local s = ... return s:byte(1, -1)", text).join(30)
    assert bytes(again if isinstance(again, tuple) else [again]) == data


def test_any_bytes_survive_lua_to_python_to_lua():
    chance = random.Random(7)
    strings = [chance.randbytes(chance.randrange(40)) for _ in range(2000)]
    # Every sequence that is nearly UTF-8, or a surrogate.
    strings += [bytes([0xED, a, b]) for a in range(0x9E, 0xC1) for b in (0x7F, 0x80, 0xBF)]
    strings += [bytes([a, b]) for a in range(0xBF, 0x100) for b in (0x7F, 0x80, 0xC2)]
    worker = bridge.Worker(
        """
        local bridge = require "bridge"
        return bridge.serve {
          text = function(b) return b:sub(1) end,
          same = function(list, text) local n = 0
            for i, each in ipairs(list) do n = n + (each == text[i] and 1 or 0) end
            return n, #list end,
        }"""
    )
    with worker:
        texts = []
        for each in strings:
            text = worker.call("text", each)
            # Lua has one type of string, so that bytes come back as text.
            assert isinstance(text, str)
            texts.append(text)
        assert worker.call("same", strings, texts) == (len(strings), len(strings))


def test_any_text_of_lone_surrogates_survives_unless_its_bytes_are_valid(queue):
    chance = random.Random(8)
    ranges = [(0, 0x80), (0x80, 0x800), (0xD800, 0xE000), (0xDC80, 0xDD00), (0x10000, 0x110000)]
    for _ in range(3000):
        text = "".join(chr(chance.randrange(*chance.choice(ranges))) for _ in range(6))
        queue.push(text)
        back = queue.pop(0)
        # What stands for bytes may by chance be the bytes of a character.
        escaped = any("\udc80" <= each <= "\udcff" for each in text)
        assert back == text or escaped
        queue.push(back)
        assert queue.pop(0) == back


def test_valid_bytes_are_decoded_as_python_does_it(service):
    chance = random.Random(9)
    for _ in range(500):
        text = "".join(
            chr(chance.choice([chance.randrange(0xD800), chance.randrange(0xE000, 0x110000)]))
            for _ in range(20)
        )
        # Lua has one type of string, so that bytes come back as text.
        assert service.call("echo", text.encode()) == text


def test_a_name_that_is_no_utf8_survives_as_os_fsdecode_makes_it(service):
    import os

    name = os.fsdecode(b"caf\xe9.txt")
    assert through_lua(service, name) == name
    assert bytes_in_lua(service, name) == b"caf\xe9.txt"
