"""A page a command, from the command line itself."""

import re
from pathlib import Path

from docs.generate.page import Pages, plain, table
from grokinterp.cli import app

SECTION = re.compile(r"^\* `--(task|model|optimizer|regularizer|train)\.")
FOLDER = "reference/commands/"


def pages(root: Path) -> Pages:
    """The index, and each command with all its flags."""
    del root
    texts = _texts()
    made: Pages = {f"{FOLDER}index.md": _index(list(texts))}
    return made | {f"{FOLDER}{name}.md": _command(text) for name, text in texts.items()}


def _texts() -> dict[str, str]:
    """cyclopts' own page, cut into commands, in the order in which they are declared."""
    whole = app.generate_docs(output_format="markdown")
    parts = re.split(r"^## grokinterp (\S+)$", whole, flags=re.MULTILINE)
    return {name: f"# {name}\n{text}" for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def _index(names: list[str]) -> str:
    rows = [(f"[`{name}`]({name}.md)", plain(_summary(name))) for name in names]
    return (
        "# Commands\n\n`grokinterp COMMAND --help` says the same in the terminal.\n\n"
        + table(("command", "what it does"), rows)
        + "\n## Exit status\n\n"
        + table(
            ("status", "meaning"),
            [
                ("0", "done"),
                ("1", "a measure or a run of a sweep failed and the others are there; `train --from` gave other bytes"),
                ("2", "bad input or a damaged file: one sentence says what to do"),
                ("130", "stopped by Ctrl-C or SIGTERM; what was written is whole"),
            ],
        )
    )


def _summary(name: str) -> str:
    return app[name].help.split("\n\n")[0].replace("\n", " ")


def _command(text: str) -> str:
    """Its flags grouped by section of the config."""
    lines, section = [], None
    for line in text.splitlines():
        found = SECTION.match(line)
        if found is not None and found[1] != section:
            section = found[1]
            lines += ["", f"## {section}", "", f"The fields of the section [`{section}`](../config.md#{section}).", ""]
        lines.append(_heading(line))
    return "\n".join(lines) + "\n"


def _heading(line: str) -> str:
    """Bold titles of lists as headings, so that they are in the page's contents."""
    bold = re.fullmatch(r"\*\*(\w+)\*\*:", line)
    return f"## {bold[1]}" if bold else line
