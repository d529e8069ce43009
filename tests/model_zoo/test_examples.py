"""Batching: order, resume, joins."""

import pytest
import torch

from model_zoo.examples import Joined, Pair, batches, collate
from model_zoo.io.errors import BadInput


class Numbers:
    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        value = torch.tensor(float(self.values[index]))
        return Pair({"image": value}, value, value, torch.tensor(1.0))


def drawn(source, size, seed, start, count):
    stream = batches(source, size, seed, start)
    return [next(stream).chosen.tolist() for _ in range(count)]


def test_an_epoch_shows_every_example_once():
    assert sorted(sum(drawn(Numbers(range(12)), 4, 0, 0, 3), [])) == list(range(12))


def test_a_resumed_stream_continues_the_same_order():
    assert drawn(Numbers(range(10)), 3, 5, 0, 9)[4:] == drawn(Numbers(range(10)), 3, 5, 4, 5)


def test_no_examples_is_a_clear_error():
    with pytest.raises(BadInput, match="no training example"):
        next(batches(Numbers([]), 2, 0))


def test_joined_sources_count_through():
    joined = Joined([Numbers([1, 2]), Numbers([]), Numbers([3])])
    assert [float(joined[i].chosen) for i in range(len(joined))] == [1, 2, 3]


def test_collate_stacks_views_and_fields():
    batch = collate([Numbers([1])[0], Numbers([2])[0]])
    assert batch.views["image"].tolist() == [1, 2] and batch.rejected.tolist() == [1, 2]
