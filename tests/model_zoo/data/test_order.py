"""Orders: exact permutations from a seed, different in every epoch, any position at once."""

import time

import numpy as np
import pytest

from model_zoo.data.order import Shuffled, Windowed, permuted


@pytest.mark.parametrize("size", [1, 2, 3, 5, 16, 17, 100, 1023, 65_537])
def test_every_row_comes_exactly_once(size: int) -> None:
    rows = permuted(np.arange(size), size, 7, "a")
    assert np.array_equal(np.sort(rows), np.arange(size))


def test_parts_are_those_of_the_whole_and_seeds_and_epochs_differ() -> None:
    order = Shuffled(10_000, 3)
    whole = order.rows(np.arange(10_000), 0)
    assert np.array_equal(order.rows(np.arange(5_000, 5_010), 0), whole[5_000:5_010])
    for other in (order.rows(np.arange(10_000), 1), Shuffled(10_000, 4).rows(np.arange(10_000), 0)):
        assert (other == whole).mean() < 0.01


def test_the_order_is_as_random_as_it_should_be() -> None:
    """Where row 0 of 50 goes over 1,500 seeds, and how neighbours lie: as chance has it within 5 standard deviations."""
    seen = np.array([permuted(np.arange(2), 50, seed, "x") for seed in range(1500)])
    counts = np.bincount(seen[:, 0], minlength=50)
    assert abs(counts - 30).max() < 5 * 30**0.5
    assert abs(np.corrcoef(seen.T)[0, 1]) < 0.1
    rows = permuted(np.arange(100_000), 100_000, 1, "y")
    assert abs(np.corrcoef(rows[:-1], rows[1:])[0, 1]) < 0.02


def test_sixty_million_rows_need_no_memory_and_no_time() -> None:
    began = time.process_time()
    rows = Shuffled(60_000_000, 0).rows(np.array([0, 59_999_999, 31_415_926]), 5)
    assert len(set(rows.tolist())) == 3 and time.process_time() - began < 0.1


@pytest.mark.parametrize("sorted_index", [True, False])
def test_windows_keep_to_few_shards_and_still_give_every_row_once(sorted_index: bool) -> None:
    shards = np.repeat(np.arange(20, dtype=np.int32), 50)
    offsets = np.tile(np.arange(50, dtype=np.int64), 20)
    if not sorted_index:
        mixed = np.random.default_rng(0).permutation(1000)
        shards, offsets = shards[mixed], offsets[mixed]
    order = Windowed(shards, offsets, 1, 100)
    rows = order.rows(np.arange(1000), 2)
    assert np.array_equal(np.sort(rows), np.arange(1000))
    assert max(len(set(shards[rows[at : at + 100]])) for at in range(0, 1000, 100)) <= 3
    assert np.array_equal(order.rows(np.arange(333, 350), 2), rows[333:350])
    assert not np.array_equal(order.rows(np.arange(1000), 3), rows)
