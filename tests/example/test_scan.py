"""The main job and its twins: every file is somewhere, whatever is in the folder.

Run as: test_scan.py PROGRAM LUA, which are the twin in C and the interpreter of
the twin in Lua, with the bindings in the environment.
"""

import asyncio
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree
from collections import Counter
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCAN_PY = EXAMPLES / "python" / "scan.py"
SCAN_LUA = EXAMPLES / "lua" / "04_scan.lua"
PROGRAM = os.environ.get("SCAN_PROGRAM", "")
LUA = os.environ.get("SCAN_LUA", "lua5.4")
NOBODY = 65534
LONG = 60  # seconds after which something hangs

sys.path.insert(0, str(SCAN_PY.parent))

import bridge  # noqa: E402
import scan  # noqa: E402
import scanning  # noqa: E402
from scanning import counts, timeline  # noqa: E402

COMMANDS = {
    "python": [sys.executable, str(SCAN_PY)],
    "c": [PROGRAM],
    "lua": [LUA, str(SCAN_LUA)],
}


# ---- A folder with everything in it ------------------------------------------


def texts():
    """Name -> bytes; the names are bytes, too."""
    block = 64 * 1024
    return {
        b"plain.txt": b"hello world\nfoo bar_1 2x foo\n",
        b"no_end.txt": b"one\ntwo",
        b"empty.txt": b"",
        b"newlines.txt": b"\n\n\n",
        b"crlf.txt": b"a b\r\nc\td\x0be\x0cf\r\n",
        b"latin\xff\xfe.txt": b"caf\xe9 na\xefve\n",
        "zürich €.txt".encode(): "größe = 3 µm\n".encode(),
        b"new\nline \x1b[31m.txt": b"strange name\n",
        b" spaces '\"$(x) .txt": b"quoted name\n",
        b"-dash.txt": b"dash name\n",
        b"late_zero.txt": b"x " * 5000 + b"\0 y",
        # An identifier, a word and a line across the end of a block.
        b"block.txt": b" " * (block - 3) + b"across the_end\n",
        b"block_long.txt": b" " * (block - 30) + b"c" * 64 + b" " + b"d" * 65,
        b"one_run.txt": b"r" * (3 * block + 17),
        b"huge.txt": b"int huge_%d = 0x1F;\n" * 60000,
        b"limits.txt": b"a" * 64 + b"\n" + b"b" * 65 + b"\n9z _9 z9",
        b"deep/" + b"d/" * 100 + b"bottom.txt": b"bottom\n",
    }


def many_texts():
    """More than one batch for each worker, and more than one message of names."""
    return {
        b"many/%03d.txt" % i: b"".join(b"name_%d_%d " % (i, j) for j in range(40))
        for i in range(300)
    }


BINARY = {b"binary.bin": b"text \0 text", b"late.bin": b"x" * 8191 + b"\0"}
UNREADABLE = {b"unreadable.txt": b"secret words\n", b"closed/inside.txt": b"in\n"}


def write(root, files):
    for name, data in files.items():
        path = os.path.join(os.fsencode(root), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)


@pytest.fixture
def folder():
    """A folder that everybody may enter, which pytest's are not."""
    root = tempfile.mkdtemp(prefix="scan-")
    os.chmod(root, 0o755)
    yield root
    for path, below, _ in os.walk(root):
        for name in below:
            os.chmod(os.path.join(path, name), 0o755)
    shutil.rmtree(root)


@pytest.fixture
def tree(folder):
    for files in (texts(), many_texts(), BINARY, UNREADABLE):
        write(folder, files)
    os.chmod(os.path.join(folder, "unreadable.txt"), 0)
    os.chmod(os.path.join(folder, "closed"), 0)
    os.symlink("nowhere", os.path.join(folder, "dangling"))
    os.symlink("plain.txt", os.path.join(folder, "link"))
    os.symlink("..", os.path.join(folder, "deep", "round"))
    os.mkfifo(os.path.join(folder, "pipe"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.join(folder, "socket"))
    return folder


def expected(root):
    """The same counts, found in another way."""
    files = {**texts(), **many_texts()}
    failed = 0
    if root:
        files.update(UNREADABLE)
    else:
        failed = len(UNREADABLE)
    names = Counter()
    lines = words = 0
    for data in files.values():
        lines += data.count(b"\n") + (data != b"" and not data.endswith(b"\n"))
        words += len(data.split())
        names.update(
            name
            for name in re.findall(rb"\w+", data, re.ASCII)
            if len(name) <= 64 and not name[:1].isdigit()
        )
    skipped = len(BINARY) + 5
    top = sorted(names.items(), key=lambda item: (-item[1], item[0]))
    return {
        "found": (len(files) + skipped + failed, len(files), skipped, failed),
        "all": (len(files), lines, words),
        "megabytes": f"{sum(map(len, files.values())) / 1e6:.2f}",
        "empty": 1,
        "different": len(names),
        "top": {name.decode(): count for name, count in top[:12]},
    }


def told(output):
    """What a scanner says, as numbers."""
    text = output.replace(",", "")
    found = re.search(r"^found (\d+) = (\d+) \D+(\d+) \D+(\d+) failed$", text, re.M)
    row = re.search(r"^all +(\d+) +(\d+) +(\d+) +([\d.]+)", text, re.M)
    names = text.partition("the most frequent:\n")[2].partition("\n\n")[0]
    return {
        "found": tuple(map(int, found.groups())),
        "all": tuple(map(int, row.groups()[:3])),
        "megabytes": row[4],
        "empty": int(re.search(r"^empty: (\d+)$", text, re.M)[1]),
        "different": int(re.search(r"^(\d+) different", text, re.M)[1]),
        "top": {name: int(n) for name, n in re.findall(r"(\w+) +(\d+)", names)},
    }


# ---- Running ------------------------------------------------------------------


@pytest.fixture
def output():
    """Where the picture goes; everybody may write there."""
    path = tempfile.mkdtemp(prefix="scan-out-")
    os.chmod(path, 0o777)
    yield path
    shutil.rmtree(path)


def environment(output):
    return {**os.environ, "BRIDGE_DEMO_OUTPUT": output, "ASAN_OPTIONS": ""}


def run(which, *arguments, output, user=None):
    who = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    return subprocess.run(
        COMMANDS[which] + [os.fspath(argument) for argument in arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=LONG,
        env=environment(output),
        cwd="/",
        **who,
    )


def text(data):
    return data.decode("utf-8", "surrogateescape")


def drop():
    """Whom to be so that permissions count; None: who we are."""
    if os.geteuid() != 0:
        return None
    look = ["test", "-r", str(SCAN_PY), "-a", "-x", PROGRAM]
    seen = subprocess.run(look, user=NOBODY, group=NOBODY, extra_groups=[])
    if seen.returncode != 0:
        pytest.skip("nobody cannot come to where this was built")
    return NOBODY


# ---- Everything is somewhere --------------------------------------------------


@pytest.mark.parametrize("which", COMMANDS)
def test_every_file_is_counted_once(which, tree, output):
    result = run(which, tree, output=output)
    assert result.returncode == 0, text(result.stderr)
    assert told(text(result.stdout)) == expected(root=os.geteuid() == 0)


@pytest.mark.parametrize("which", COMMANDS)
def test_what_cannot_be_read_is_reported(which, tree, output):
    result = run(which, tree, output=output, user=drop())
    assert result.returncode == 0, text(result.stderr)
    out = text(result.stdout)
    assert told(out) == expected(root=False)
    assert "unreadable.txt: Permission denied\n" in out


def test_the_passes_agree_and_the_demo_says_so(tree, output):
    result = run("python", "--workers", "3", tree, output=output, user=drop())
    out = text(result.stdout)
    assert "\nboth passes agree\n" in out
    assert "\nworker 3 " in out
    assert "\n3 workers:\n" in out and "\n1 worker:\n" in out
    assert f"{tree}/closed: Permission denied\n" in out
    assert re.search(r"^skipped: .*\b3 symbolic links\b", out, re.M)
    assert re.search(r"^skipped: .*\b2 special files\b", out, re.M)
    assert re.search(r"^skipped: .*\b2 binary files\b", out, re.M)


def test_a_log_has_no_control_characters(folder, output):
    names = {b"new\nline \x1b[31m.txt": b"x\n", b"bad\xff.txt": b"y\n"}
    write(folder, names)
    for name in names:
        os.chmod(os.path.join(os.fsencode(folder), name), 0)
    result = run("python", folder, output=output, user=drop())
    out = result.stdout.decode("utf-8")  # all of it is
    assert r"new\nline \x1b[31m.txt: Permission denied" in out
    assert r"bad\xff.txt: Permission denied" in out
    assert all(c == "\n" or c.isprintable() for c in out)


def test_names_that_are_not_utf8_are_counted(folder, output):
    write(folder, {b"bad\xff.txt": b"x\n", b"good.txt": b"y\n"})
    out = text(run("python", folder, output=output).stdout)
    assert "\n1 name that is not UTF-8\n" in out
    write(folder, {b"worse\xfe/\xc3\xbc.txt": b"z\n"})
    out = text(run("python", folder, output=output).stdout)
    assert "\n2 names that are not UTF-8\n" in out


def test_little_text_is_not_timed(folder, output):
    write(folder, {b"a.txt": b"1 2\n"})
    out = text(run("python", folder, output=output).stdout)
    assert out.startswith(f"1 file, 4 bytes, below\n  {folder}\n")
    assert "\n  100%  1 of 1 file\n" in out
    assert "\n0 different identifiers\n" in out
    assert "\ntoo little text to time\n" in out
    assert "speed-up" not in out and "MB/s" not in out and "frequent" not in out


def test_a_speed_needs_text_and_time():
    work = picture([(0.0, 1.0)], ["/r/a"]).many
    work.workers[0].bytes, work.cpu = counts.TIMED_BYTES, [0.5]
    assert work.timed and work.share(0) == 0.5
    work.seconds = 0.1
    assert not work.timed and work.share(0) is None
    work.seconds, work.cpu = 1.0, [None]
    assert work.timed and work.share(0) is None


def test_links_are_left_out_of_what_there_is_to_do(folder, output):
    write(folder, {b"a.txt": b"1\n", b"b.txt": b"2\n"})
    os.symlink("a.txt", os.path.join(folder, "link"))
    out = text(run("python", folder, output=output).stdout)
    assert f"2 files, 4 bytes, below\n  {folder}\nleft out: 1 symbolic link\n" in out
    assert "\nfound 3 = 2 scanned + 1 skipped + 0 failed\n" in out


@pytest.mark.parametrize("columns", [10, 30, 50, 80, 200])
def test_the_bar_fits_the_terminal(columns, monkeypatch, capsys):
    work = picture([], ["/r/a"] * 123456).many
    work.bars = [None] * 61728
    monkeypatch.setenv("COLUMNS", str(columns))
    scanning.Progress(work).bar()
    line = capsys.readouterr().out
    assert line.startswith("\r  ") and len(line) == columns
    assert ("█" in line) == (columns >= 50)
    assert "50%" in line


def test_a_terminal_sees_a_bar(folder, output):
    write(folder, many_texts())
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMANDS["python"], folder],
        stdout=theirs,
        env={**environment(output), "COLUMNS": "80"},
    )
    os.close(theirs)
    seen = b""
    try:
        while True:
            seen += os.read(ours, 65536)
    except OSError:
        pass  # how a terminal ends
    os.close(ours)
    assert process.wait(LONG) == 0
    assert "\r  ████████████████████████████████ 100%".encode() in seen


class Quiet:
    def update(self):
        pass


def scanned(found, workers=2):
    work = counts.Pass(found, workers)
    asyncio.run(scan.scan(work, Quiet()))
    return work


def test_what_changes_after_it_was_found_is_a_failure(folder):
    write(folder, {b"gone.txt": b"a\n", b"here.txt": b"b\n", b"other.txt": b"c\n"})
    found = scanning.find([folder])
    os.unlink(os.path.join(folder, "gone.txt"))
    os.unlink(os.path.join(folder, "other.txt"))
    os.mkdir(os.path.join(folder, "other.txt"))
    work = scanned(found)
    assert sorted(work.failed) == [
        (0, "No such file or directory"),
        (2, "Is a directory"),
    ]
    assert work.total.files == 1
    assert work.complete


def test_the_bars_cover_every_file(tree):
    work = scanned(scanning.find([tree]))
    assert sorted(bar[3] for bar in work.bars) == list(range(len(work.found.paths)))
    for worker in range(2):
        ends = [(begin, end) for who, begin, end, _ in work.bars if who == worker]
        assert all(begin <= end for begin, end in ends)
        assert all(a[1] <= b[0] for a, b in zip(ends, ends[1:]))


@pytest.mark.parametrize(
    "script, expected",
    [
        ("return 1", bridge.WorkerDied),
        ("error('no more tea')", bridge.WorkerDied),
        ("return require('bridge').serve {}", bridge.NotFound),
        ("return require('bridge').serve { scan = error }", bridge.LuaError),
        ("this is no Lua", bridge.LuaSyntaxError),
    ],
)
def test_a_script_that_fails_ends_the_job(
    script, expected, folder, monkeypatch, capfd
):
    write(folder, {**many_texts(), b"script.lua": script.encode()})
    monkeypatch.setattr(scan, "SCRIPT", os.path.join(folder, "script.lua"))
    with pytest.raises(expected):
        scanned(scanning.find([folder]))
    assert capfd.readouterr() == ("", "")


def test_more_workers_than_files(folder):
    write(folder, {b"only.txt": b"one\n"})
    work = scanned(scanning.find([folder]), workers=5)
    assert work.complete
    assert work.total.words == 1


# ---- Nothing to do --------------------------------------------------------------


@pytest.mark.parametrize("which", COMMANDS)
def test_a_folder_that_is_none_is_refused(which, folder, output):
    write(folder, {b"file": b"x"})
    for name in ("nowhere", "file"):
        path = os.path.join(folder, name)
        result = run(which, path, output=output)
        assert result.returncode == 2
        assert path in text(result.stderr)
        assert "Traceback" not in text(result.stderr)
        assert "traceback" not in text(result.stderr)


@pytest.mark.parametrize("which", COMMANDS)
def test_a_folder_without_files_is_said_to_be_so(which, folder, output):
    os.mkfifo(os.path.join(folder, "pipe"))
    result = run(which, folder, output=output)
    assert result.returncode == 1
    assert "there is no file to scan\n" in text(result.stderr)


def test_a_wrong_number_of_workers_is_refused(folder, output):
    for number in ("0", "-1", "1025", "many"):
        result = run("python", f"--workers={number}", folder, output=output)
        assert result.returncode == 2
        assert "--workers" in text(result.stderr)


def test_a_picture_without_a_folder_is_refused_before_the_work(folder, output):
    write(folder, {b"a.txt": b"a\n", b"file": b"x\n"})
    for place in ("file/below", "nowhere", "nowhere/some.svg"):
        result = run("python", folder, output=os.path.join(folder, place))
        assert result.returncode == 2
        assert "no folder for the picture" in text(result.stderr)
        assert result.stdout == b""
        assert not os.path.exists(os.path.join(folder, "nowhere"))


def test_a_picture_that_cannot_be_written_is_an_error(folder, output):
    write(folder, {b"a.txt": b"a\n"})
    os.makedirs(os.path.join(output, "demo.svg"))
    result = run("python", folder, output=output)
    assert result.returncode == 1
    assert "Is a directory" in text(result.stderr)
    assert "Traceback" not in text(result.stderr)


def test_a_folder_without_a_name_is_refused(output):
    result = run("python", "", output=output)
    assert result.returncode == 2
    assert "without a name" in text(result.stderr)


def test_a_closed_output_is_no_failure(folder, output):
    write(folder, {b"a.txt": b"a\n"})
    shell = ["sh", "-c", 'exec "$@" >&-', "sh", *COMMANDS["python"], folder]
    result = subprocess.run(
        shell, stderr=subprocess.PIPE, timeout=LONG, env=environment(output)
    )
    assert (result.returncode, result.stderr) == (0, b"")
    assert os.path.exists(os.path.join(output, "demo.svg"))


def test_nobody_reads_to_the_end(folder, output):
    write(folder, many_texts())
    process = subprocess.Popen(
        [*COMMANDS["python"], folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(output),
    )
    process.stdout.close()
    assert process.wait(LONG) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


# ---- Ctrl-C ------------------------------------------------------------------------


@pytest.fixture
def much(folder):
    """Hundreds of megabytes that take no room: one file by many names."""
    write(folder, {b"0": b"some words of_text and numbers 12345\n" * 9000})
    for i in range(1, 500):
        os.link(os.path.join(folder, "0"), os.path.join(folder, str(i)))
    return folder


def start(which, folder, output):
    return subprocess.Popen(
        [*COMMANDS[which], folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(output),
        text=True,
    )


def stopped(process):
    out, err = process.communicate(timeout=LONG)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    done, of = re.search(r"^stopped after ([\d,]+) of ([\d,]+)", out, re.M).groups()
    return int(done.replace(",", "")), int(of.replace(",", ""))


def test_control_c_stops_the_demo(much, output):
    process = start("python", much, output)
    for line in process.stdout:
        if "%" in line:
            break
    process.send_signal(signal.SIGINT)
    done, of = stopped(process)
    assert 0 < done < of == 1000


def test_control_c_stops_the_program_in_c(much, output):
    process = start("c", much, output)
    deadline = time.monotonic() + LONG
    while len(os.listdir(f"/proc/{process.pid}/task")) == 1:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    done, of = stopped(process)
    assert done < of == 500


def test_a_worker_that_the_system_holds_is_left_behind(folder):
    write(folder, {b"a": b"x\n", b"b": b"y\n"})
    found = scanning.find([folder])
    pipe = os.path.join(folder, "a")
    os.unlink(pipe)
    os.mkfifo(pipe)

    async def stop_it():
        """Open the pipe, which works once the worker has; it reads for ever."""
        task = asyncio.create_task(scan.scan(counts.Pass(found, 2), Quiet()))
        deadline = time.monotonic() + LONG
        while True:
            try:
                writing = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
                break
            except OSError:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        os.close(writing)

    asyncio.run(stop_it())


# ---- The picture ---------------------------------------------------------------------


def test_the_picture_shows_every_worker_and_file(tree, output):
    result = run("python", "--workers", "3", tree, output=output)
    path = os.path.join(output, "demo.svg")
    assert f"picture: {path}\n" in text(result.stdout)
    root = xml.etree.ElementTree.parse(path).getroot()
    names = {"s": "http://www.w3.org/2000/svg"}
    labels = [label.text for label in root.findall("s:text", names)]
    assert labels.count("worker 1") == 2  # of three, and of one
    assert labels.count("worker 3") == 1
    shown = 0
    for title in root.iterfind(".//s:title", names):
        run_of = re.match(r"([\d,]+) files from ", title.text)
        shown += int(run_of[1].replace(",", "")) if run_of else 1
    files = int(re.search(r"(\d+) of \1 files", text(result.stdout))[1])
    assert shown == 2 * files


def picture(bars, paths, seconds=1.0):
    found = scanning.find([])
    found.roots, found.paths, found.sizes = ["/r"], paths, [1] * len(paths)
    work = counts.Pass(found, 1)
    work.bars = [(0, begin, end, file) for file, (begin, end) in enumerate(bars)]
    work.seconds = seconds
    return timeline.Picture(work, work)


def test_files_narrower_than_a_pixel_are_one_bar():
    count = 10000
    bars = [(i / count, (i + 1) / count) for i in range(count)]
    drawn = picture(bars, [f"/r/{i % 9}/{i}" for i in range(count)])
    merged = drawn.merge([(b, e, i) for i, (b, e) in enumerate(bars)])
    assert sum(bar.files for bar in merged) == count
    assert all((bar.end - bar.begin) * drawn.scale >= 1 for bar in merged[:-1])


def test_long_files_and_idle_times_stay_apart():
    bars = [(0.0, 0.2), (0.2, 0.4), (0.8, 0.8001), (0.9, 0.9001)]
    drawn = picture(bars, ["/r/a/1", "/r/a/2", "/r/a/3", "/r/a/4"])
    merged = drawn.merge([(b, e, i) for i, (b, e) in enumerate(bars)])
    assert [(bar.begin, bar.end) for bar in merged] == bars


def test_colours_stand_for_the_folders_below_the_root():
    found = scanning.find([])
    found.roots = ["/r", "/"]
    assert timeline.folder_of(found, "/r/a/b/c") == "/r/a"
    assert timeline.folder_of(found, "/r/file") == "/r"
    assert timeline.folder_of(found, "/rest/file") == "/rest"


# ---- Dividing the work --------------------------------------------------------


def batched(sizes):
    found = scanning.find([])
    found.paths = [str(i) for i in range(len(sizes))]
    found.sizes = sizes
    return [(first, len(paths)) for first, paths in counts.batches(found)]


def test_batches_hold_every_file_once():
    for sizes in ([], [0], [1] * 64, [1] * 65, [1 << 30] * 5, [0, 1 << 21, 5] * 50):
        portions = batched(sizes)
        assert sum(size for _, size in portions) == len(sizes)
        assert [first for first, _ in portions] == [
            sum(size for _, size in portions[:i]) for i in range(len(portions))
        ]
        assert all(0 < size <= counts.BATCH_FILES for _, size in portions)


def test_large_files_do_not_share_a_batch():
    assert batched([1 << 30] * 3) == [(0, 1), (1, 1), (2, 1)]


if __name__ == "__main__":
    os.environ["SCAN_PROGRAM"], os.environ["SCAN_LUA"] = sys.argv[1:3]
    options = ["-q", "-p", "no:cacheprovider", "--durations=5", __file__]
    sys.exit(pytest.main(options + sys.argv[3:]))
