"""Every example of the documentation is run as it is printed: files are written, commands and Python are executed.

A page is one story in one folder, from top to bottom. `console` blocks have a command after each $ and perhaps some of
its output, in which numbers may differ; `python` blocks share their names; blocks with a title are files. `sh` blocks
are what cannot be run in a test.
"""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from grokinterp import presets
from grokinterp.cli import run_command
from grokinterp.overrides import override

PAGES = Path(__file__).parents[2] / "docs" / "pages"
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = (
    *("make ", "source ", "pip install ", "tensorboard ", "wandb "),
    "grokinterp sweep recipe.toml --out runs/on-slurm ",
    "grokinterp train quick --out runs/mine --track tensorboard ",
)
QUICK = {"how-to/own-checkpoints", "how-to/own-measure", "how-to/own-operation", "explanation/engines"}
"""Pages whose examples take a few seconds; the others are among the slow tests."""


def blocks_of(page: Path) -> list[tuple[str, str, str]]:
    """Language, title and text of each block."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def named(page: Path) -> str:
    return str(page.relative_to(PAGES).with_suffix(""))


ALL = sorted(PAGES.rglob("*.md"))
WITH_EXAMPLES = [
    pytest.param(page, id=named(page), marks=[] if named(page) in QUICK else [pytest.mark.slow])
    for page in ALL
    if any(language in ("python", "console") for language, *_ in blocks_of(page))
]


@pytest.fixture
def in_a_new_folder(tmp_path, monkeypatch):
    """An empty folder, and presets that train for a few seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    steps = {"steps": 300, "checkpoint_every": 100, "checkpoint_dense": 0.0}
    for name in ("quick", "ci"):
        short = override(presets.ci(), {"name": name, "train": steps})
        monkeypatch.setattr(presets, name, lambda short=short: short)
        monkeypatch.setitem(presets.PRESETS, name, lambda short=short: short)
    return tmp_path


@pytest.mark.parametrize("page", WITH_EXAMPLES)
# matplotlib's and dask's own warnings are not about the examples
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:.*distributed.*")
def test_the_examples_of_a_page_run_from_top_to_bottom(page, in_a_new_folder, capsys):
    names: dict = {"__name__": "example"}
    for language, title, text in blocks_of(page):
        if title:
            (in_a_new_folder / title).write_text(text)
        elif language == "python":
            exec(compile(text, str(page), "exec"), names)
        elif language == "console":
            for command, shown in commands_of(text):
                capsys.readouterr()
                execute(command)
                captured = capsys.readouterr()
                compare(shown, captured.out + captured.err)


def commands_of(text: str) -> list[tuple[str, list[str]]]:
    """Each command of a console block with the output that is shown below it."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def execute(command: str) -> None:
    """Run a command; its comment may say with which status it ends."""
    words, expected = shlex.split(command, comments=True), re.search(r"# status (\d)", command)
    if words[0] == "grokinterp":
        assert run_command(words[1:]) == (int(expected[1]) if expected else 0), command
    else:
        assert words[0] == "rm", command
        subprocess.run(words, check=True)


def compare(shown: list[str], output: str) -> None:
    """Each line that is shown is one of the output's, but for its numbers; ... stands for any lines."""
    real = [without_numbers(line) for line in output.splitlines()]
    for line in shown:
        assert line == "..." or without_numbers(line) in real, f"{line!r} is not in the output:\n{output}"


def without_numbers(line: str) -> str:
    return re.sub(r"[-+]?[\d,.]+(e-?\d+)?", "0", " ".join(line.split()))


@pytest.mark.parametrize("page", ALL, ids=named)
def test_blocks_are_run_or_are_among_the_few_that_cannot_be(page):
    for language, title, text in blocks_of(page):
        assert title or language in ("python", "console", "sh", "text", "toml")
        for line in text.splitlines() if language == "sh" else ():
            assert any(f"{line} ".startswith(start) for start in NOT_RUN), f"{line}: write it as a console block"
        if language == "console":
            assert text.startswith("$ ")


def test_no_exception_is_left_that_no_page_needs():
    said = "".join(text for page in ALL for language, _, text in blocks_of(page) if language == "sh")
    assert all(start in said for start in NOT_RUN), "take out of NOT_RUN what no page has"
