"""What is published: a wheel with the package alone, a source distribution, and both install and work anywhere."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import grokinterp

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "grokinterp"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME = f"grokinterp-{grokinterp.__version__}"


def run(*command: object, cwd: Path) -> str:
    """Run a command away from the sources; its output."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "GROKINTERP", "COV"))}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """The folder that `make dist` would fill; the wheel is built from the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    return folder


def test_the_version_is_the_same_everywhere_and_the_changelog_has_it():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"] == grokinterp.__version__
    assert citation["license"] == PROJECT["license"] == "MIT"
    assert "MIT License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{PROJECT['version']}]" in changelog
    assert "### Changes that alter numbers" in changelog


@pytest.mark.slow
def test_the_wheel_holds_the_package_with_its_pages_and_nothing_else(dist):
    with zipfile.ZipFile(dist / f"{NAME}-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
    assert {name.split("/")[0] for name in names} == {"grokinterp", f"{NAME}.dist-info"}
    sources = {str(path.relative_to(ROOT)) for path in PACKAGE.rglob("*.py")}
    assets = {str(path.relative_to(ROOT)) for path in PACKAGE.glob("*/page/*") if path.is_file()}
    assert "grokinterp/reports/page/main.js" in assets
    assert sources | assets <= names
    assert f"{NAME}.dist-info/licenses/LICENSE" in names


@pytest.mark.slow
def test_the_sources_install_into_a_clean_environment_and_work_from_any_folder(dist, tmp_path):
    """`.ci/run` does the same with the wheel, end to end."""
    venv = tmp_path / "venv"
    try:
        run(sys.executable, "-m", "venv", venv, cwd=tmp_path)
        install = ("-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", dist / f"{NAME}.tar.gz")
        run(venv / "bin" / "python", *install, cwd=tmp_path)
        command = venv / "bin" / "grokinterp"
        assert "train" in run(command, "--help", cwd=tmp_path)
        assert "progress_measures" in run(command, "list", cwd=tmp_path)
        run(command, "train", "ci", "--train.steps", 30, "--out", "run", cwd=tmp_path)
        run(command, "report", "run", cwd=tmp_path)
        assert (tmp_path / "run" / "ckpts" / "step_00000030.safetensors").exists()
        assert "<script" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
        place = run(venv / "bin" / "python", "-c", "import grokinterp; print(grokinterp.__file__)", cwd=tmp_path)
        assert place.startswith(str(venv))
    finally:
        shutil.rmtree(venv, ignore_errors=True)  # two gigabytes
