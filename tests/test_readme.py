import re
from pathlib import Path

import pytest

from grokinterp.cli import run_command

README = (Path(__file__).parent.parent / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def in_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_own_loop_and_the_own_measure_work_as_printed(in_a_new_folder):
    loop = next(block for block in PYTHON if "gi.record" in block)
    exec(loop, {})
    (in_a_new_folder / "mine.py").write_text(next(block for block in PYTHON if "MEASURE = " in block))
    assert run_command(["analyze", "runs/own", "--measure-file", "mine.py"]) == 0
    assert run_command(["figures", "runs/own", "--measure-file", "mine.py"]) == 0
    assert (in_a_new_folder / "runs/own/figures/largest_logit.png").stat().st_size > 1000


def test_the_notebook_snippet_works_as_printed_on_a_small_run(in_a_new_folder):
    snippet = next(block for block in PYTHON if "gi.presets.quick()" in block)
    assert "gi.presets.quick()" in snippet
    exec(snippet.replace("gi.presets.quick()", "gi.presets.ci()"), {})
    assert (in_a_new_folder / "runs/x/report.html").exists()
