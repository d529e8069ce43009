"""Both stages as one pipeline: a candidate is its seed's own, memory that runs out halves the batch, faults are one line."""

import numpy as np
import pytest
import torch

from model_zoo.io.errors import BadInput
from model_zoo.pipeline import DISTILLED, Sam3D, Sampling, in_batches
from tests.model_zoo.releases import targets

TWO_STEPS = Sampling(steps=2)


@pytest.fixture(scope="module")
def photo():
    target, _ = targets(1)[0]
    return target.rgb, target.mask, target.pointmap


@pytest.fixture(scope="module")
def model(start):
    return Sam3D(start)


def test_a_candidate_is_its_seeds_own_whatever_it_is_made_with(model, photo):
    together = list(model.candidates(photo, [3, 4, 5], TWO_STEPS))
    (alone,) = model.candidates(photo, [4], TWO_STEPS)
    assert [made.seed for made in together] == [3, 4, 5]
    assert np.allclose(together[1].pose.t, alone.pose.t, atol=1e-5)
    assert np.allclose(together[1].mesh.bounds, alone.mesh.bounds, atol=1e-4)
    assert not np.allclose(together[0].pose.t, alone.pose.t, atol=1e-3)


def test_the_same_seeds_give_the_same_bytes_again(model, photo):
    first, again = ([*model.candidates(photo, [7, 8], TWO_STEPS)] for _ in range(2))
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a.mesh.vertices, b.mesh.vertices) and np.array_equal(a.pose.R, b.pose.R)


def test_a_batch_that_does_not_fit_is_halved_and_work_goes_on():
    asked = []

    def work(batch):
        asked.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [item * 10 for item in batch]

    assert list(in_batches(range(7), 5, work)) == [0, 10, 20, 30, 40, 50, 60]
    assert asked == [5, 2, 2, 2, 1]


def test_a_model_that_runs_out_of_memory_still_gives_every_candidate(model, photo, monkeypatch):
    whole, sizes = model._shapes, []

    def tight(cond, ready, seeds, how):
        sizes.append(len(seeds))
        if len(seeds) > 1:
            raise MemoryError
        return whole(cond, ready, seeds, how)

    monkeypatch.setattr(model, "_shapes", tight)
    assert [made.seed for made in model.candidates(photo, range(3), TWO_STEPS)] == [0, 1, 2]
    assert sizes == [3, 1, 1, 1]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_memory_that_does_not_even_do_for_one_is_said(error):
    def work(batch):
        raise error

    with pytest.raises(BadInput, match="not enough memory for a single candidate"):
        list(in_batches([1, 2, 3], 3, work))


def test_another_error_of_the_model_is_not_taken_for_a_lack_of_memory():
    def work(batch):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        list(in_batches([1, 2], 2, work))


def test_few_steps_are_told_their_size_and_run_without_guidance():
    assert DISTILLED.geometry == {"steps": 4, "strength": 0.0, "d": 0.25}
    with pytest.raises(BadInput, match="at least one step"):
        Sampling(steps=0)


def test_a_distilled_checkpoint_is_sampled_as_it_was_made_for(start, tmp_path, model):
    folder = tmp_path / "distilled"
    folder.mkdir()
    for name in ("weights.safetensors", "config.json"):
        (folder / name).symlink_to(start / name)
    (folder / "card.json").write_text('{"stage": "distill"}')
    assert Sam3D(folder).sampling == DISTILLED and model.sampling == Sampling()


def test_an_empty_mask_is_one_line(model, photo):
    rgb, mask, points = photo
    with pytest.raises(BadInput, match="mask is empty"):
        list(model.candidates((rgb, np.zeros_like(mask), points), [0], TWO_STEPS))
