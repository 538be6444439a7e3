"""The command line: what was asked for, and how to say that it cannot be done."""

import argparse
import os
import sys
from pathlib import Path

from .folder import default_folders
from .report import name

PROJECT = Path(__file__).resolve().parents[3]


def main(run, cores, errors):
    """Call run(folders, count, picture) with what the user wants."""
    # Who closed our output, as in `scan.py >&-`, gets none.
    sys.stdout = sys.stdout or open(os.devnull, "w")
    sys.stderr = sys.stderr or open(os.devnull, "w")
    # A name may hold any bytes; none of them may end the program.
    sys.stdout.reconfigure(errors="backslashreplace")
    sys.stderr.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(
        prog="scan.py", description="Scan folders of text with Lua workers."
    )
    parser.add_argument("folders", metavar="FOLDER", nargs="*")
    parser.add_argument("--workers", type=int, default=cores, help="one for each core")
    options = parser.parse_args()
    if not 1 <= options.workers <= 1024:
        parser.error("--workers is a number from 1 to 1024")
    for folder in options.folders:
        if not folder:
            return complain("a folder without a name", 2)
        if not os.path.isdir(folder):
            what = "is not a folder" if os.path.lexists(folder) else "does not exist"
            return complain(f"{name(folder)} {what}", 2)
    folders = options.folders or default_folders()
    if not folders:
        return complain("this machine has no /usr/include: name a folder", 2)
    picture = picture_path()
    if not os.path.isdir(os.path.dirname(picture) or "."):
        return complain(f"no folder for the picture {name(picture)}", 2)
    try:
        status = run(folders, options.workers, picture)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Nobody reads on, as in `./dev demo | head`: that is no failure of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (errors, OSError) as error:
        return complain(str(error), 1)


def complain(text, status):
    print(f"scan.py: {text}", file=sys.stderr)
    return status


def picture_path():
    """BRIDGE_DEMO_OUTPUT names a folder that exists, or the file itself."""
    output = os.environ.get("BRIDGE_DEMO_OUTPUT", "")
    if output.endswith(".svg") and not os.path.isdir(output):
        return output
    release = PROJECT / "build" / "release"
    return os.path.join(output or (release if release.is_dir() else ""), "demo.svg")
