import ast
import getpass
import re
import tomllib
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SLOW = ("03_your_own_checkpoints", "05_a_sweep_and_its_figures", "06_a_group_that_is_not_z_p")
"""Run with the slow tests; the others take some fifteen seconds each."""

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def outputs(path: Path) -> list:
    return [output for cell in code_cells(path) for output in cell.outputs]


def code_of(cell) -> str:
    """A cell without the lines that are magics; nothing of one that is a file of another language."""
    lines = cell.source.splitlines()
    if lines[0].startswith("%%writefile") and not lines[0].endswith(".py"):
        return ""
    return "\n".join(re.sub(r"^(\s*)[%!].*", r"\1pass", line) for line in lines)


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=pytest.mark.slow if path.stem in SLOW else ()) for path in NOTEBOOKS],
    ids=lambda path: path.stem,
)
# jupyter's own zmq and event-loop warnings are not about our code
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning", "ignore::ResourceWarning")
def test_the_notebook_runs_from_top_to_bottom(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output["text"] for output in said if output.get("name") == "stderr"]


@each
def test_the_notebook_is_short_and_kept_with_its_outputs(path):
    cells = code_cells(path)
    assert sum(len(cell.source.splitlines()) for cell in cells) < 100
    assert all(cell.execution_count for cell in cells)
    assert not any(output.output_type == "error" for output in outputs(path))
    assert any("image/png" in output.get("data", {}) for output in outputs(path))
    assert path.stat().st_size < 600_000


@each
def test_no_function_of_a_notebook_is_longer_than_ten_lines(path):
    for cell in code_cells(path):
        for node in ast.walk(ast.parse(code_of(cell))):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 10, node.name


@each
def test_the_outputs_name_no_machine_and_hold_no_warning(path):
    private = ("/work", "/home", "/tmp", "/root", "ipykernel", "Warning", str(ROOT))
    for output in outputs(path):
        assert output.get("name") != "stderr"
        texts = [value for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
        said = "\n".join([*texts, output.get("text", "")])
        assert not [word for word in private if word in said]
        assert getpass.getuser() not in re.findall(r"\w+", said)
    assert not any("execution" in cell.metadata for cell in code_cells(path))


@each
def test_the_notebook_installs_the_package_on_colab_in_its_first_cell(path):
    name = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"]
    first = code_cells(path)[0].source
    assert f"%pip install -q {name}" in first
    assert f'find_spec("{name}") is None' in first


def test_the_readme_lists_every_notebook():
    readme = (ROOT / "README.md").read_text()
    assert all(f"(notebooks/{path.name})" in readme for path in NOTEBOOKS)
