"""The hook of mkdocs: adds the generated pages to the written ones, and fills folders of the navigation with them."""

import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # mkdocs may be started from anywhere

from docs.generate import api, commands, config, findings, formats, kept, measures, notebooks, presets  # noqa: E402
from docs.generate.page import Pages, title_of  # noqa: E402

MADE_BY = (commands, config, measures, presets, api, formats, notebooks, findings, kept)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is generated, then complete the navigation."""
    made: Pages = {}
    for module in MADE_BY:
        made |= module.pages(ROOT)
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    assert config.nav is not None
    config.nav = [entry for item in config.nav if (entry := _filled(item, made)) is not None]
    return files


def _filled(item: Any, made: Pages) -> Any:
    """An entry of the navigation with generated folders in place of names that end in '/'; None where there is none."""
    if isinstance(item, dict):
        (title, inside), *_ = item.items()
        if isinstance(inside, list):
            return {title: [entry for one in inside if (entry := _filled(one, made)) is not None]}
        if inside.endswith("/"):
            return _folder(title, inside, made)
        if inside.startswith("?"):
            return {title: inside[1:]} if inside[1:] in made else None
    return item


def _folder(title: str, folder: str, made: Pages) -> dict[str, list[Any]] | None:
    """The pages of one generated folder: its index, then the others in the order in which they were made."""
    inside = [path for path in made if path.startswith(folder) and path.endswith(".md")]
    if not inside:
        return None
    index = f"{folder}index.md"
    others = [{title_of(made[path]): path} for path in inside if path != index]
    return {title: ([index] if index in inside else []) + others}
