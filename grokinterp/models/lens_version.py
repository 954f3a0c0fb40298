"""Which TransformerLens is installed: 3 has HookedTransformer, 4 has TransformerBridge in its place."""

import importlib.metadata

from grokinterp.errors import GrokinterpError


def lens_version() -> str:
    """The version of the installed transformer-lens."""
    return importlib.metadata.version("transformer-lens")


def require_lens(major: int) -> None:
    """Refuse to go on with another major version.

    Raises:
        GrokinterpError: as said, with what to install.
    """
    found = lens_version()
    if int(found.split(".")[0]) == major:
        return
    if major == 4:
        raise GrokinterpError(
            f"a TransformerBridge needs TransformerLens 4, and {found} is installed; make an environment of its own: "
            'python -m venv tl4, tl4/bin/pip install grokinterp, tl4/bin/pip install "transformer-lens>=4,<5"'
        )
    raise GrokinterpError(
        f"this needs HookedTransformer, which TransformerLens {found} no longer has; `run.bridge(step)` gives a "
        'TransformerBridge, and pip install "transformer-lens>=3.9,<4" goes back'
    )
