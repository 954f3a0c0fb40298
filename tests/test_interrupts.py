"""Signals stop a command from its first moment to its last, wherever they arrive."""

import signal
import subprocess
import sys

import pytest

from grokinterp.interrupts import SENTENCE, STOPPED

RUN = "import os, signal, sys\nfrom grokinterp.interrupts import run\n"
SEND = "os.kill(os.getpid(), signal.{how})"


def outcome(code: str, **options) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-c", RUN + code], capture_output=True, text=True, check=False, **options)
    return done.returncode, done.stderr


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(
    "code",
    [
        "def command():\n    {send}\n    return 0\nrun(command)",
        # where Python drops exceptions: it comes once more afterwards
        "class Dropping:\n    def __del__(self):\n        {send}\n        [None for _ in range(1000)]\n"
        "import time\ndef command():\n    Dropping()\n    time.sleep(5)\n    return 0\nrun(command)",
        # while a module is imported that turns every exception into another one
        "source = 'import os, signal\\ntry:\\n    {send}\\nexcept BaseException:\\n    raise ImportError'\n"
        "open(sys.argv[1] + '/swallowing.py', 'w').write(source)\nsys.path.insert(0, sys.argv[1])\n"
        "def command():\n    try:\n        import swallowing\n    except ImportError:\n        return 3\nrun(command)",
        # in code that turns it into an error of its own, as compiled code may
        "def command():\n    try:\n        {send}\n    except BaseException:\n        raise ValueError from None\n"
        "run(command)",
    ],
    ids=["in the command", "in __del__", "in an import", "in code that swallows it"],
)
def test_it_is_one_line_and_status_130(code, how, tmp_path):
    command = [sys.executable, "-c", RUN + code.format(send=SEND.format(how=how)), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (STOPPED, f"{SENTENCE}\n")


def test_an_error_without_a_signal_is_not_taken_for_one():
    status, said = outcome("def command():\n    raise ValueError('mine')\nrun(command)")
    assert (status, "ValueError: mine" in said) == (1, True)


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM"])
def test_one_that_comes_after_the_end_takes_nothing_back(how):
    late = f"import atexit\natexit.register(lambda: {SEND.format(how=how)})\nrun(lambda: 2)"
    assert outcome(late) == (2, "")


def test_a_signal_that_was_to_be_ignored_is_ignored():
    """As a shell's background jobs and nohup ask for."""
    code = f"run(lambda: {SEND.format(how='SIGINT')} or 0)"
    assert outcome(code, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) == (0, "")


def test_other_errors_that_python_drops_are_still_shown():
    code = "class Failing:\n    def __del__(self):\n        1 / 0\n"
    code += "def command():\n    Failing()\n    return 0\nrun(command)"
    status, err = outcome(code)
    assert status == 0
    assert "ZeroDivisionError" in err
