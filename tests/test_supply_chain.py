"""What grokinterp is installed with: pinned, as pinned, within the ranges it states, licensed, and off the network."""

import ast
import importlib.metadata
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import licences
import pytest
from packaging.requirements import Requirement

import grokinterp

ROOT = licences.ROOT
PACKAGE = Path(grokinterp.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
PINS = licences.pins(CONSTRAINTS)
EXTRAS = PROJECT.get("optional-dependencies", {})
STATED = [Requirement(text) for text in (*PROJECT["dependencies"], *(r for extra in EXTRAS.values() for r in extra))]
INSTALLERS = {"pip", "setuptools", "wheel"}

NETWORK = {
    *("socket", "ssl", "http", "urllib", "ftplib", "smtplib", "poplib", "imaplib", "telnetlib", "xmlrpc"),
    *("requests", "httpx", "httpx2", "httpcore", "aiohttp", "urllib3", "websockets", "huggingface_hub", "hf_xet"),
    *("datasets", "transformers", "wandb", "fsspec", "boto3", "paramiko"),
}

TEXT_ALONE = {"urllib.parse"}
"""Quotes addresses and opens none."""

ON_REQUEST = {"trackers/wandb_run.py": {"wandb"}}
"""Loaded by --track wandb alone, and offline unless the user's environment says otherwise: tests/trackers."""

OFFLINE = """
import socket, sys

def refuse(*args, **kwargs):
    raise AssertionError(f"a connection to {args}")

socket.socket.connect = socket.socket.connect_ex = refuse
socket.create_connection = socket.getaddrinfo = refuse
from grokinterp.cli import run_command

for words in sys.argv[1:]:
    assert run_command(words.split()) == 0, words
"""


def closure() -> dict[str, str]:
    """Everything that what is stated needs and that is installed here, by normalised name: its version."""
    todo, seen, found = [(r.name, frozenset(r.extras)) for r in STATED], set(), {}
    while todo:
        name, extras = todo.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found[licences.normal(name)] = distribution.version
        for text in distribution.requires or []:
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                todo.append((needed.name, frozenset(needed.extras)))
    return found


def test_each_line_of_the_constraints_is_one_exact_pin():
    lines = [line.partition("#")[0].strip() for line in CONSTRAINTS.splitlines()]
    assert len([line for line in lines if line]) == len(PINS) > 100


@pytest.mark.parametrize("requirement", STATED, ids=str)
def test_a_stated_dependency_is_pinned_within_its_range(requirement):
    pin = PINS.get(licences.normal(requirement.name))
    assert pin is not None, f"{requirement.name} is not in constraints.txt"
    assert requirement.specifier, f"{requirement.name} has no lower bound"
    assert requirement.specifier.contains(pin, prereleases=True)


def test_what_is_installed_is_what_is_pinned():
    installed = {name: version for name, version in closure().items() if name not in INSTALLERS}
    assert {"torch", "numpy", "pydantic", "transformer-lens"} <= installed.keys()
    unpinned = sorted(installed.keys() - PINS.keys())
    assert not unpinned, f"{unpinned} are needed and not in constraints.txt"
    # "2.9.0+cpu" is a build of 2.9.0
    other = {name: version for name, version in installed.items() if version.partition("+")[0] != PINS[name]}
    assert not other


def test_each_pin_that_is_installed_has_its_version_and_a_licence():
    for name, pin in PINS.items():
        try:
            metadata = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # of another platform
        assert metadata["Version"].partition("+")[0] == pin
        assert licences.licence_of(metadata), f"{name} names no licence"


def test_the_list_of_licences_is_that_of_the_pins():
    listed = (ROOT / "LICENSES-THIRD-PARTY.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in listed.splitlines() if line.startswith("| ")][2:]
    assert {row[0].strip(): row[1].strip() for row in rows} == PINS, "run tests/licences.py"
    assert all(row[2].strip() for row in rows)
    current = dict(zip(sorted(PINS), licences.table(PINS).removeprefix(licences.HEAD).splitlines(), strict=True))
    for name, line in current.items():
        assert line in listed or "not installed here" in line, f"{name}: run tests/licences.py"


def test_there_is_one_torch():
    providers = importlib.metadata.packages_distributions()
    assert [licences.normal(name) for name in set(providers["torch"])] == ["torch"]
    names = Counter(licences.normal(d.name) for d in importlib.metadata.distributions())
    assert names["torch"] == 1
    assert not {"tensorflow", "jax", "jaxlib", "torchvision", "torchaudio", "pytorch-lightning"} & PINS.keys()


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_imports_what_talks_to_a_network(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {node.module or ""}
        else:
            continue
        roots = {name.split(".")[0] for name in names - TEXT_ALONE}
        known = ON_REQUEST.get(str(path.relative_to(PACKAGE)), set())
        assert not roots & NETWORK - known, f"line {node.lineno}"


def test_nothing_is_looked_up_or_connected_to_from_training_to_the_report(tmp_path):
    run = tmp_path / "run"
    train = f"train ci --task.p 7 --model.d-model 8 --model.n-heads 2 --train.steps 20 --out {run}"
    commands = [train, f"analyze {run}", f"figures {run} --only accuracy_loss", f"report {run}", f"show {run}"]
    arguments = [sys.executable, "-c", OFFLINE, *commands]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
