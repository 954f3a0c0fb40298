"""How operands are written as tokens, against lists put together by hand."""

import itertools

import numpy as np
import pytest
import torch

from grokinterp.tasks.layouts import build_layout

LAYOUTS = ("a b =", "a op b =", "a b", "EOS a op b =")


def slow_tokens(name, n, operands):
    """One sequence: operands, a sign between any two, '=' at the end, as the layout says."""
    if name == "a b":
        return list(operands)
    if name == "a b =":
        return [*operands, n]
    tokens = [n + 2, operands[0]] if name.startswith("EOS") else [operands[0]]
    for operand in operands[1:]:
        tokens += [n, operand]
    return [*tokens, n + 1]


@pytest.mark.parametrize(
    ("name", "n", "tokens", "d_vocab"),
    [
        ("a b =", 7, [3, 6, 7], 8),
        ("a b =", 2, [1, 0, 2], 3),
        ("a op b =", 12, [3, 12, 6, 13], 14),
        ("a b", 5, [3, 4], 5),
        ("EOS a op b =", 12, [14, 3, 12, 6, 13], 15),
    ],
)
def test_a_pair_becomes_its_tokens(name, n, tokens, d_vocab):
    layout = build_layout(name, n)
    operands = [t for t in tokens if t < n]
    left, right = np.array([operands[0], 0]), np.array([operands[1], 1])
    rows = layout.tokens(left, right)
    assert rows[0].tolist() == tokens
    assert [t for t in rows[1].tolist() if t < n] == [0, 1]
    assert (layout.d_vocab, layout.n_ctx, layout.n_operand_tokens) == (d_vocab, len(tokens), n)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize(
    ("n", "n_operands"), [(2, 2), (7, 2), (12, 2), (2, 3), (5, 3), (12, 3), (2, 4), (3, 4), (5, 4)]
)
def test_every_combination_of_operands_becomes_its_tokens(name, n, n_operands):
    layout = build_layout(name, n, n_operands)
    combinations = list(itertools.product(range(n), repeat=n_operands))
    index = np.arange(len(combinations))
    expected = [slow_tokens(name, n, operands) for operands in combinations]
    assert layout.tokens(index // n, index % n).tolist() == expected
    assert layout.n_ctx == len(expected[0])
    assert layout.n_operands == n_operands
    constants = {token for row in expected for token in row if token >= n}
    assert layout.d_vocab == n + len(constants)
    assert constants == set(range(n, layout.d_vocab))


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("n_operands", [2, 3, 4])
def test_tensors_become_the_tokens_that_arrays_do_and_the_operands_come_in_turn(name, n_operands):
    n = 5
    layout = build_layout(name, n, n_operands)
    stream = torch.Generator().manual_seed(n_operands)
    left = torch.randint(n ** (n_operands - 1), (40,), generator=stream)
    right = torch.randint(n, (40,), generator=stream)
    rows = torch.stack(layout.columns(left, right), dim=1)
    assert rows.tolist() == layout.tokens(left.numpy(), right.numpy()).tolist()
    operands = torch.stack(layout.operands(left, right), dim=1)
    assert operands.tolist() == [[token for token in row if token < n] for row in rows.tolist()]


def test_no_pairs_have_no_tokens():
    none = np.zeros(0, dtype=np.int64)
    assert build_layout("a op b =", 5, 3).tokens(none, none).shape == (0, 6)


def test_an_unknown_layout_is_refused():
    with pytest.raises(ValueError, match="no layout"):
        build_layout("= a b", 5)
