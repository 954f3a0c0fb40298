"""What an analysis did."""

from dataclasses import dataclass, field

from grokinterp.displays import outcome_html


@dataclass(repr=False)
class Outcome:
    """What an analysis did.

    Attributes:
        computed: Rows' checkpoints computed now, by measure.
        reused: Checkpoints whose rows were kept, by measure.
        skipped: Why a measure has no meaning here, by measure.
        failed: What went wrong, by measure.
        damaged: One sentence for each checkpoint that could not be read.
    """

    computed: dict[str, int] = field(default_factory=dict)
    reused: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    @property
    def _reasons(self) -> dict[str, str]:
        """Everything that was not as it should be, by what it befell."""
        skipped = {f"skipped {name}": why for name, why in self.skipped.items()}
        failed = {f"failed {name}": why for name, why in self.failed.items()}
        return {**skipped, **failed, **{f"damaged {i}": why for i, why in enumerate(self.damaged, start=1)}}

    def __repr__(self) -> str:
        states = [self.computed, self.reused, self.skipped, self.failed, self.damaged]
        words = ("computed", "kept", "skipped", "failed", "damaged")
        numbers = [sum(map(bool, x.values())) if isinstance(x, dict) else len(x) for x in states]
        return f"Outcome({', '.join(f'{word}={n}' for n, word in zip(numbers, words, strict=True))})"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        names = sorted(({*self.computed} | {*self.reused}) - {*self.skipped, *self.failed})
        counts = {name: (self.computed.get(name, 0), self.reused.get(name, 0)) for name in names}
        return outcome_html(counts, self._reasons)
