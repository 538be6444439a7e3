"""What the public headers promise about themselves, checked.

Each check returns a list of complaints.  The exit status is 1 if there are any.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys

THREAD_PHRASES = (
    "Any thread.",
    "The owner's thread.",
    "Any thread; one caller at a time.",
)

# A doc block, then a declaration that begins with BRIDGE_API.
DECLARATION = re.compile(
    r"(?P<doc>/\*\*(?:(?!\*/).)*\*/)?\s*"
    r"BRIDGE_API\s+(?P<result>[^;(]*?)\b(?P<name>bridge_\w+)\((?P<arguments>[^;]*)\)"
    r"[^;()]*;",
    re.DOTALL,
)


def doc_text(block):
    """The words of a comment, without its stars, in one line."""
    lines = (re.sub(r"^\s*/?\*+/?", "", line) for line in block.splitlines())
    return " ".join(" ".join(lines).replace("*/", "").split())


def split_arguments(text):
    """Divide at the commas that are in no parentheses."""
    parts, depth, current = [], 0, ""
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    parts.append(current)
    return [part.strip() for part in parts if part.strip() not in ("", "void")]


def argument_name(text):
    """The name in a C parameter: `(*name)(`, `name[]`, or the last word."""
    if text == "...":
        return None
    pointer = re.search(r"\(\s*\*\s*(\w+)\s*\)", text)
    if pointer:
        return pointer.group(1)
    words = re.findall(r"\w+", re.sub(r"\[[^\]]*\]", "", text))
    return words[-1] if len(words) > 1 else None


def functions(headers):
    """(header, match) of every public function."""
    for header in headers:
        for match in DECLARATION.finditer(header.read_text()):
            yield header, match


def check_documented(headers):
    complaints = []
    for header, match in functions(headers):
        where = f"{header.name}: {match['name']}"
        if not match["doc"]:
            complaints.append(f"{where} has no doc block")
            continue
        text = doc_text(match["doc"])
        complaints += [f"{where}: {c}" for c in check_thread_tag(text)]
        complaints += [f"{where}: {c}" for c in check_parameters(text, match)]
        if match["result"].strip() == "void" and "@return" in text:
            complaints.append(f"{where}: @return, but it returns nothing")
    return complaints


def check_thread_tag(text):
    tags = re.findall(r"@threadsafety (.*?)(?= @|$)", text)
    if len(tags) != 1:
        return [f"{len(tags)} @threadsafety tags"]
    for phrase in sorted(THREAD_PHRASES, key=len, reverse=True):
        rest = tags[0].removeprefix(phrase).strip()
        if rest != tags[0] and (not rest or rest.startswith("Async-signal-safe")):
            return []
    return [f"@threadsafety says '{tags[0]}'"]


def check_parameters(text, match):
    real = [argument_name(part) for part in split_arguments(match["arguments"])]
    documented = re.findall(r"@param(?:\[[a-z,]+\])? (\.\.\.|\w+)", text)
    complaints = []
    if None in real and "..." not in match["arguments"]:
        complaints.append("a parameter has no name")
    names = [name for name in real if name]
    for name in names:
        if name not in documented:
            complaints.append(f"parameter '{name}' is not documented")
    for name in documented:
        if name not in names and name != "...":
            complaints.append(f"'{name}' is documented, but no parameter")
    return complaints


def check_order_of_words(headers):
    """Names are bridge_<noun>_..., where the noun is a header's name."""
    nouns = {header.stem for header in headers} | {
        "set", "run", "trim", "version", "reader", "answer", "cores", "value", "handle",
        "counter", "flag", "mutex", "workers", "objects",
    }
    return [
        f"{header.name}: {match['name']} begins with no noun of ours"
        for header, match in functions(headers)
        if match["name"].split("_")[1] not in nouns
    ]


def check_compiles_alone(headers, include, compilers):
    complaints = []
    for header in headers:
        for command in compilers:
            language = "c++" if command[1].startswith("-std=c++") else "c"
            # Twice: the guard has to work, too.
            text = f"#include <bridge/{header.name}>\n" * 2 + "extern int nothing;\n"
            run = subprocess.run(
                [*command, "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                 "-I", str(include), "-fsyntax-only", "-x", language, "-"],
                input=text, capture_output=True, text=True, check=False,
            )
            if run.returncode != 0:
                complaints.append(f"{header.name} with {' '.join(command)}:\n{run.stderr}")
    return complaints


def check_included(headers):
    """bridge.h is over them all."""
    text = next(h for h in headers if h.name == "bridge.h").read_text()
    return [
        f"bridge.h does not include {header.name}"
        for header in headers
        if header.name != "bridge.h" and f"<bridge/{header.name}>" not in text
    ]


def check_exports(headers, symbols, library):
    declared = {match["name"] for _, match in functions(headers)}
    listed = [
        line.strip()
        for line in symbols.read_text().splitlines()
        if line.strip() and not line.startswith("#")
    ]
    complaints = []
    if listed != sorted(set(listed)):
        complaints.append("bridge.sym is not sorted, or names something twice")
    for what, names in (
        ("bridge.sym", set(listed)),
        (library.name, exported(library)),
    ):
        complaints += [f"{what} lacks {name}" for name in sorted(declared - names)]
        complaints += [
            f"{what} has {name}, which no header declares"
            for name in sorted(names - declared)
        ]
    return complaints


def exported(library):
    run = subprocess.run(
        ["nm", "-D", "--defined-only", str(library)],
        capture_output=True, text=True, check=True,
    )
    found = set()
    for line in run.stdout.splitlines():
        kind, name = line.split()[-2:]
        if kind != "A":  # the version itself
            found.add(name.split("@")[0])
    return found


def check_archive(symbols, archive):
    """A static library has no hiding place: every name in it begins with bridge_,
    and what is not public is hidden from programs that export their names."""
    listed = set(re.findall(r"^bridge_\w+", symbols.read_text(), re.MULTILINE))
    run = subprocess.run(
        ["readelf", "--symbols", "--wide", str(archive)],
        capture_output=True, text=True, check=True, env={"LC_ALL": "C"},
    )
    complaints, visible = [], set()
    for line in run.stdout.splitlines():
        words = line.split()
        if len(words) != 8 or words[4] not in ("GLOBAL", "WEAK") or words[6] == "UND":
            continue
        visibility, name = words[5], words[7]
        if not name.startswith("bridge_"):
            complaints.append(f"{archive.name} has {name}")
        if visibility == "DEFAULT":
            visible.add(name)
    complaints += [f"{archive.name} lacks {name}" for name in sorted(listed - visible)]
    complaints += [f"{archive.name} shows {name}" for name in sorted(visible - listed)]
    return complaints


def check_no_conditions(source):
    """Platforms are folders: core code has no #if but include guards."""
    complaints = []
    for file in sorted((source / "libbridge/src").rglob("*.[ch]")):
        relative = file.relative_to(source / "libbridge/src")
        if {"platform", "posix", "windows"} & set(relative.parts):
            continue
        lines = file.read_text().splitlines()
        for number, line in enumerate(lines, 1):
            directive = re.match(r"\s*#\s*(if|ifdef|ifndef|elif|else)\b(.*)", line)
            if directive and not allowed(file, directive, lines, number):
                complaints.append(f"src/{relative}:{number}: {line.strip()}")
    return complaints


def allowed(file, directive, lines, number):
    """An include guard."""
    following = lines[number].split() if number < len(lines) else []
    if directive[1] == "ifndef" and file.suffix == ".h":
        return following[:2] == ["#define", directive[2].strip()]
    return False


def check_files(source):
    """Text files end with one newline, and have no trailing blanks or tabs."""
    complaints = []
    folders = ("libbridge", "bindings", "swig", "cmake", "examples", "tests", "pkgconfig")
    suffixes = {".c", ".h", ".cc", ".i", ".swg", ".lua", ".py", ".pyi", ".cmake", ".txt", ".sh"}
    for folder in folders:
        for file in sorted((source / folder).rglob("*")):
            if file.suffix not in suffixes or not file.is_file():
                continue
            data = file.read_bytes()
            name = file.relative_to(source)
            if data and (not data.endswith(b"\n") or data.endswith(b"\n\n")):
                complaints.append(f"{name} does not end with one newline")
            if re.search(rb"[ \t]+$", data, re.MULTILINE):
                complaints.append(f"{name} has blanks at the end of a line")
            if b"\r" in data:
                complaints.append(f"{name} has carriage returns")
    return complaints


def check_first_lines(source):
    """The first line of each .c says what its place is."""
    folders = ("libbridge/src", "bindings")
    return [
        f"{file.relative_to(source)} does not begin with a comment"
        for folder in folders
        for file in sorted((source / folder).rglob("*.c"))
        if not file.read_text().startswith("/*")
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--library", type=pathlib.Path, required=True)
    parser.add_argument("--archive", type=pathlib.Path)
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--cxx", default="c++")
    options = parser.parse_args()

    include = options.source / "libbridge/include"
    headers = sorted((include / "bridge").glob("*.h"))
    count = sum(1 for _ in functions(headers))
    declarations = sum(
        len(re.findall(r"^BRIDGE_API ", header.read_text(), re.MULTILINE))
        for header in headers
    )
    compilers = [[options.cc, "-std=c11"], [options.cxx, "-std=c++17"]]
    compilers += [
        [command, standard]
        for command, standard in (("clang", "-std=c11"), ("clang++", "-std=c++17"))
        if shutil.which(command)
    ]
    checks = {
        "every declaration is understood here": [
            f"{declarations} lines begin with BRIDGE_API, {count} functions found"
        ] if count != declarations or count == 0 else [],
        "every function is documented": check_documented(headers),
        "names begin with a noun": check_order_of_words(headers),
        "every header compiles alone": check_compiles_alone(
            headers, include, compilers),
        "bridge.h includes every header": check_included(headers),
        "what is declared is exported, and nothing else": check_exports(
            headers, options.source / "libbridge/bridge.sym", options.library),
        "a static library shows the same": check_archive(
            options.source / "libbridge/bridge.sym", options.archive)
        if options.archive else [],
        "no #if outside the platform": check_no_conditions(options.source),
        "files end as they should": check_files(options.source),
        "C files say what they are": check_first_lines(options.source),
    }
    for title, complaints in checks.items():
        print(f"{'FAIL' if complaints else 'ok  '} {title}")
        for complaint in complaints:
            print(f"     {complaint}")
    print(f"{count} public functions")
    return 1 if any(checks.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
