"""What the site shows as it is kept: the demo's pictures, and the changelog where there is one."""

from pathlib import Path

from docs.generate.page import Pages, without_local_links

PICTURES = ("overview", "symbol_pca")


def pages(root: Path) -> Pages:
    """Pictures of artifacts/demo below assets/, and CHANGELOG.md."""
    made: Pages = {
        f"assets/{name}.png": (root / "artifacts" / "demo" / f"{name}.png").read_bytes() for name in PICTURES
    }
    changes = root / "CHANGELOG.md"
    if changes.exists():
        made["changelog.md"] = without_local_links(changes.read_text(encoding="utf-8"))
    return made
