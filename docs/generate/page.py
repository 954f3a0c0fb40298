"""Text of pages: docstrings as Markdown, tables, files of pages by path."""

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any

Pages = dict[str, str | bytes]
"""Content by path below the site's root."""

LABEL = re.compile(r"\*\*((?:Paper|Differs|Known values|Trap|Assumed)):\*\*")
RESTS_ON = re.compile(r"\b(?:grokinterp\.)?(?:landscape|harmonics|curves|spikes)(?:\.[a-z]+(?:\\?_[a-z]+)*)+")


def title_of(text: str | bytes) -> str:
    """The first heading of a page."""
    assert isinstance(text, str)
    heading = next(line for line in text.splitlines() if line.startswith("# "))
    return heading[2:].partition(" {:")[0].replace("`", "")


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; cells are Markdown already."""
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    lines += [f"| {' | '.join(_one_line(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _one_line(cell: Any) -> str:
    return " ".join(str(cell).split()).replace("|", "&#124;")


def plain(text: str) -> str:
    """Text in which Markdown sees nothing but code between backticks."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if i % 2 else _escaped(part) for i, part in enumerate(parts))


def _escaped(text: str) -> str:
    text = re.sub(r"([\\*_\[\]{])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;"))
    return re.sub(r"(^|\n)(\d+)\.(\s)", r"\1\2\\.\3", text)


def prose(docstring: str, *, skip_first: bool = False) -> str:
    """A docstring as Markdown: indented blocks as text blocks, labels such as **Paper:** as paragraphs of their own.

    Args:
        skip_first: Leave the first paragraph out, which stands elsewhere.
    """
    blocks = re.split(r"\n\s*\n", inspect.cleandoc(docstring))
    return "\n\n".join(_block(block) for block in blocks[1 if skip_first else 0 :])


def without_local_links(text: str) -> str:
    """Markdown from elsewhere in the repository, whose links to files lead nowhere from a page."""
    return re.sub(r"!?\[([^\]]+)\]\((?!https?:|#)[^)\s]*\)", r"\1", text)


def first_paragraph(docstring: str) -> str:
    """Its first paragraph on one line, escaped."""
    return plain(" ".join(re.split(r"\n\s*\n", inspect.cleandoc(docstring))[0].split()))


def _block(block: str) -> str:
    lines = block.splitlines()
    if all(line.startswith("    ") for line in lines):
        return "``` { .text .no-copy }\n" + "\n".join(line[4:] for line in lines) + "\n```"
    if lines[0].lstrip().startswith("|"):
        return "\n".join(_table_line(line) for line in lines)
    if lines[0].startswith("- "):
        return "\n".join(plain(line) for line in lines)
    return "\n\n".join(_paragraph(part) for part in re.split(rf"(?=(?<!\S){LABEL.pattern})", block) if _is_text(part))


def _is_text(part: str | None) -> bool:
    """The pieces of the split that are no names of labels."""
    return bool(part and part.strip()) and part not in ("Paper", "Differs", "Known values", "Trap", "Assumed")


def _table_line(line: str) -> str:
    return re.sub(r"(?<!\|)_", r"\\_", line)


def _paragraph(text: str) -> str:
    labelled = LABEL.match(text.strip())
    if labelled is None:
        return linked(plain(text.strip()))
    return f"**{labelled[1]}.** {linked(plain(text.strip()[labelled.end() :].strip()))}"


def linked(text: str) -> str:
    """Names of the package's definitions as links to them."""
    return RESTS_ON.sub(lambda found: _link(found[0]), text)


def _link(name: str) -> str:
    name = name.replace("\\", "")
    return f"[`{name}`][grokinterp.{name.removeprefix('grokinterp.')}]"
