"""How a pair is written as tokens."""

import numpy as np
import pytest

from grokinterp.tasks.layouts import build_layout


@pytest.mark.parametrize(
    ("name", "n", "tokens", "d_vocab"),
    [
        ("a b =", 7, [3, 6, 7], 8),
        ("a b =", 2, [1, 0, 2], 3),
        ("a op b =", 12, [3, 12, 6, 13], 14),
        ("a b", 5, [3, 4], 5),
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


def test_an_unknown_layout_is_refused():
    with pytest.raises(ValueError, match="no layout"):
        build_layout("= a b", 5)
