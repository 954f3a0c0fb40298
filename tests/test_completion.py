"""What `grokinterp completion` prints makes a shell complete commands, flags and choices."""

import shutil
import subprocess

import pytest

from grokinterp.cli import app, run_command

COMMANDS = {"analyze", "completion", "demo", "figures", "import", "list", "results", "show", "sweep", "train", "watch"}


@pytest.fixture(scope="module")
def scripts():
    """The script for each shell."""
    return {shell: app.generate_completion(shell=shell) for shell in ("bash", "zsh", "fish")}


def completed(script: str, *words: str) -> set[str]:
    """What bash offers for the last word."""
    ask = 'source /dev/stdin; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _grokinterp; printf "%s\\n" "${COMPREPLY[@]}"'
    command = ["bash", "--norc", "-c", ask, "bash", "grokinterp", *words]
    done = subprocess.run(command, input=script, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(done.stdout.split("\n")) - {""}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_command_prints_the_script_and_nothing_else(shell, scripts, capsys):
    assert run_command(["completion", shell]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == (scripts[shell], "")
    assert all(command in out for command in COMMANDS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_syntactically_right(shell, scripts):
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    done = subprocess.run([shell, "-n"], input=scripts[shell], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes_commands_flags_and_choices(scripts):
    script = scripts["bash"]
    assert completed(script, "") >= COMMANDS
    assert completed(script, "wa") == {"watch"}
    assert completed(script, "re") == {"report", "results"}
    assert completed(script, "show", "--j") == {"--json"}
    assert {"--task.p", "--task.frac-train"} <= completed(script, "train", "quick", "--task.")
    assert completed(script, "train", "ci", "--model.kind", "") == {"transformer", "mlp", "lstm"}
    assert completed(script, "completion", "") == {"bash", "zsh", "fish"}


def test_bash_completes_paths_for_a_run(scripts, tmp_path):
    (tmp_path / "some_run").mkdir()
    assert completed(scripts["bash"], "watch", f"{tmp_path}/so") == {f"{tmp_path}/some_run"}
