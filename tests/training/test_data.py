"""The pairs as tensors and the order of minibatches."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import grokinterp as gi
from grokinterp.tasks import build_task, draw_train_mask
from grokinterp.training.data import BatchOrder, all_pairs, in_training

SIZES = st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SIZES, st.integers(0, 2**31))
def test_an_epoch_draws_without_replacement_and_skips_a_short_last_batch(sizes, seed):
    n, size = sizes
    order = BatchOrder(n, size, seed)
    for _ in range(3):
        if size == n:
            assert order.draw() is None  # the whole set, in its own order
            continue
        epoch = torch.cat([order.draw() for _ in range(n // size)]).tolist()
        assert len(epoch) == len(set(epoch)) == n - n % size
        assert set(epoch) <= set(range(n))


def test_epochs_cover_all_pairs_and_differ():
    order = BatchOrder(24, 6, seed=5)
    epochs = [torch.cat([order.draw() for _ in range(4)]).tolist() for _ in range(2)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(24))] * 2
    assert epochs[0] != epochs[1]
    assert epochs[0] != torch.cat([BatchOrder(24, 6, seed=6).draw() for _ in range(4)]).tolist()


def test_without_a_batch_size_every_batch_is_the_whole_set():
    order = BatchOrder(24, None, seed=5)
    assert [order.draw() for _ in range(3)] == [None] * 3


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SIZES, st.integers(0, 40), st.integers(0, 2**31))
def test_a_restored_order_goes_on_as_the_one_that_was_saved(sizes, drawn, seed):
    n, size = sizes
    saved, restored = BatchOrder(n, size, seed), BatchOrder(n, size, seed + 1)
    for _ in range(drawn):
        saved.draw()
    state = {name: value.clone() if torch.is_tensor(value) else value for name, value in saved.state().items()}
    ahead = [saved.draw() for _ in range(12)]
    restored.restore(state)
    for batch in ahead:
        again = restored.draw()
        assert (batch is None and again is None) or torch.equal(batch, again)


def test_pairs_carry_their_answers_and_the_mask_its_pairs():
    config = gi.TaskConfig(operation="x/y", p=12, frac_train=0.4)
    task = build_task(config)
    mask = draw_train_mask(task, 0.4, 3)
    pairs, is_train = all_pairs(task), in_training(task, mask)
    assert len(pairs) == 12 * 4
    for a, b, c, trained in zip(*(x.tolist() for x in (pairs.left, pairs.right, pairs.label, is_train)), strict=True):
        assert c * b % 12 == a
        assert trained == mask[a, b]
    train = pairs.select(is_train)
    assert len(train) == mask.sum()
