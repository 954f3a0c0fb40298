"""What there is, in sentences made from the runs."""

from collections import Counter
from collections.abc import Sequence

from grokinterp.cohort import Survival, durations, kaplan_meier
from grokinterp.comparison.entries import Entry
from grokinterp.comparison.factors import Factor, find_factors
from grokinterp.comparison.survival import known_phases
from grokinterp.runs.rundir import NOT_TRAINED

MOST_NAMED = 6
"""Values of a factor that are named; of more the number is said."""

STATES = {"unfinished": "is", "failed": "has", "damaged": "is", **dict.fromkeys(NOT_TRAINED, "was")}
"""What is counted, with the verb of one run."""

PLURAL = {"is": "are", "has": "have", "was": "were"}


def headline(entries: Sequence[Entry]) -> list[str]:
    """How many runs grokked and when, what varies, and how many runs are not finished."""
    return [sentence for sentence in (_events(entries), _varied(entries), _not_finished(entries)) if sentence]


def _events(entries: Sequence[Entry]) -> str:
    cohort = known_phases(entries)
    runs = _counted(len(entries), "run")
    if not cohort:
        return f"{runs}, with too few evaluations of accuracy to say when any of them grokked."
    unknown = len(entries) - len(cohort)
    of = runs if not unknown else f"{runs}, of which {len(cohort)} were watched closely enough to tell"
    found = kaplan_meier(durations(cohort))
    grokked = f"{found.n_observed} grokked within {_budget(entries)}"
    return f"{of}: {grokked}{_median(found, [phases.generalization_step for phases in cohort])}."


def _budget(entries: Sequence[Entry]) -> str:
    budgets = sorted({entry.fields["train.steps"] for entry in entries if entry.fields})
    steps = str(budgets[0]) if len(budgets) == 1 else f"{budgets[0]} to {budgets[-1]}"
    return f"their budget of {steps} steps"


def _median(found: Survival, steps: list[int | None]) -> str:
    """The median with its interval, over all runs, and the range of those that grokked; empty if none did."""
    known = sorted(step for step in steps if step is not None)
    if not known:
        return ""
    at = f"at step {known[0]}" if known[0] == known[-1] else f"at steps {known[0]} to {known[-1]}"
    censored = found.n - found.n_observed
    if found.n == 1:
        return f", {at}"
    if found.median is None:
        return f", {at}, too few for a median; the other {censored} are censored"
    counting = f" counting the {_counted(censored, 'censored run')}" if censored else ""
    low, high = (_end(end) for end in (found.low, found.high))
    interval = f" (95 % interval {low} to {high})" if found.low is not None or found.high is not None else ""
    return f", {at}; the median{counting} is step {found.median:.0f}{interval}"


def _end(step: float | None) -> str:
    return "open" if step is None else f"{step:.0f}"


def _varied(entries: Sequence[Entry]) -> str:
    factors = find_factors(entries)
    if not factors:
        return "" if len(entries) == 1 else "All of them have the same config."
    return f"They differ in {_listed([_values(factor) for factor in factors])}."


def _values(factor: Factor) -> str:
    n = len(factor.values)
    return f"{factor.label} ({', '.join(factor.values) if n <= MOST_NAMED else f'{n} values'})"


def _not_finished(entries: Sequence[Entry]) -> str:
    counts = Counter(entry.state for entry in entries)
    verbs = {state: verb if counts[state] == 1 else PLURAL[verb] for state, verb in STATES.items()}
    found = [f"{counts[state]} {verb} {state}" for state, verb in verbs.items() if counts[state]]
    rest = "; an unfinished run counts as censored where it stands" if counts["unfinished"] else ""
    return f"Of the runs, {_listed(found)}{rest}." if found else ""


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
