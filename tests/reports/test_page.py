"""The page as text: nothing of a run is markup, no script runs but its own, the same run gives the same bytes."""

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import grokinterp as gi
from grokinterp.config import RunConfig
from grokinterp.reports.page import SCRIPTS, embedded_json

NAMES = ["</script><script>alert(1)</script>", "\"'><img src=x onerror=alert(1)> & é 🙂", "@@policy@@ {title}"]


class Elements(HTMLParser):
    """Every element in order, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags, self.scripts, self.texts, self._within = [], [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self._within = tag
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self._within == "script":
            self.scripts[-1] += data
        elif self._within:
            self.texts.setdefault(self._within, []).append(data)

    def handle_endtag(self, tag):
        self._within = None


@pytest.fixture(scope="module")
def plain(grokked_run):
    """The page of a run with a harmless name."""
    return gi.report(grokked_run, show_progress=False).read_text(encoding="utf-8")


def renamed(run, name, folder):
    copy = gi.open(shutil.copytree(run.path, folder / "run"))
    copy.rundir.write_config(RunConfig.from_mapping({**copy.config.model_dump(), "name": name}))
    return gi.open(copy.path)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.text() | st.sampled_from(["</script>", "<!--<script>", "]]>", "&lt;", "\u2028\u2029"]))
def test_embedded_json_is_the_same_json_without_markup(text):
    shown = embedded_json({text: [text, None, 1.5]})
    assert json.loads(shown) == {text: [text, None, 1.5]}
    assert not set(shown) & {"<", ">", "&", "\u2028", "\u2029"}


def test_nan_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedded_json([float("nan")])


@pytest.mark.parametrize("name", NAMES)
def test_a_name_adds_no_element_and_is_read_back_as_it_is(name, grokked_run, plain, tmp_path):
    run = renamed(grokked_run, name, tmp_path)
    found = Elements(gi.report(run, show_progress=False).read_text(encoding="utf-8"))
    assert found.tags == Elements(plain).tags
    title = f"{name}: {run.config.task.operation}"
    assert found.texts["title"] == found.texts["h1"] == [title]
    assert json.loads(found.scripts[0])["name"] == name


def test_the_policy_lets_these_scripts_run_and_nothing_be_fetched(plain):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', plain)[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in Elements(plain).scripts[1:]
    ]
    assert rules["script-src"].split() == hashes
    assert rules["img-src"] == "data: blob:"
    assert "connect-src" not in rules  # default-src 'none' says it
    assert not re.findall(r'<(?:script|link|img|iframe)[^>]*\b(?:src|href)="?http', plain)


def test_the_same_run_gives_the_same_bytes(grokked_run, plain):
    assert gi.report(grokked_run, show_progress=False).read_text(encoding="utf-8") == plain


def test_our_scripts_never_read_data_as_markup():
    from importlib.resources import files

    for name in SCRIPTS:
        text = (files("grokinterp.reports") / "page" / name).read_text()
        assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(", text), name


def test_the_page_is_under_ten_megabytes_and_carries_plotly_s_licence(plain):
    assert len(plain.encode()) < 10_000_000
    assert "Licensed under the MIT license" in plain
