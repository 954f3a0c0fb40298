"""Writes LICENSES-THIRD-PARTY.md: every pinned distribution with its licence, as its own metadata say it.

    python tests/licences.py > LICENSES-THIRD-PARTY.md

Run it in an environment that was installed with constraints.txt, whenever that changes.
"""

import importlib.metadata
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 60
"""Metadata that are longer hold the text of a licence and not its name; then the classifier says the name."""

HEAD = """# Licences of what grokinterp is installed with

grokinterp itself is under the MIT licence (LICENSE). None of these is part of it; pip installs them. Each line is
what the distribution's own metadata say, at the version of constraints.txt. Written by `tests/licences.py` and
compared by `tests/test_supply_chain.py`.

A page that `grokinterp report` writes holds plotly.js, which comes with the distribution plotly: MIT licence,
copyright Plotly, Inc.; its notice stands at the head of the script in each page.

| distribution | version | licence |
| --- | --- | --- |
"""


def pins(text: str) -> dict[str, str]:
    """The version of each distribution in constraints.txt, by its normalised name."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    found = [re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.+!]+)", line) for line in lines if line]
    return {normal(match[1]): match[2] for match in found if match}


def normal(name: str) -> str:
    """A distribution's name as the index compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence_of(metadata: importlib.metadata.PackageMetadata) -> str:
    """The licence by name: the SPDX expression, else the short field, else the classifiers."""
    for field in ("License-Expression", "License"):
        said = " ".join((metadata.get(field) or "").split())
        if said and said != "UNKNOWN" and (field == "License-Expression" or len(said) <= LONGEST):
            return said
    classes = [c for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")]
    return ", ".join(c.rpartition(" :: ")[2] for c in classes)


def table(pinned: dict[str, str]) -> str:
    """The file's text; a distribution that is not installed here (of another platform) says so."""
    rows = []
    for name, version in sorted(pinned.items()):
        try:
            licence = licence_of(importlib.metadata.metadata(name))
        except importlib.metadata.PackageNotFoundError:
            licence = "not installed here"
        rows.append(f"| {name} | {version} | {licence} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    print(table(pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))), end="")
