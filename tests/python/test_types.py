"""The types of the package: as mypy and stubtest see them."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import bridge

HERE = pathlib.Path(__file__).parent
PACKAGE = pathlib.Path(bridge.__file__).parent


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """What mypy learnt about the standard library, for all runs."""
    return str(tmp_path_factory.mktemp("mypy"))


def tool(name, *arguments, cwd):
    # Debian's, which belongs to the Python that runs the tests.
    path = shutil.which(name, path="/usr/bin") or shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    environment = dict(os.environ, MYPYPATH=str(PACKAGE.parent))
    return subprocess.run(
        [path, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_package_has_types():
    assert (PACKAGE / "py.typed").exists()
    assert (PACKAGE / "core.pyi").exists()


def test_mypy_accepts_the_package(tmp_path, cache):
    run = tool("mypy", "--strict", "--cache-dir", cache, str(PACKAGE), cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr


USE = '''
import asyncio
import selectors
import bridge

def values(queue: bridge.Queue) -> None:
    queue.push(1, "two", [3.0], {"four": b"five"}, None, timeout=1.5)
    queue.push(bridge.Buffer(3), timeout=None)
    queue.push(1, timeout=bridge.POLICY)
    first: object = queue.pop(timeout=0)
    many: list[object] = queue.pop_batch(10)
    for each in queue:
        print(each, first, many)
    selectors.DefaultSelector().register(queue, selectors.EVENT_READ)

async def calls() -> int:
    async with bridge.Worker("return 1", 2, name="n", memory_limit="1MiB") as worker:
        answer: object = await worker.acall("f", 1, timeout=2)
        joined: object = await worker.ajoin(timeout=1)
        where: bridge.Stack = await worker.atraceback()
        await worker.aclose(grace=None)
    channel = bridge.Channel()
    await channel.asend(1, "two", timeout=bridge.POLICY)
    received: object = await channel.areceive(timeout=1)
    index, value = await bridge.aselect([channel, bridge.Queue()], timeout=0)
    number: int = index + bridge.Worker("x", memory=1).info().memory_used
    async for each in channel:
        print(each, answer, joined, where, received, value, number)
    async for each in bridge.Queue(waker="eventfd"):
        print(each)
        async for value in worker.avalues(timeout=1):
            print(value, await worker.anext(1, timeout=None))
    for value in worker.values():
        print(value, worker.next("x", timeout=1))
    return worker.memory.used + worker.info().dropped

def errors() -> None:
    try:
        with bridge.Worker(file="x") as worker:
            worker.join()
    except bridge.LuaError as error:
        line: int = error.frames[0].line
        text: str = error.traceback + error.worker + error.status
        code: int = error.code
        print(line, text, code)

def states() -> None:
    with bridge.State(memory_limit="1MiB", libraries=["base"], release_gil=False) as state:
        add: bridge.LuaFunction = state.run("return print", 1, chunk_name="=x")
        three: object = add(1, [2])
        print(three, state.eval("1"), state.closed, state.memory.limit)

view: memoryview = memoryview(bridge.Buffer(b"x"))
copy: bytes = bytes(bridge.Buffer(3)) + bridge.Buffer(3)[1:]
byte: int = bridge.Buffer(3)[0] + sum(bridge.Buffer(3))
same: bool = bridge.Buffer(3) == b"abc"
gone: bool = bridge.Queue().discard()
with open("file", "wb") as file:
    file.write(bridge.Buffer(1))
kind: bridge.WakerKind = bridge.Waker("pipe").kind
count: int = asyncio.run(calls()) + bridge.cores() + len(bridge.Buffer(1))
'''

MISUSE = '''
import bridge
bridge.Queue(items="3")
bridge.Queue().pop(timeout="soon")
bridge.Queue().push(1, timeout="soon")
bridge.Worker(3)
bridge.Worker("x", memory=[])
bridge.Worker("x").nonsense()
name: int = bridge.Worker("x").name
bridge.Buffer()
bridge.Waker(3)
bridge.State("x")
bridge.State().run(1)
'''


def test_mypy_accepts_a_program_that_uses_it_well(tmp_path, cache):
    (tmp_path / "use.py").write_text(USE)
    run = tool("mypy", "--strict", "--cache-dir", cache, "use.py", cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr


def test_mypy_refuses_each_misuse(tmp_path, cache):
    (tmp_path / "misuse.py").write_text(MISUSE)
    run = tool("mypy", "--strict", "--cache-dir", cache, "misuse.py", cwd=tmp_path)
    lines = {line.split(":")[1] for line in run.stdout.splitlines() if ": error:" in line}
    assert lines == {str(i) for i in range(3, 3 + MISUSE.count("\n") - 2)}, run.stdout


def test_stubtest_finds_the_stubs_and_the_module_alike(tmp_path):
    run = tool(
        "stubtest",
        "bridge",
        "--concise",
        "--allowlist",
        str(HERE / "stubtest_allow.txt"),
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_everything_public_has_a_docstring():
    for name in bridge.__all__:
        thing = getattr(bridge, name)
        if not isinstance(thing, type):
            continue
        assert thing.__doc__, name
        for each, member in vars(thing).items():
            if each.startswith("_") or not (callable(member) or isinstance(member, property)):
                continue
            assert member.__doc__, f"{name}.{each}"


def test_all_names_what_is_there():
    assert sorted(bridge.__all__) == sorted(set(bridge.__all__))
    for name in bridge.__all__:
        assert hasattr(bridge, name)


def test_every_status_has_a_class_with_its_number():
    for name in dir(bridge.core):
        if not name.startswith("E") or not name.isupper() or name == "EQUAL":
            continue
        code = getattr(bridge.core, name)
        error = bridge.errors._make(code, name, "text")
        assert (error.code, error.status, str(error)) == (code, name, "text")
        if type(error) is not bridge.Error:
            assert (type(error)._code, type(error)._status) == (code, name)
        assert bridge.core.status_name(code) == f"BRIDGE_{name}"


def test_the_docstring_of_the_package_is_true():
    import doctest

    assert doctest.testmod(bridge).attempted > 0
    assert doctest.testmod(bridge).failed == 0


def test_only_the_package_s_own_files_are_there():
    assert sys.modules["bridge.core"].__file__.startswith(str(PACKAGE))


def test_importing_the_package_does_not_import_asyncio():
    code = "import sys, bridge; print('asyncio' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "False", run.stderr
