"""Runs the benchmarks and prints one table; `./dev bench` calls it.

All variants of a row run in turn, round after round, so that a figure and the
figures beside it saw the same machine.  Aims are reported and fail nothing; a
program that fails does.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import importlib.util
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

import rows

FOLDER = pathlib.Path(__file__).resolve().parent
NOT_INSTALLED = 77
#: The program says in words why there is no figure.
SAYS = 76
#: As a shell says that Ctrl-C ended a program.
INTERRUPTED = 130
OURS = "ours"
#: Samples that differ by more than this factor are marked.
SPREAD = 2.0


class Failed(Exception):
    """A program did not do what a benchmark has to do."""


class Said(Exception):
    """A program says why there is no figure."""


# ---- Running ---------------------------------------------------------------


@dataclasses.dataclass
class Samples:
    """What one variant of a row has given so far."""

    values: list[float] = dataclasses.field(default_factory=list)
    #: Why there are no more: "not installed", "failed", or a program's own words.
    ended: str = ""


@dataclasses.dataclass(frozen=True)
class Setting:
    """Where things are, and how long a program may take."""

    names: dict[str, str]
    seconds: float = 60.0

    def words(self, run):
        """The command of a run, with the names filled in."""
        words = []
        for word in run.command:
            for name, value in self.names.items():
                word = word.replace("{" + name + "}", value)
            words.append(word)
        if run.cores is not None and shutil.which("taskset"):
            words = ["taskset", "-c", run.cores, *words]
        launcher = self.names.get("launcher")
        return [launcher, *words] if launcher else words


def parse(text):
    """The one number that a program prints."""
    words = text.split()
    if len(words) != 1:
        raise Failed(f"printed {text.strip()!r} and not one number")
    try:
        value = float(words[0])
    except ValueError:
        raise Failed(f"printed {words[0]!r} and not a number") from None
    if not 0 <= value < float("inf"):
        raise Failed(f"printed {words[0]}, which is no figure")
    return value


def sample(run, setting):
    """One figure; None if the program is for something that is not here."""
    words = setting.words(run)
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=setting.seconds,
            check=False,
        )
    except FileNotFoundError:
        raise Failed("is not there") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"took more than {setting.seconds:g} s") from None
    if done.returncode == NOT_INSTALLED:
        return None
    if done.returncode == SAYS and done.stdout.strip():
        raise Said(done.stdout.strip())
    if done.returncode != 0:
        last = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise Failed(f"ended with {done.returncode}: {last}")
    return parse(done.stdout)


def variants(row):
    """Ours, and the others; or the columns of a line."""
    if isinstance(row, rows.Line):
        return row.runs
    return {OURS: row.ours, **row.baselines}


def measure(row, rounds, setting, complain=print):
    """The samples of every variant of a row, taken in turn."""
    taken = {name: Samples() for name in variants(row)}
    for _ in range(rounds):
        for name, run in variants(row).items():
            samples = taken[name]
            if samples.ended:
                continue
            try:
                value = sample(run, setting)
            except Failed as failure:
                samples.ended = "failed"
                complain(f"{row.what}: {name} {failure}")
                complain("  " + " ".join(setting.words(run)))
                continue
            except Said as words:
                samples.ended = str(words)
                continue
            if value is None:
                samples.ended = "not installed"
            else:
                samples.values.append(value)
    return taken


# ---- Judging -----------------------------------------------------------------


def ratios(taken, baseline):
    """Ours by the baseline's, for each round that has both."""
    pairs = zip(taken[OURS].values, taken[baseline].values)
    return [ours / other for ours, other in pairs if other > 0]


def judge(aim, taken):
    """Whether an aim was met; None if that cannot be told."""
    if aim.baseline is None:
        figures = taken[OURS].values
    else:
        figures = ratios(taken, aim.baseline)
    if not figures or taken[OURS].ended:
        return None
    figure = statistics.median(figures)
    return figure <= aim.value if aim.relation == "<=" else figure >= aim.value


# ---- Showing -----------------------------------------------------------------


def number(value):
    """Three digits that count, and an exponent only for what is tiny."""
    if value == 0:
        return "0"
    if value >= 999.5:
        return f"{value:,.0f}"
    for digits in range(7):
        if value >= 99.95 / 10**digits:
            return f"{value:.{digits}f}"
    return f"{value:.2e}"


def spans(values):
    """median [min..max], and a mark if they are far apart; of one, itself."""
    median = number(statistics.median(values))
    if len(values) == 1:
        return median
    least, most = min(values), max(values)
    mark = " ~" if most > SPREAD * least else ""
    return f"{median} [{number(least)}..{number(most)}]{mark}"


def figure_cell(samples, unit):
    if samples.ended:
        return samples.ended
    if not samples.values:
        return "no figure"
    return f"{spans(samples.values)} {unit}"


def aim_cells(row, taken, name):
    """The aims that concern a variant, and how they ended."""
    texts, ends = [], []
    for aim in row.aims:
        if (aim.baseline or OURS) != name:
            continue
        by = "" if aim.baseline is None else " x"
        met = judge(aim, taken)
        texts.append(f"{aim.relation} {aim.value:g}{by}")
        ends.append({True: "met", False: "missed", None: "?"}[met])
    return ", ".join(texts), ", ".join(ends)


def lines(row, taken):
    """What, who, figure, ratio, aim, end: one line for each variant."""
    for name in variants(row):
        both = name != OURS and ratios(taken, name)
        yield (
            row.what if name == OURS else "",
            name,
            figure_cell(taken[name], row.unit),
            row.better if name == OURS else "",
            f"{number(statistics.median(both))} x" if both else "",
            *aim_cells(row, taken, name),
        )


TITLES = ("what", "who", "median [min..max]", "better", "ours / theirs", "aim", "")

LEGEND = (
    "All figures of a row were taken in turn.  better: whether more or less of the"
    " unit is.  ours / theirs: the median of the rounds' ratios.  ~: samples more"
    " than 2x apart."
)


def text_table(measured):
    """For a terminal."""
    table = [TITLES]
    for row, taken in measured:
        table += list(lines(row, taken))
    widths = [max(map(len, column)) for column in zip(*table)]
    out = []
    for index, cells in enumerate(table):
        padded = (cell.ljust(width) for cell, width in zip(cells, widths))
        if cells[0] and index > 0:
            out.append("")
        out.append("  ".join(padded).rstrip())
    return "\n".join(out)


def markdown_table(measured):
    out = ["| " + " | ".join(TITLES) + " |", "|---" * len(TITLES) + "|"]
    for row, taken in measured:
        for cells in lines(row, taken):
            cells = [cell.replace("|", "\\|") for cell in cells]
            out.append("| " + " | ".join(cells) + " |")
    return "\n".join(out)


def apart(measured):
    """Rows, and lines by their columns."""
    lines_of, others = {}, []
    for row, taken in measured:
        if isinstance(row, rows.Line):
            columns = (row.unit, *row.runs)
            lines_of.setdefault(columns, []).append((row, taken))
        else:
            others.append((row, taken))
    return others, lines_of


def line_cells(columns, lines_measured):
    """The table of lines: a title, and a row for each."""
    unit, *names = columns
    yield (f"{unit}: median [min..max]", *names)
    for row, taken in lines_measured:
        yield (row.what, *(figure_cell(taken[name], "").strip() for name in names))


def line_text(columns, lines_measured):
    """The same for a terminal."""
    table = list(line_cells(columns, lines_measured))
    widths = [max(map(len, column)) for column in zip(*table)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip()
        for cells in table
    )


def line_markdown(columns, lines_measured):
    title, *table = line_cells(columns, lines_measured)
    out = ["| " + " | ".join(title) + " |", "|---" * len(title) + "|"]
    return "\n".join(out + ["| " + " | ".join(cells) + " |" for cells in table])


def tables(measured, rows_as, lines_as):
    """All of it, in one way of showing."""
    others, lines_of = apart(measured)
    out = [rows_as(others)] if others else []
    out += [lines_as(columns, found) for columns, found in lines_of.items()]
    return "\n\n".join(out)


def beside(row, taken):
    """The baseline that a reader compares with: that of an aim, or the first."""
    named = [aim.baseline for aim in row.aims if aim.baseline]
    known = [name for name in (*named, *row.baselines) if taken[name].values]
    return known[0] if known else None


def short_line(row, taken):
    """What, ours, which way is better, the baseline, their ratio, the aims."""
    ours = taken[OURS]
    figure = f"{number(statistics.median(ours.values))} {row.unit}" if ours.values else "?"
    name = beside(row, taken)
    other = ratio = ""
    if name:
        other = f"{name}: {number(statistics.median(taken[name].values))}"
        both = ratios(taken, name)
        ratio = f"{number(statistics.median(both))} x" if both else ""
    ends = []
    for aim in row.aims:
        by = f" x {aim.baseline}" if aim.baseline not in (None, name) else ""
        by = by or (" x" if aim.baseline else "")
        met = {True: "met", False: "**missed**", None: "not measured"}
        ends.append(f"{aim.relation} {aim.value:g}{by} {met[judge(aim, taken)]}")
    return row.what, figure, row.better, other, ratio, ", ".join(ends)


SHORT_TITLES = ("what", "ours", "better", "beside", "ratio", "aim")


def short_table(measured):
    """One line for each row, for a README."""
    out = ["| " + " | ".join(SHORT_TITLES) + " |", "|---" * len(SHORT_TITLES) + "|"]
    for row, taken in measured:
        cells = [cell.replace("|", "\\|") for cell in short_line(row, taken)]
        out.append("| " + " | ".join(cells) + " |")
    return "\n".join(out)


MARKS = ("<!-- ./dev bench -->", "<!-- end of ./dev bench -->")


def put_between_marks(text, new):
    """The text with what stands between the marks replaced."""
    begin, end = (text.find(mark) for mark in MARKS)
    if begin < 0 or end < begin:
        raise ValueError(f"no '{MARKS[0]}' with '{MARKS[1]}' behind it")
    return text[: begin + len(MARKS[0])] + "\n" + new + "\n" + text[end:]


def notes(measured):
    """Each once, behind the first row that has it."""
    told = {}
    for row, _ in measured:
        if row.note:
            told.setdefault(row.note, row.what)
    return [f"{what}: {note}" for note, what in told.items()]


def summary(measured):
    """How many aims were met; and which were not."""
    ends = [
        (judge(aim, taken), row.what, aim) for row, taken in measured for aim in row.aims
    ]
    met = sum(end is True for end, _, _ in ends)
    out = [f"{met} of {len(ends)} aims met."]
    for word, verdict in (("Missed", False), ("Not measured", None)):
        names = [
            what + (f" ({aim.baseline})" if aim.baseline else "")
            for end, what, aim in ends
            if end is verdict
        ]
        if names:
            out.append(f"{word}: {'; '.join(names)}.")
    return out


# ---- The machine ---------------------------------------------------------------


def output_of(*command):
    """What a command says; "" if it is not there or fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=FOLDER
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def processor():
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def commit():
    """The commit that is measured, with a + if files differ from it."""
    name = output_of("git", "rev-parse", "--short=10", "HEAD") or "unknown"
    changed = output_of("git", "status", "--porcelain", "--untracked-files=no")
    return name + ("+" if changed else "")


def versions(peers):
    """name version, of the peers that are installed."""
    out = []
    for name, package in sorted(peers.items()):
        version = output_of("dpkg-query", "-W", "-f", "${Version}", package)
        if version:
            out.append(f"{name} {version}")
    return out


def load():
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def header(peers):
    cores = len(os.sched_getaffinity(0))
    system = f"{platform.system()} {platform.release()}"
    found = ", ".join(versions(peers)) or "none that dpkg knows"
    return [
        f"Machine: {processor()}, {cores} cores, {system}",
        f"Date: {datetime.datetime.now():%Y-%m-%d %H:%M}; commit {commit()}",
        f"Peers: {found}",
    ]


# ---- Topics --------------------------------------------------------------------


def topic_names(folder):
    return sorted(path.stem for path in folder.glob("*.py"))


def load_topic(folder, name):
    """The rows of a topic and its peers."""
    spec = importlib.util.spec_from_file_location(f"topic_{name}", folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for row in module.ROWS:
        rows.check(row)
    short = set(getattr(module, "SHORT", ()))
    unknown = short - {row.what for row in module.ROWS}
    if unknown:
        raise ValueError(f"{name}: SHORT names no row: {', '.join(sorted(unknown))}")
    return list(module.ROWS), dict(getattr(module, "PEERS", {})), short


def chosen(folder, names, only):
    """The rows to measure, all peers of their topics, and the rows of a short table."""
    wanted, peers, short = [], {}, set()
    for name in names:
        found, its_peers, its_short = load_topic(folder, name)
        wanted += [row for row in found if only.lower() in row.what.lower()]
        peers.update(its_peers)
        short |= its_short
    return wanted, peers, short


def measure_all(wanted, rounds, setting, measured):
    """Appends each row to `measured` when it is finished."""
    for index, row in enumerate(wanted, 1):
        began = time.monotonic()
        progress(f"[{index}/{len(wanted)}] {row.what}")
        taken = measure(row, rounds, setting, progress)
        measured.append((row, taken))
        first = next(iter(variants(row)))
        ours = figure_cell(taken[first], row.unit)
        progress(f"    {ours}   ({time.monotonic() - began:.1f} s)")


def progress(text):
    print(text, file=sys.stderr, flush=True)


# ---- Command -------------------------------------------------------------------


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


class Parser(argparse.ArgumentParser):
    """One line is enough to say what is wrong."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")


def table_file(text):
    """A file that can be written."""
    path = pathlib.Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text or '.'} is a folder")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{path} cannot be written")
    return path


def marked_file(text):
    """A file that can be written, and has the marks."""
    path = table_file(text)
    try:
        put_between_marks(path.read_text(encoding="utf-8"), "")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise argparse.ArgumentTypeError(f"{path}: {reason}") from None
    return path


def arguments(argv):
    parser = Parser(prog="./dev bench", description=__doc__, allow_abbrev=False)
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help="all, if none")
    parser.add_argument("--rounds", type=positive, default=5, metavar="N")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows that contain it")
    parser.add_argument("--markdown", type=table_file, metavar="FILE")
    parser.add_argument(
        "--readme", type=marked_file, metavar="FILE", help=f"a line a row, at {MARKS[0]}"
    )
    parser.add_argument("--list", action="store_true", help="name the rows")
    parser.add_argument("--build", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--lua", default="lua5.4", help=argparse.SUPPRESS)
    parser.add_argument(
        "--folder", type=pathlib.Path, default=FOLDER / "topics", help=argparse.SUPPRESS
    )
    options = parser.parse_args(argv)
    known = topic_names(options.folder)
    for name in options.topics:
        if name not in known:
            parser.error(f"there is no topic '{name}'; there are: {' '.join(known)}")
    options.topics = list(dict.fromkeys(options.topics)) or known
    both = (options.markdown, options.readme)
    if all(both) and both[0].resolve() == both[1].resolve():
        parser.error("--markdown and --readme are one file")
    options.wanted, options.peers, options.short = chosen(options.folder, options.topics, options.only)
    if not options.wanted:
        parser.error(f"there is no row with '{options.only}' in its name")
    if options.build is None and not options.list:
        parser.error("--build says where the programs are")
    return options


def setting_of(options):
    build = options.build.resolve()
    names = {
        "build": str(build),
        "programs": str(build / "tests" / "bench"),
        "bench": str(FOLDER),
        "python": sys.executable,
        "lua": options.lua,
    }
    if (build / "run").exists():
        names["launcher"] = str(build / "run")
    return Setting(names)


def report(measured, head, table, mark=""):
    """Everything; `mark` begins each line that is not of the table."""
    head = [mark + line for line in head]
    tail = [mark + line for line in (LEGEND, *notes(measured), *summary(measured))]
    return "\n".join([*head, "", table, "", *tail])


def write(options, measured, head):
    """The files that were asked for."""
    if options.markdown:
        table = tables(measured, markdown_table, line_markdown)
        text = report(measured, head, table, "- ")
        options.markdown.write_text(text + "\n", encoding="utf-8")
    if options.readme:
        text = options.readme.read_text(encoding="utf-8")
        some = [one for one in apart(measured)[0] if one[0].what in options.short]
        first = f"- {summary(measured)[0]} These are some."
        new = "\n".join([*(f"- {line}" for line in head), first, "", short_table(some)])
        options.readme.write_text(put_between_marks(text, new), encoding="utf-8")


def run(options):
    """Measures, and shows what is finished, also when somebody interrupts."""
    head = [*header(options.peers), f"Rounds: {options.rounds}; load at start: {load()}"]
    began = time.monotonic()
    measured, interrupted = [], False
    try:
        measure_all(options.wanted, options.rounds, setting_of(options), measured)
    except KeyboardInterrupt:
        interrupted = True
    head[-1] += f", at end: {load()}; took {time.monotonic() - began:.0f} s"
    if measured:
        table = tables(measured, text_table, line_text)
        print(report(measured, head, table), flush=True)
    if interrupted:
        raise KeyboardInterrupt
    write(options, measured, head)
    failed = any(
        samples.ended == "failed" for _, taken in measured for samples in taken.values()
    )
    return 1 if failed else 0


def main(argv=None):
    options = arguments(argv)
    if options.list:
        print("\n".join(row.what for row in options.wanted))
        return 0
    try:
        return run(options)
    except KeyboardInterrupt:
        progress("interrupted")
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
