"""What every measurement's command line does: exit codes, one-line errors, fast `--help`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from eval.harness import arguments, command

EVAL = Path(command.__file__).parents[1]
HEAVY = ("numpy", "pandas", "torch", "scipy", "transformers", "datasets")


def parse(argv):
    parser = argparse.ArgumentParser(prog="measure")
    group = parser.add_argument_group("where")
    arguments.add_output(group)
    arguments.add_limit(group, "clips")
    parsed = parser.parse_args(argv)
    arguments.check_output(parser, parsed)
    return parsed


def raising(error):
    def work(_arguments, _command_line):
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ValueError("a name\n  of nothing"), command.REFUSED, "measure: error: a name of nothing\n"),
        (FileNotFoundError("no such clip"), command.REFUSED, "measure: error: no such clip\n"),
        (
            ImportError("No module named 'x'"),
            command.REFUSED,
            f"measure: error: No module named 'x'; {command.INSTALL}\n",
        ),
        (ImportError("y: pip install y"), command.REFUSED, "measure: error: y: pip install y\n"),
        (KeyboardInterrupt(), command.INTERRUPTED, "measure: stopped; nothing is kept without --output\n"),
    ],
)
def test_what_the_user_can_set_right_is_said_in_one_line(capsys, error, code, said):
    assert command.main("measure", [], parse, raising(error), command.of_a_resumable_run) == code
    assert capsys.readouterr().err == said


def test_an_error_of_the_program_itself_is_not_hidden():
    with pytest.raises(KeyError):
        command.main("measure", [], parse, raising(KeyError("x")))


def test_results_name_the_command_line_with_its_program():
    seen = []
    work = lambda parsed, line: seen.append((parsed.output, line)) or 1  # noqa: E731
    assert command.main("measure", ["--output", "runs/a"], parse, work) == 1
    assert seen == [("runs/a", ["measure", "--output", "runs/a"])]


@pytest.mark.parametrize("argv", [["--resume"], ["--overwrite"], ["--limit", "0"], ["--limit", "x"]])
def test_options_that_mean_nothing_are_refused(argv, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(argv)
    assert stopped.value.code == command.REFUSED
    assert argv[0] in capsys.readouterr().err


@pytest.mark.parametrize("program", ["superb_tiny", "salmon", "predictability", "salmon_build", "report"])
def test_help_imports_nothing_that_computes(program):
    code = (
        f"import runpy, sys; sys.argv = ['{program}.py', '--help']\n"
        f"try: runpy.run_path({str(EVAL / f'{program}.py')!r}, run_name='__main__')\n"
        f"except SystemExit: print('|', [name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    environment = {"PYTHONPATH": f"{EVAL.parent}:{EVAL}", "PATH": ""}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert "usage:" in ran.stdout
    assert ran.stderr == "| []\n"
