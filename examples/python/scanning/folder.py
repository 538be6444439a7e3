"""Find what there is to scan, and say why the rest is left out."""

import os
from dataclasses import dataclass, field
from typing import List, Tuple

READ_AHEAD_MOST = 1 << 30


@dataclass
class Found:
    """Everything below some folders that is not a folder that can be listed."""

    roots: List[str]
    paths: List[str] = field(default_factory=list)
    sizes: List[int] = field(default_factory=list)
    skipped: List[Tuple[str, str]] = field(default_factory=list)
    failed: List[Tuple[str, str]] = field(default_factory=list)
    odd: int = 0  # names that are not UTF-8, also those of folders

    @property
    def count(self):
        return len(self.paths) + len(self.skipped) + len(self.failed)


def default_folders():
    """Where every machine has text."""
    folders = ["/usr/include", "/usr/share/doc"]
    return [folder for folder in folders if os.path.isdir(folder)]


def find(roots):
    """Walk the folders.  Links are not followed, so that nothing counts twice
    and nothing goes round in circles; what is no regular file is not opened,
    so that no pipe keeps us waiting."""
    found = Found(list(roots))
    folders = list(reversed(found.roots))
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            found.failed.append((folder, error.strerror or str(error)))
            continue
        below = [entry.path for entry in inside if sort(found, entry)]
        folders.extend(reversed(below))
    return found


def sort(found, entry):
    """Put an entry where it belongs; true for a folder, which is walked next."""
    found.odd += not is_utf8(entry.name)
    try:
        if entry.is_symlink():
            found.skipped.append((entry.path, "symbolic link"))
        elif entry.is_dir(follow_symlinks=False):
            return True
        elif not entry.is_file(follow_symlinks=False):
            found.skipped.append((entry.path, "special file"))
        else:
            found.sizes.append(size_of(entry))
            found.paths.append(entry.path)
    except OSError as error:
        found.failed.append((entry.path, error.strerror or str(error)))
    return False


def is_utf8(text):
    try:
        os.fsencode(text).decode("utf-8")
        return True
    except UnicodeDecodeError:
        return False


def size_of(entry):
    """Bytes, for sharing out the work; whoever opens the file reports why that
    does not work."""
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0


def read_ahead(found):
    """Read the text once, up to 1 GiB, so that every pass finds it in memory
    and none is slower only because it came first."""
    left = READ_AHEAD_MOST
    for path in found.paths:
        try:
            with open(path, "rb", buffering=0) as file:
                block = file.read(8192)
                while block and b"\0" not in block and left > 0:
                    left -= len(block)
                    block = file.read(1 << 20)
        except OSError:
            pass  # the worker that scans it says so
