"""What bench.py promises, checked with programs of a line each."""

import contextlib
import io
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import bench
from rows import Aim, Line, Row, Run, check

SETTING = bench.Setting({"python": sys.executable}, seconds=20)


def prints(text):
    return Run(["{python}", "-c", f"print({text!r})"])


def exits(code):
    return Run(["{python}", "-c", f"import sys; sys.exit({code})"])


def row(ours, baselines=None, aim=None, better="more", note=""):
    return Row("a row", "M/s", better, ours, baselines or {}, aim, note)


def taken(ours, **others):
    """Samples as if they had been measured."""
    return {
        name: bench.Samples(list(values))
        for name, values in {bench.OURS: ours, **others}.items()
    }


class Parse(unittest.TestCase):
    def test_one_number(self):
        self.assertEqual(bench.parse(" 12.5\n"), 12.5)
        self.assertEqual(bench.parse("1e-3"), 0.001)

    def test_anything_else_is_refused(self):
        for text in ("", "1 2", "fast", "-1", "nan", "inf", "1\n2\n"):
            with self.assertRaises(bench.Failed, msg=repr(text)):
                bench.parse(text)


class Measure(unittest.TestCase):
    def measure(self, what, rounds=2):
        said = []
        return bench.measure(what, rounds, SETTING, said.append), said

    def test_variants_are_taken_in_turn(self):
        with tempfile.NamedTemporaryFile("r") as log:
            program = "import sys; open(sys.argv[1], 'a').write(sys.argv[2]); print(1)"
            ours, other = (
                Run(["{python}", "-c", program, log.name, name]) for name in "ab"
            )
            self.measure(row(ours, {"other": other}), rounds=3)
            self.assertEqual(log.read(), "ababab")

    def test_a_peer_that_is_missing_fails_nothing(self):
        got, said = self.measure(row(prints("3"), {"peer": exits(77)}))
        self.assertEqual(got["peer"].ended, "not installed")
        self.assertEqual(got[bench.OURS].values, [3.0, 3.0])
        self.assertEqual(said, [])

    def test_a_program_that_fails_is_told_and_not_run_again(self):
        got, said = self.measure(row(prints("3"), {"peer": exits(4)}))
        self.assertEqual(got["peer"].ended, "failed")
        self.assertEqual(sum("ended with 4" in line for line in said), 1)
        self.assertEqual(len(got[bench.OURS].values), 2)

    def test_a_program_that_is_not_there_has_failed(self):
        got, said = self.measure(row(Run(["/nowhere/program"])))
        self.assertEqual(got[bench.OURS].ended, "failed")
        self.assertIn("is not there", said[0])

    def test_a_program_that_hangs_has_failed(self):
        hangs = Run(["{python}", "-c", "import sys; sys.stdin = 0\nwhile 1: pass"])
        short = bench.Setting(SETTING.names, seconds=0.2)
        with self.assertRaisesRegex(bench.Failed, "took more than"):
            bench.sample(hangs, short)

    def test_a_program_may_say_why_there_is_no_figure(self):
        says = Run(["{python}", "-c", "print('not stopped'); raise SystemExit(76)"])
        got, said = self.measure(row(prints("3"), {"peer": says}))
        self.assertEqual(got["peer"].ended, "not stopped")
        self.assertEqual(said, [])
        got, _ = self.measure(row(prints("3"), {"peer": exits(76)}))
        self.assertEqual(got["peer"].ended, "failed")

    def test_the_columns_of_a_line_are_taken(self):
        got, _ = self.measure(Line("a line", "ms", {"a": prints("1"), "b": prints("2")}))
        self.assertEqual(got["a"].values + got["b"].values, [1, 1, 2, 2])

    def test_a_program_that_prints_no_number_has_failed(self):
        got, _ = self.measure(row(prints("soon")))
        self.assertEqual(got[bench.OURS].ended, "failed")


class Judge(unittest.TestCase):
    def test_a_figure(self):
        got = taken([10, 30, 20])
        self.assertTrue(bench.judge(Aim("<=", 20), got))
        self.assertFalse(bench.judge(Aim("<=", 19), got))
        self.assertTrue(bench.judge(Aim(">=", 20), got))
        self.assertFalse(bench.judge(Aim(">=", 21), got))

    def test_a_ratio_is_the_median_of_the_rounds(self):
        # 2, 1 and 3: not that of the medians, which is 1.
        got = taken([20, 10, 3], other=[10, 10, 1])
        self.assertEqual(bench.ratios(got, "other"), [2, 1, 3])
        self.assertTrue(bench.judge(Aim(">=", 2, "other"), got))
        self.assertFalse(bench.judge(Aim(">=", 2.1, "other"), got))

    def test_without_figures_nobody_knows(self):
        self.assertIsNone(bench.judge(Aim(">=", 1), taken([])))
        self.assertIsNone(bench.judge(Aim(">=", 1, "other"), taken([1], other=[])))
        got = taken([1, 2])
        got[bench.OURS].ended = "failed"
        self.assertIsNone(bench.judge(Aim(">=", 1), got))

    def test_a_baseline_of_zero_divides_nothing(self):
        self.assertEqual(bench.ratios(taken([1, 2], other=[0, 2]), "other"), [1])


class Check(unittest.TestCase):
    def refused(self, reason, **changes):
        with self.assertRaisesRegex(ValueError, reason):
            check(row(prints("1"), **changes))

    def test_rows_that_cannot_be_judged_are_refused(self):
        self.refused("better is", better="faster")
        self.refused("no baseline", aim=Aim(">=", 1, "nobody"))
        self.refused("relation", aim=Aim("<", 1))
        self.refused("better side", aim=Aim("<=", 1))
        self.refused("called 'ours'", baselines={"ours": prints("1")})

    def test_every_row_of_every_topic_can_be_judged(self):
        folder = bench.FOLDER / "topics"
        names = bench.topic_names(folder)
        self.assertTrue({"queue", "wake"} <= set(names))
        wanted, _, short = bench.chosen(folder, names, "")
        titles = [found.what for found in wanted]
        self.assertEqual(len(titles), len(set(titles)), "two rows with one name")
        self.assertTrue(short <= set(titles))

    def test_a_short_table_names_rows_that_there_are(self):
        with tempfile.TemporaryDirectory() as folder:
            topic = pathlib.Path(folder) / "topic.py"
            topic.write_text('ROWS = []\nSHORT = ("a row",)\n', encoding="utf-8")
            with self.assertRaisesRegex(ValueError, "no row: a row"):
                bench.chosen(pathlib.Path(folder), ["topic"], "")


class Show(unittest.TestCase):
    def test_numbers_have_three_digits(self):
        for value, text in (
            (0, "0"),
            (0.00001, "1.00e-05"),
            (0.000123, "0.000123"),
            (0.0123, "0.0123"),
            (0.09996, "0.100"),
            (0.9996, "1.00"),
            (0.5, "0.500"),
            (1.234, "1.23"),
            (12.34, "12.3"),
            (99.96, "100"),
            (999.6, "1,000"),
            (1234567, "1,234,567"),
        ):
            self.assertEqual(bench.number(value), text)

    def test_samples_that_are_far_apart_are_marked(self):
        self.assertEqual(bench.spans([3, 1, 2]), "2.00 [1.00..3.00] ~")
        self.assertEqual(bench.spans([2, 1, 1.5]), "1.50 [1.00..2.00]")

    def test_one_sample_has_no_least_and_most(self):
        self.assertEqual(bench.spans([2]), "2.00")

    def measured(self):
        what = row(
            prints("1"),
            {"peer|s": prints("1"), "absent": exits(77)},
            (Aim(">=", 2), Aim(">=", 0.5, "peer|s"), Aim(">=", 1, "absent")),
            note="a note.",
        )
        got = taken([1.0, 1.0], **{"peer|s": [2.0, 2.0], "absent": []})
        got["absent"].ended = "not installed"
        return [(what, got)]

    def test_a_line_for_each_variant(self):
        cells = list(bench.lines(*self.measured()[0]))
        one = "1.00 [1.00..1.00] M/s"
        two = "2.00 [2.00..2.00] M/s"
        self.assertEqual(
            cells,
            [
                ("a row", "ours", one, "more", "", ">= 2", "missed"),
                ("", "peer|s", two, "", "0.500 x", ">= 0.5 x", "met"),
                ("", "absent", "not installed", "", "", ">= 1 x", "?"),
            ],
        )

    def test_the_columns_stand_below_each_other(self):
        lines = bench.text_table(self.measured()).splitlines()
        ours = next(line for line in lines if line.startswith("a row"))
        peer = next(line for line in lines if "peer|s" in line)
        self.assertEqual(ours.index("1.00 ["), peer.index("2.00 ["))

    def test_markdown_keeps_its_columns(self):
        lines = bench.markdown_table(self.measured()).splitlines()
        bars = {line.replace("\\|", "").count("|") for line in lines}
        self.assertEqual(bars, {len(bench.TITLES) + 1})

    def test_lines_are_a_table_of_their_own(self):
        line = Line("a line", "ms", {"a": prints("1"), "b": prints("2")})
        lines = {"a": bench.Samples([1, 3, 2]), "b": bench.Samples(ended="not stopped")}
        measured = [(row(prints("1")), taken([1])), (line, lines)]
        text = bench.tables(measured, bench.text_table, bench.line_text)
        self.assertIn("ms: median [min..max]  a                    b\n", text)
        self.assertIn("a line                 2.00 [1.00..3.00] ~  not stopped", text)
        text = bench.tables(measured, bench.markdown_table, bench.line_markdown)
        self.assertIn("| a line | 2.00 [1.00..3.00] ~ | not stopped |", text)
        self.assertNotIn("a line", bench.short_table(bench.apart(measured)[0]))

    def test_a_short_line_for_each_row(self):
        self.assertEqual(
            bench.short_line(*self.measured()[0]),
            (
                "a row",
                "1.00 M/s",
                "more",
                "peer|s: 2.00",
                "0.500 x",
                ">= 2 **missed**, >= 0.5 x met, >= 1 x absent not measured",
            ),
        )
        lines = bench.short_table(self.measured()).splitlines()
        bars = {line.replace("\\|", "").count("|") for line in lines}
        self.assertEqual(bars, {len(bench.SHORT_TITLES) + 1})

    def test_only_what_stands_between_the_marks_is_replaced(self):
        begin, end = bench.MARKS
        text = f"a\n{begin}\nold\n{end}\nb\n"
        self.assertEqual(
            bench.put_between_marks(text, "new"), f"a\n{begin}\nnew\n{end}\nb\n"
        )
        for broken in ("", begin, end + begin):
            with self.assertRaises(ValueError):
                bench.put_between_marks(broken, "new")

    def test_the_summary_names_what_was_missed(self):
        said = bench.summary(self.measured())
        self.assertEqual(said[0], "1 of 3 aims met.")
        self.assertEqual(said[1], "Missed: a row.")
        self.assertEqual(said[2], "Not measured: a row (absent).")


class Command(unittest.TestCase):
    TOPIC = """
import sys
from rows import Aim, Row, Run
def run(code):
    return Run(["{{python}}", "-c", code])
ROWS = [Row("the row", "ns", "less", run("print(5)"),
            {{"peer": run("{peer}")}}, Aim("<=", 1))]
"""

    def run_main(self, peer, *words, topic=None, err=None):
        with tempfile.TemporaryDirectory() as folder:
            text = topic or self.TOPIC.format(peer=peer)
            (pathlib.Path(folder) / "topic.py").write_text(text, encoding="utf-8")
            file = pathlib.Path(folder) / "table.md"
            out, err = io.StringIO(), err or io.StringIO()
            argv = ["--folder", folder, "--build", folder, "--rounds", "2"]
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                if "--markdown" not in words:
                    argv += ["--markdown", str(file)]
                status = bench.main([*argv, *words])
            text = file.read_text(encoding="utf-8") if file.exists() else ""
        return status, out.getvalue(), err.getvalue(), text

    def test_a_readme_gets_some_of_the_rows(self):
        other = 'ROWS.append(Row("other", "ns", "less", run("print(1)")))\n'
        with tempfile.TemporaryDirectory() as folder:
            readme = pathlib.Path(folder) / "README.md"
            readme.write_text("\n".join(bench.MARKS) + "\n", encoding="utf-8")
            topic = self.TOPIC.format(peer="print(9)") + other + 'SHORT = ("other",)\n'
            self.run_main("", "--readme", str(readme), topic=topic)
            text = readme.read_text(encoding="utf-8")
        self.assertIn("- 0 of 1 aims met. These are some.\n", text)
        self.assertIn("| other | 1.00 ns |", text)
        self.assertNotIn("the row", text)

    def test_a_missed_aim_fails_nothing(self):
        status, out, err, text = self.run_main("print(9)")
        self.assertEqual(status, 0)
        self.assertIn("missed", out)
        self.assertIn("[1/1] the row", err)
        self.assertNotIn("[1/1]", out)
        self.assertIn("| the row | ours | 5.00 [5.00..5.00] ns |", text)

    def test_the_header_says_where_and_what(self):
        _, out, _, _ = self.run_main("print(9)")
        for word in ("Machine: ", "cores", "commit ", "load at start", "at end"):
            self.assertIn(word, out)

    def test_a_program_that_fails_fails_the_command(self):
        status, out, err, _ = self.run_main("raise SystemExit(3)")
        self.assertEqual(status, 1)
        self.assertIn("ended with 3", err)
        self.assertIn("the row", out)

    def test_a_peer_that_is_missing_does_not(self):
        status, out, _, _ = self.run_main("raise SystemExit(77)")
        self.assertEqual(status, 0)
        self.assertIn("not installed", out)

    def test_rows_are_chosen_by_what_they_are_called(self):
        _, out, _, _ = self.run_main("print(9)", "--only", "THE", "--list")
        self.assertEqual(out, "the row\n")

    def refused(self, reason, *words):
        """By one line, before anything is measured; also when only listed."""
        for more in ((), ("--list",)):
            err = io.StringIO()
            with self.assertRaises(SystemExit) as refusal:
                self.run_main("print(9)", *words, *more, err=err)
            self.assertEqual(refusal.exception.code, 2)
            said = err.getvalue()
            self.assertIn(reason, said)
            self.assertEqual(said.count("\n"), 1, said)

    def test_what_chooses_nothing_is_refused(self):
        self.refused("no topic 'nonsense'", "nonsense")
        self.refused("no row with 'other'", "--only", "other")

    def test_options_are_written_out(self):
        self.refused("unrecognized", "--round", "1")

    def test_a_file_that_cannot_be_written_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            for option in ("--markdown", "--readme"):
                self.refused("is a folder", option, folder)
                self.refused("no folder", option, f"{folder}/none/table.md")

    def test_a_file_without_marks_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "README.md"
            self.refused("No such file", "--readme", str(file))
            for text in (b"", bench.MARKS[0].encode(), b"\xff"):
                file.write_bytes(text)
                self.refused("README.md: ", "--readme", str(file))
                self.assertEqual(file.read_bytes(), text)
            file.write_text("\n".join(bench.MARKS), encoding="utf-8")
            self.refused("one file", "--readme", str(file), "--markdown", str(file))

    def test_a_topic_named_twice_is_measured_once(self):
        _, out, _, _ = self.run_main("print(9)", "topic", "topic", "--list")
        self.assertEqual(out, "the row\n")

    def test_an_interrupt_leaves_what_is_finished(self):
        first = self.TOPIC.format(peer="print(9)")
        halt = "import os, signal; os.kill(os.getppid(), signal.SIGINT); print(1)"
        again = first + f'ROWS.append(Row("halt", "ns", "less", run({halt!r})))\n'
        status, out, err, text = self.run_main("print(9)", topic=again)
        self.assertEqual(status, 130)
        self.assertIn("the row  ours", out)
        self.assertNotIn("halt", out)
        self.assertTrue(err.endswith("interrupted\n"), err)
        self.assertEqual(text, "")

    def test_an_interrupt_at_once_leaves_no_table(self):
        status, out, err, text = self.run_main(
            "import os, signal; os.kill(os.getppid(), signal.SIGINT); print(1)"
        )
        self.assertEqual((status, out, text), (130, "", ""))
        self.assertTrue(err.endswith("interrupted\n"), err)


class Syscalls(unittest.TestCase):
    def test_a_program_that_fails_gives_no_figure(self):
        script = bench.FOLDER / "wake_syscalls.py"
        done = subprocess.run(
            [sys.executable, script, sys.executable, "-c", "raise SystemExit(1)"],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((done.returncode, done.stdout), (1, ""))


if __name__ == "__main__":
    unittest.main()
