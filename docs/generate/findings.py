"""What holds of the papers' claims: verdicts, figures and commands from artifacts/, prose from analyses/."""

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

from docs.generate.page import Pages, plain, table, without_local_links

FOLDER = "what-holds/"
ORDER = ("holds", "does not hold", "not tested at this scale")
HEAD = """# What holds

Papers on grokking make claims; each folder of `analyses/` turns those of one paper, or of one question, into code that
answers *holds*, *does not hold* or *not tested at this scale* from tables alone. These pages are made from the tables
in `artifacts/`, so they show what has been run, at a scale that fits two cores, and no more. Where numbers of a paper
belong to larger networks or longer training, orderings and shapes are compared, not numbers.

"""


def pages(root: Path) -> Pages:
    """The index and a page for each folder of artifacts that has verdicts."""
    folders = sorted(path.parent for path in (root / "artifacts").glob("*/verdicts.csv"))
    made: Pages = {}
    summary = []
    for folder in folders:
        verdicts = pd.read_csv(folder / "verdicts.csv", keep_default_na=False)
        readme = root / "analyses" / folder.name / "README.md"
        title, text = _readme(readme) if readme.exists() else (folder.name, "")
        counts = verdicts["verdict"].value_counts()
        summary.append((f"[{plain(title)}]({folder.name}.md)", *(counts.get(verdict, 0) for verdict in ORDER)))
        made[f"{FOLDER}{folder.name}.md"] = _page(title, text, folder, verdicts)
        for picture in folder.glob("*.png"):
            made[f"{FOLDER}{folder.name}/{picture.name}"] = picture.read_bytes()
    return {f"{FOLDER}index.md": HEAD + table(("question", *ORDER), summary)} | made


def _readme(path: Path) -> tuple[str, str]:
    """Its title, and the rest without the commands, which stand in made_with.json."""
    title, _, text = path.read_text(encoding="utf-8").lstrip("# ").partition("\n")
    return title.strip(), without_local_links(text.strip())


def _page(title: str, text: str, folder: Path, verdicts: pd.DataFrame) -> str:
    question, rest = _split(text)
    parts = [f"# {title}\n", question, "## Claims\n", _claims(verdicts), _figures(folder), _made_with(folder), rest]
    return "\n\n".join(part for part in parts if part) + "\n"


def _split(text: str) -> tuple[str, str]:
    """The question, up to the first command or table; and the sections with a heading."""
    question = re.split(r"\n\n(?=    |\|)", text.partition("\n## ")[0])[0]
    sections = text.partition("\n## ")[2]
    return question.strip(), f"## {sections}".strip() if sections else ""


def _claims(verdicts: pd.DataFrame) -> str:
    tested = verdicts[verdicts["verdict"] != ORDER[2]]
    left = verdicts[verdicts["verdict"] == ORDER[2]]
    rank = {verdict: i for i, verdict in enumerate(ORDER)}
    tested = tested.sort_values("verdict", key=lambda column: column.map(rank), kind="stable")
    rows = [
        (plain(row["claim"]), f"**{row['verdict']}**", plain(row["paper"]), _with_note(row))
        for _, row in tested.iterrows()
    ]
    text = _wide(table(("claim", "verdict", "paper", "ours"), rows)) if rows else ""
    if len(left):
        text += f"\n### Not tested at this scale\n\n{_untested(left)}"
    sources = sorted({source.partition(",")[0] for source in verdicts["source"] if source})
    return text + "\nSources: " + "; ".join(plain(source) for source in sources) + "."


def _with_note(row: Any) -> str:
    return plain(row["ours"]) + (f"<br><small>{plain(row['note'])}</small>" if row["note"] else "")


def _untested(left: pd.DataFrame) -> str:
    rows = [(plain(row["claim"]), plain(row["paper"]), plain(_why(row))) for _, row in left.iterrows()]
    return _wide(table(("claim", "paper", "why"), rows))


def _why(row: Any) -> str:
    """What a verdict table says about an untested claim, in words for readers who do not have the code at hand."""
    if row["note"].startswith("there is no table"):
        return "its runs have not been made yet"
    if row["note"].startswith("judged at: "):
        return f"needs the scale {row['note'].removeprefix('judged at: ')}"
    return row["note"] or row["ours"]


def _wide(text: str) -> str:
    """A table whose cells are sentences; assets/site.css keeps them readable."""
    return f'<div class="claims" markdown="1">\n\n{text}\n</div>\n'


def _figures(folder: Path) -> str:
    pictures = sorted(folder.glob("*.png"))
    if not pictures:
        return ""
    shown = [f"![{_words(path)}]({folder.name}/{path.name})\n\n*{_words(path)}*" for path in pictures]
    return "## Figures\n\n" + "\n\n".join(shown)


def _words(path: Path) -> str:
    return path.stem.replace("_", " ")


def _made_with(folder: Path) -> str:
    path = folder / "made_with.json"
    if not path.exists():
        return ""
    made = json.loads(path.read_text(encoding="utf-8"))
    rows = [(f"`{name}`", f"{recipe['runs']} of {recipe['of']}") for name, recipe in made["recipes"].items()]
    return (
        f"## The command\n\n```text\n{made['command']}\n```\n\n"
        "It trains what is missing and makes the tables, figures and verdicts; the same command goes on.\n\n"
        + table(("recipe", "runs in the tables"), rows)
    )
