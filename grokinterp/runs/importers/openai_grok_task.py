"""The operations and tokens of openai/grok (see openai_grok.py)."""

import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from grokinterp.config import table_of, train_size
from grokinterp.errors import GrokinterpError
from grokinterp.runs.importers.fields import number_in, text_in

MODULUS = 97
MODULAR = {
    "+": "x+y",
    "-": "x-y",
    "*": "x*y",
    "/": "x/y",
    "x**2+y**2_mod_97": "x^2+y^2",
    "x**2+y**2+x*y_mod_97": "x^2+xy+y^2",
    "x**2+y**2+x*y+x_mod_97": "x^2+xy+y^2+x",
    "x**3+x*y_mod_97": "x^3+xy",
    "x**3+x*y**2+y_mod_97": "x^3+xy^2+y",
    "(x._value//y)if(y._value%2==1)else(x-y)_mod_97": "x/y if y odd else x-y",
}
OWN = {
    "**2+": lambda a, b: (a**2 + b) % MODULUS,
    "**3+": lambda a, b: (a**3 + b) % MODULUS,
    "+*": lambda a, b: (a * b if a % 2 else a + b) % MODULUS,
    "+-": lambda a, b: (a - b if a % 2 else a + b) % MODULUS,
}
"""Operations of theirs that have no name here: a^2 + b, a^3 + b, and those that look at whether a is even."""

IN_S5 = {"s5": "x.y", "s5conj": "x.y.x^-1", "s5aba": "x.y.x"}
OF_LISTS = ("sort", "reverse", "copy")
OPERATORS = sorted([*MODULAR, *OWN, *IN_S5, *OF_LISTS])
EOS, EQUALS, FIRST_OPERATOR = 0, 1, 2
FIRST_NUMBER = FIRST_OPERATOR + len(OPERATORS)
FIRST_PERMUTATION = FIRST_NUMBER + MODULUS
VOCABULARY = FIRST_PERMUTATION + 120


def operator_of(hparams: Mapping[str, Any], path: Path) -> tuple[str, int]:
    """Their name of the operation, and how many labels are noise.

    Raises:
        GrokinterpError: it acts on lists, or is none of theirs.
    """
    name, _, noisy = text_in(hparams, "math_operator", path).partition("_noisy_")
    if name in OF_LISTS:
        raise GrokinterpError(f"{path} learned to {name} lists, which is no operation on pairs; it can't be imported")
    if name not in OPERATORS or not re.fullmatch(r"\d{0,6}", noisy):
        raise GrokinterpError(
            f"{path} has math_operator {name[:60]!r}, which openai/grok does not; correct hyper_parameters"
        )
    return name, int(noisy or 0)


def task_section(name: str, hparams: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The fields of the task section; frac_train such that as many pairs are trained on as they round to."""
    n_pairs, n_train = len(equations(name)), len(train_pairs(name, hparams, path))
    share = _share(hparams, path)
    frac_train = share if train_size(share, n_pairs) == n_train else n_train / n_pairs
    return {**_operation(name), "layout": "EOS a op b =", "frac_train": frac_train}


def _operation(name: str) -> dict[str, Any]:
    if name in IN_S5:
        return {"operation": IN_S5[name], "group": "S5"}
    if name in OWN:
        return {"operation": "custom", "table": table_of(OWN[name], MODULUS)}
    return {"operation": MODULAR[name], "p": MODULUS}


def tokens_of(name: str) -> list[int]:
    """Token ids in the order of our vocabulary: the elements, op, '=', EOS."""
    first, n = (FIRST_PERMUTATION, 120) if name in IN_S5 else (FIRST_NUMBER, MODULUS)
    return [*range(first, first + n), FIRST_OPERATOR + OPERATORS.index(name), EQUALS, EOS]


def equations(name: str) -> list[tuple[int, int]]:
    """The pairs in the order of their loops; a quotient's runs over the answers."""
    n = 120 if name in IN_S5 else MODULUS
    if name == "/":
        return [(b * c % n, b) for c, b in itertools.product(range(n), repeat=2) if b]
    return [(a, b) for a, b in itertools.product(range(n), repeat=2)]


def train_pairs(name: str, hparams: Mapping[str, Any], path: Path) -> list[tuple[int, int]]:
    """Their training pairs: the first of the equations as numpy's RandomState(0) shuffles them."""
    pairs = equations(name)
    order = list(range(len(pairs)))
    np.random.RandomState(seed=0).shuffle(order)
    return [pairs[i] for i in order[: round(len(pairs) * _share(hparams, path))]]


def _share(hparams: Mapping[str, Any], path: Path) -> float:
    percent = float(number_in(hparams, "train_data_pct", path, 5.0))
    if not 0 < percent < 100:
        raise GrokinterpError(f"{path} has train_data_pct {percent:g}, which is no share; correct hyper_parameters")
    return percent / 100
