"""The documentation site is built without a warning, all its links resolve, and it loads nothing from elsewhere."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import grokinterp
from grokinterp.config import RunConfig
from grokinterp.measures.registry import builtin_measures
from grokinterp.presets import PRESETS
from grokinterp.runs.importers.registry import FORMATS

pytest.importorskip("mkdocs", reason='the site needs pip install "grokinterp[docs]"')

ROOT = Path(__file__).parents[2]
LOADS = {
    "script": "src",
    "img": "src",
    "link": "href",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
}
NOT_LOADED = {"canonical", "next", "prev", "alternate"}


class Page(HTMLParser):
    """The ids, the links, and what is loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if LOADS.get(tag) in found and not (tag == "link" and found.get("rel") in NOT_LOADED):
            self.loaded.append(found[LOADS[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def text_of(site, page: str) -> str:
    return (site / page).read_text(encoding="utf-8")


def test_every_link_and_anchor_leads_somewhere(pages):
    broken = []
    for path, page in pages.items():
        if path.name == "404.html":  # its links are for a server's root
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            ids = pages[target].ids if target in pages else set()
            if not target.exists() or (parts.fragment and unquote(parts.fragment) not in ids):
                broken.append(f"{path.name}: {link}")
    assert not broken
    assert len(pages) > 60


def test_nothing_is_loaded_from_a_network(pages, site):
    for path, page in pages.items():
        for address in page.loaded:
            parts = urlsplit(address)
            assert not parts.netloc, f"{path.name} loads {address}"
            if not parts.scheme and path.name != "404.html":  # data: is in the page itself
                assert (path.parent / unquote(parts.path)).resolve().exists(), f"{path.name}: {address}"
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"@import[^;]*//|url\(\s*['\"]?(?:https?:)?//", text), sheet.name


def test_every_measure_has_a_page_with_its_columns(site):
    for name, measure in builtin_measures().items():
        text = text_of(site, f"reference/measures/{name}.html")
        for part in measure.parts.values():
            assert all(f"<code>{column}</code>" in text for column in part.all_columns), name


def test_every_command_field_preset_format_and_public_name_is_in_the_reference(site):
    from grokinterp.cli import app

    for name in app:
        assert name.startswith("-") or "<h1" in text_of(site, f"reference/commands/{name}.html")
    config = text_of(site, "reference/config.html")
    for section in ("task", "model", "optimizer", "regularizer", "train"):
        fields = type(getattr(RunConfig(), section)).model_fields
        assert all(f"<code>{field}</code>" in config for field in fields), section
    assert all(f'id="{name}"' in text_of(site, "reference/presets.html") for name in PRESETS)
    assert all(f'id="{name}"' in text_of(site, "reference/import-formats.html") for name in FORMATS)
    api = "".join(path.read_text(encoding="utf-8") for path in (site / "reference" / "api").glob("*.html"))
    assert all(f"gi.{name}" in api for name in grokinterp.__all__)


def test_every_verdict_is_shown_with_its_command(site):
    tables = sorted((ROOT / "artifacts").glob("*/verdicts.csv"))
    assert tables
    for path in tables:
        text = text_of(site, f"what-holds/{path.parent.name}.html")
        assert f"python -m analyses.{path.parent.name}" in text
        assert len(re.findall("<strong>(?:holds|does not hold)</strong>", text)) == len(
            re.findall(",(?:holds|does not hold),", path.read_text(encoding="utf-8"))
        )


def test_every_notebook_is_a_page(site):
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert "<h1" in text_of(site, f"notebooks/{path.stem}.html")


def test_the_search_index_lies_beside_the_pages_as_a_script(site):
    index = text_of(site, "search/search_index.js")
    assert index.startswith("var __index = ")
    assert "restricted" in index
