"""The comparison page as text; escaping, policy and shared scripts are those of a run's page."""

from importlib.resources import files
from typing import Any

from grokinterp.reports.page import assemble, asset

SHARED = ("data.js", "theme.js", "cards.js")
"""Scripts of a run's page that come first."""

SCRIPTS = ("state.js", "filters.js", "steps.js", "survival.js", "panels.js", "table.js", "followed.js", "main.js")
"""The page's own scripts, in the order they run in."""


def build_page(title: str, sentences: list[str], data: dict[str, Any]) -> str:
    """The whole page.

    Raises:
        ValueError: data hold NaN or infinity.
    """
    source = "".join([asset(name) for name in SHARED] + [own_asset(name) for name in SCRIPTS])
    style = asset("page.css") + own_asset("comparison.css")
    return assemble(own_asset("template.html"), style, source, title, sentences, data)


def own_asset(name: str) -> str:
    """The template, style sheet or a script of this page."""
    return (files("grokinterp.comparison") / "page" / name).read_text(encoding="utf-8")
