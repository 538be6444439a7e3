"""Draw who worked on what, when: an SVG with one row for each worker."""

import os
from collections import Counter
from dataclasses import dataclass
from xml.sax.saxutils import escape

from .report import name, plural

WIDTH, LEFT, RIGHT = 1200, 104, 96
PLOT = WIDTH - LEFT - RIGHT
INK, SOFT, PAPER, TRACK, GRID = "#1c2330", "#5d6778", "#fbfbfd", "#e9ecf1", "#d5dae2"
COLOURS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377"]
OTHER = "#aab2bd"
LIGHT = {"#ccbb44", "#66ccee", OTHER}  # dark letters are legible on them
ALONE = 3.0  # pixels from which on a file is a bar of its own


@dataclass
class Bar:
    """A file, or a run of files that are too short to be told apart."""

    begin: float
    end: float
    files: int
    first: int
    kinds: Counter

    @property
    def kind(self):
        return max(self.kinds, key=lambda kind: (self.kinds[kind], kind))


class Picture:
    def __init__(self, many, one):
        self.many, self.one = many, one
        self.scale = PLOT / max(many.seconds, one.seconds, 1e-3)
        self.kinds = [folder_of(many.found, path) for path in many.found.paths]
        time = Counter()
        for _, begin, end, file in many.bars:
            time[self.kinds[file]] += end - begin
        most = sorted(time, key=lambda kind: (-time[kind], kind))[: len(COLOURS)]
        self.colours = dict(zip(most, COLOURS))
        self.out = []

    def add(self, text):
        self.out.append(text)

    def text(self, x, y, text, size=13, fill=INK, more=""):
        self.add(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}"'
            f" {more}>{escape(text)}</text>"
        )

    def rectangle(self, x, y, width, height, fill, title=None, more=""):
        inside = f"<title>{escape(title)}</title>" if title else ""
        self.add(
            f'<rect x="{x:.2f}" y="{y:.1f}" width="{max(width, 0.3):.2f}"'
            f' height="{height:.1f}" fill="{fill}" {more}>{inside}</rect>'
        )

    # ---- Parts, from top to bottom; each returns where the next one begins.

    def draw(self):
        y = self.head()
        top = y + 8
        body, self.out = self.out, []
        y = self.group(self.many, top)
        y = self.group(self.one, y + 12)
        rows, self.out = self.out, body
        self.axis(top + 22, y)  # behind the rows
        self.out += rows
        height = self.legend(y + 52)
        return frame(height, self.out)

    def head(self):
        many, one = self.many, self.one
        total = many.total
        self.text(
            LEFT,
            44,
            f"{workers(many)} {'scans' if many.count == 1 else 'scan'}"
            f" {plural(total.files, 'file')}",
            23,
            more='font-weight="600"',
        )
        self.text(
            LEFT,
            68,
            f"{plural(total.lines, 'line')}, {plural(total.words, 'word')},"
            f" {total.bytes / 1e6:,.1f} MB of text. {speeds(many, one)}",
            14,
            SOFT,
        )
        return 84

    def group(self, work, y):
        self.text(
            LEFT,
            y + 14,
            f"{workers(work)}, {work.seconds:.2f} s",
            13,
            INK,
            'font-weight="600"',
        )
        y += 22
        height = max(5.0, min(26.0, 320 / work.count))
        labels = max(1, round(13 / height))
        rows = [[] for _ in range(work.count)]
        for worker, begin, end, file in work.bars:
            rows[worker].append((begin, end, file))
        for number, bars in enumerate(rows):
            self.rectangle(LEFT, y, work.seconds * self.scale, height, TRACK)
            for bar in self.merge(bars):
                self.bar(work, bar, y, height)
            if number % labels == 0:
                middle = y + height / 2 + 4
                self.text(
                    LEFT - 10,
                    middle,
                    f"worker {number + 1}",
                    12,
                    SOFT,
                    'text-anchor="end"',
                )
                share = work.share(number)
                x = LEFT + work.seconds * self.scale + 8
                if share is not None:
                    self.text(x, middle, f"{share:.0%} CPU", 12, SOFT)
            y += height + min(5.0, height / 4)
        return y

    def merge(self, bars):
        """Bars in order of time; what is narrower than a pixel joins the next,
        and narrow neighbours from one folder are one bar."""
        merged = []
        for begin, end, file in bars:
            last = merged[-1] if merged else None
            if last is None or not self.joins(last, begin, end, self.kinds[file]):
                last = Bar(begin, end, 0, file, Counter())
                merged.append(last)
            last.end = end
            last.files += 1
            last.kinds[self.kinds[file]] += end - begin
        return merged

    def joins(self, last, begin, end, kind):
        if (begin - last.end) * self.scale >= 1:
            return False  # it was idle between them
        width = (last.end - last.begin) * self.scale
        if width < 1:
            return True
        alone = last.files == 1 and width >= ALONE
        narrow = (end - begin) * self.scale < ALONE
        return narrow and not alone and last.kind == kind

    def bar(self, work, bar, y, height):
        x, width = LEFT + bar.begin * self.scale, (bar.end - bar.begin) * self.scale
        path = name(work.found.paths[bar.first])
        what = path if bar.files == 1 else f"{bar.files:,} files from {path} on"
        title = f"{what}\n{bar.begin:.3f} s to {bar.end:.3f} s"
        gap = 0.7 if width >= ALONE else 0
        colour = self.colours.get(bar.kind, OTHER)
        self.rectangle(x, y, width - gap, height, colour, title)
        label = os.path.basename(path)
        if bar.files == 1 and height >= 14 and width > 7 * len(label) + 8:
            ink = INK if colour in LIGHT else PAPER
            self.text(x + 5, y + height / 2 + 4, label, 11, ink)

    def axis(self, top, bottom):
        longest = PLOT / self.scale
        step = nice(longest / 8)
        digits = max(0, len(f"{step:.10f}".rstrip("0").partition(".")[2]))
        for number in range(int(longest / step) + 1):
            x = LEFT + number * step * self.scale
            self.add(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}"'
                f' y2="{bottom + 6:.1f}" stroke="{GRID}"/>'
            )
            self.text(
                x,
                bottom + 22,
                f"{number * step:.{digits}f} s",
                12,
                SOFT,
                'text-anchor="middle"',
            )

    def legend(self, y):
        """Which colour is which folder, in as many lines as it takes."""
        x = LEFT
        entries = [(name(kind), colour) for kind, colour in self.colours.items()]
        if set(self.kinds) - set(self.colours):
            entries.append(("elsewhere", OTHER))
        for label, colour in entries:
            label = label if len(label) <= 60 else "…" + label[-59:]
            width = 7.6 * len(label) + 40
            if x + width > WIDTH - 20 and x > LEFT:
                x, y = LEFT, y + 22
            self.rectangle(x, y - 10, 12, 12, colour, more='rx="2"')
            self.text(x + 18, y, label, 12, SOFT)
            x += width
        return y + 24


def workers(work):
    return plural(work.count, "Lua worker")


def speeds(many, one):
    if not (many.timed and one.timed):
        return "Too little text to time."
    text = f"{workers(many)}: {many.speed:.1f} MB/s."
    if many.count > 1:
        text += f" {workers(one)}: {one.speed:.1f} MB/s."
        text += f" Speed-up: {one.seconds / many.seconds:.2f}."
    return text


def folder_of(found, path):
    """The folder right below the one that was asked for."""
    for root in found.roots:
        inside = os.path.relpath(path, root) if path.startswith(root) else ".."
        if not inside.startswith(".." + os.sep) and inside != "..":
            first, slash, _ = inside.partition(os.sep)
            return os.path.join(root, first) if slash else root
    return os.path.dirname(path)


def nice(step):
    """The next larger one of 1, 2, 5, 10, ..."""
    power = 1e-6
    while True:
        for digit in (1, 2, 5):
            if digit * power >= step * 0.999999:
                return digit * power
        power *= 10


def frame(height, parts):
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}"'
            f' height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}"'
            ' font-family="system-ui, \'DejaVu Sans\', Verdana, sans-serif">',
            f'<rect width="{WIDTH}" height="{height:.0f}" rx="10" fill="{PAPER}"/>',
            *parts,
            "</svg>\n",
        ]
    )


def draw(many, one, path):
    """Write the picture; an OSError says why that did not work."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(Picture(many, one).draw())
