"""An extension of griffe: docstrings read as Markdown where they are plain text.

Examples after >>> become code blocks, and labels such as **Paper:** begin paragraphs of their own.
"""

import inspect
import re
from typing import Any

import griffe

LABEL = re.compile(r"(?<!\n)\n?(?<!\S)(?=\*\*(?:Paper|Differs|Known values|Trap|Assumed):\*\*)")


class PlainDocstrings(griffe.Extension):
    """Changes the text of each docstring before its sections are found."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for every module, class, function and attribute."""
        del kwargs
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """The docstring with fenced examples and separated labels."""
    blocks = re.split(r"\n\s*\n", inspect.cleandoc(text))
    return "\n\n".join(_fenced(b) if b.lstrip().startswith(">>>") else LABEL.sub("\n\n", b) for b in blocks)


def _fenced(block: str) -> str:
    return f"```pycon\n{inspect.cleandoc(block)}\n```"
