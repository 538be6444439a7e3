"""The layers of the library are those of docs/architecture.dot.

    architecture.py ROOT

Every `#include "folder/..."` of libbridge/src has to go along the arrows of the
picture; every arrow of the picture has to be used, and every folder to be in it.
"""

import pathlib
import re
import sys

ARROW = re.compile(r"^\s*src_(\w+)\s*->\s*src_(\w+)", re.MULTILINE)
ROOM = re.compile(r"^\s*src_(\w+)\s*\[", re.MULTILINE)
INCLUDE = re.compile(r'^#include "(\w+)/', re.MULTILINE)


def drawn(text):
    """The folders of the picture, and what each may use directly."""
    uses = {room: set() for room in ROOM.findall(text)}
    for user, used in ARROW.findall(text):
        uses[user].add(used)
    return uses


def reach(uses, folder, seen=()):
    """All that a folder may use; a circle is an error."""
    if folder in seen:
        raise SystemExit("circle in the picture: " + " -> ".join((*seen, folder)))
    found = set()
    for used in uses[folder]:
        found |= {used} | reach(uses, used, (*seen, folder))
    return found


def included(source):
    """(file, its folder, the folder that it includes)."""
    for path in sorted(source.rglob("*.[ch]")):
        folder = path.relative_to(source).parts[0]
        for other in INCLUDE.findall(path.read_text()):
            if other != folder:
                yield path.relative_to(source), folder, other


def complaints(root):
    uses = drawn((root / "docs/architecture.dot").read_text())
    source = root / "libbridge/src"
    folders = {path.name for path in source.iterdir() if path.is_dir()}
    for folder in sorted(folders ^ set(uses)):
        yield f"{folder}: a folder of libbridge/src and a room of the picture differ"
    if folders != set(uses):
        return
    allowed = {folder: reach(uses, folder) for folder in uses}
    found = set()
    for path, folder, other in included(source):
        found.add((folder, other))
        if other not in allowed[folder]:
            yield f"{path}: {folder} may not use {other}"
    for folder in sorted(uses):
        for other in sorted(uses[folder]):
            if (folder, other) not in found:
                yield f"nothing in {folder} uses {other}, though the picture says so"


def main():
    problems = list(complaints(pathlib.Path(sys.argv[1])))
    for problem in problems:
        print(problem)
    print(f"{len(problems)} complaints about the architecture")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
