"""Runs the examples of README.md: each block of C, Lua or Python that is
followed by a block of text has to print that text."""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples(text):
    """Pairs of (language, source, expected output)."""
    blocks = BLOCK.findall(text)
    for (language, source), (kind, output) in zip(blocks, blocks[1:]):
        if language in ("c", "lua", "python") and kind == "text":
            yield language, source, output


def command(language, file, args):
    if language == "lua":
        return [args.lua, file]
    if language == "python":
        return [args.python, file]
    program = file.with_suffix("")
    compiler = [args.cc, "-std=c11", "-Wall", "-Wextra", "-Werror", file, "-o",
                program, f"-I{args.include}", args.library,
                f"-Wl,-rpath,{pathlib.Path(args.library).parent}"]
    subprocess.run(compiler, check=True)
    return [program]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("readme", "include", "library", "cc", "lua", "python"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    found = set()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        text = pathlib.Path(args.readme).read_text(encoding="utf-8")
        for language, source, expected in examples(text):
            file = pathlib.Path(folder, f"readme.{language}")
            file.write_text(source, encoding="utf-8")
            result = subprocess.run(command(language, file, args), text=True,
                                    timeout=60, stdout=subprocess.PIPE)
            found.add(language)
            ok = result.returncode == 0 and result.stdout == expected
            failed |= not ok
            print(f"{language}: {'ok' if ok else 'FAILED'}")
            if not ok:
                print(f"status {result.returncode}, expected:\n{expected}"
                      f"printed:\n{result.stdout}")
    missing = {"c", "lua", "python"} - found
    if missing:
        print("no example for", ", ".join(sorted(missing)))
    return 1 if failed or missing else 0


sys.exit(main())
