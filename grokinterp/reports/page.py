"""The page as text: a template, a style sheet, small scripts, plotly, and the run as one block of JSON.

Nothing of the run is markup. Its strings stand in the JSON, where <, > and & are escaped, and the scripts set
them as text; the few that are written into the template (title, story) are escaped. The Content-Security-Policy
lets no other script run than those that are in the page, by their hash, and nothing be fetched.
"""

import base64
import hashlib
import html
import json
from importlib.resources import files
from typing import Any

SCRIPTS = (
    "data.js",
    "theme.js",
    "colors.js",
    "state.js",
    "cards.js",
    "curves.js",
    "spectra.js",
    "symbols.js",
    "maps.js",
    "player.js",
    "main.js",
)
"""The page's scripts in the order they run in, inside one function."""

ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def build_page(title: str, sentences: list[str], data: dict[str, Any]) -> str:
    """The whole page.

    Raises:
        ValueError: data hold NaN or infinity.
    """
    source = "".join(asset(name) for name in SCRIPTS)
    return assemble(asset("template.html"), asset("page.css"), source, title, sentences, data)


def assemble(template: str, style: str, source: str, title: str, sentences: list[str], data: dict[str, Any]) -> str:
    """A page of this template, style sheet and scripts, with plotly and one block of JSON.

    Raises:
        ValueError: data hold NaN or infinity.
    """
    plotly = _plotly()
    script = f'(() => {{\n"use strict";\n{source}}})();\n'
    parts = {
        "policy": _policy(plotly, script),
        "title": html.escape(title),
        "story": "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences),
        "style": style,
        "data": embedded_json(data),
        "plotly": plotly,
        "script": script,
    }
    pieces = template.split("@@")
    return "".join(parts[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def embedded_json(data: Any) -> str:
    """JSON that can stand in a script element: no character of it is markup.

    Raises:
        ValueError: data hold NaN or infinity.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return "".join(ESCAPES.get(c, c) for c in text) if any(c in text for c in ESCAPES) else text


def _policy(*scripts: str) -> str:
    """What the page may do: run these scripts, style itself, draw images that it made; no more."""
    digests = (hashlib.sha256(script.encode("utf-8")).digest() for script in scripts)
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _plotly() -> str:
    """plotly.js as the Python package brings it, its licence at the top."""
    from plotly.offline import get_plotlyjs

    source = get_plotlyjs()
    lower = source.lower()
    if "</script" in lower or "<!--" in lower or "\r" in source:
        raise RuntimeError("this release of plotly.js cannot stand inside a page as it is; pin another one")
    return source


def asset(name: str) -> str:
    """A template, style sheet or script of the run's page; theme.js, cards.js and data.js serve other pages too."""
    return (files("grokinterp.reports") / "page" / name).read_text(encoding="utf-8")
