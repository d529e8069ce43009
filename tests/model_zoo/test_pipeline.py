"""Both stages as one pipeline: a candidate is its seed's own, memory that runs out halves the batch, faults are one line."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from model_zoo import checkpoint
from model_zoo.geometry.embedder import share_backbones
from model_zoo.io.errors import BadInput
from model_zoo.pipeline import DISTILLED, Sam3D, Sampling, in_batches
from tests.model_zoo.releases import targets

TWO_STEPS = Sampling(steps=2, texture_steps=2)


@pytest.fixture(scope="module")
def photo():
    target, _ = targets(1)[0]
    return target.rgb, target.mask, target.pointmap


@pytest.fixture(scope="module")
def model(start):
    return Sam3D(start)


def block(latent):
    """The occupancy of one little block, whatever the latent: surfaces of random weights take long."""
    logits = torch.full((1, 1, 16, 16, 16), -5.0)
    logits[..., 5:10, 6:9, 4:8] = 5.0
    return logits.expand(len(latent), -1, -1, -1, -1)


@pytest.fixture(scope="module")
def quick(start):
    """The first stage, which finds the same block always; poses are its own."""
    made = Sam3D(start)
    made.geometry.decode_shape = block
    return made


def test_a_candidate_is_its_seeds_own_whatever_it_is_made_with(model, photo):
    together = list(model.candidates(photo, [3, 4, 5], TWO_STEPS))
    (alone,) = model.candidates(photo, [4], TWO_STEPS)
    assert [made.seed for made in together] == [3, 4, 5]
    assert np.allclose(together[1].pose.t, alone.pose.t, atol=1e-5)
    assert np.allclose(together[1].mesh.bounds, alone.mesh.bounds, atol=1e-4)
    assert not np.allclose(together[0].pose.t, alone.pose.t, atol=1e-3)


def test_the_same_seeds_give_the_same_bytes_again(quick, photo):
    first, again = ([*quick.candidates(photo, [7, 8], TWO_STEPS)] for _ in range(2))
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


def test_a_model_that_runs_out_of_memory_still_gives_every_candidate(quick, photo, monkeypatch):
    whole, sizes = quick._shapes, []

    def tight(cond, ready, seeds, how):
        sizes.append(len(seeds))
        if len(seeds) > 1:
            raise MemoryError
        return whole(cond, ready, seeds, how)

    monkeypatch.setattr(quick, "_shapes", tight)
    assert [made.seed for made in quick.candidates(photo, range(3), TWO_STEPS)] == [0, 1, 2]
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


@pytest.fixture
def both(start, second):
    """Both stages, the first of which finds the same block always."""
    made = Sam3D(start, second)
    made.geometry.decode_shape = block
    return made


def test_the_second_stage_finishes_a_shape_with_colours(both, photo):
    first, again = (next(both.candidates(photo, seeds, TWO_STEPS)) for seeds in ([1, 2], [1]))
    assert first.mesh.visual.kind == "vertex" and first.mesh.is_watertight
    # The block's cells 5..9, 6..8, 4..7 of 16, z-up, as a y-up mesh.
    wanted = np.array([[5, 4, -9], [10, 8, -6]]) / 16 + [-0.5, -0.5, 0.5]
    assert np.allclose(first.mesh.bounds, wanted, atol=0.02)
    colours = np.asarray(first.mesh.visual.vertex_colors, int)
    assert len(np.unique(colours, axis=0)) > 10
    assert abs(colours - np.asarray(again.mesh.visual.vertex_colors, int)).max() <= 1


def test_a_texture_is_baked_when_it_is_asked_for(both, photo):
    (made,) = both.candidates(photo, [1], replace(TWO_STEPS, baked=64))
    assert made.mesh.visual.kind == "texture" and made.mesh.visual.material.baseColorTexture.size == (64, 64)


def test_stages_with_one_backbone_encode_the_photo_once(both, photo):
    stages, runs = (both.geometry.embedder, both.texture.embedder), []
    for first, other in zip(*[stage.module_list[:2] for stage in stages], strict=True):
        other.backbone.load_state_dict(first.backbone.state_dict())
    (apart,) = both.candidates(photo, [1], TWO_STEPS)
    share_backbones(*stages)
    for backbone in {module.backbone for module in stages[1].module_list[:2]}:
        backbone.register_forward_hook(lambda *_: runs.append(1))
    (together,) = both.candidates(photo, [1], TWO_STEPS)
    assert len(runs) == 2  # images and masks have different backbones here
    assert np.allclose(apart.mesh.vertices, together.mesh.vertices, atol=1e-5)
    assert np.array_equal(apart.mesh.visual.vertex_colors, together.mesh.visual.vertex_colors)


def test_a_second_stage_without_a_part_says_so_at_the_first_candidate(both, photo):
    both.texture.mesh_decoder = checkpoint.Absent("mesh_decoder")
    with pytest.raises(BadInput, match="this checkpoint has no mesh_decoder"):
        list(both.candidates(photo, [1, 2], TWO_STEPS))


def test_where_no_seed_gives_anything_the_reason_is_said(both, photo):
    both.geometry.decode_shape = lambda latent: torch.full((len(latent), 1, 16, 16, 16), -5.0)
    with pytest.raises(BadInput, match="no solid voxel"):
        list(both.candidates(photo, [1, 2], TWO_STEPS))


def test_half_precision_reaches_both_stages_and_stays_close(start, second, both, photo):
    half = Sam3D(start, second, dtype=torch.bfloat16)
    half.geometry.decode_shape = block
    assert half.texture.transformer.dtype == half.geometry.transformer.dtype == torch.bfloat16
    a, b = (next(model.candidates(photo, [1], TWO_STEPS)) for model in (both, half))
    assert np.allclose(a.pose.t, b.pose.t, rtol=0.1, atol=0.1) and np.allclose(
        a.mesh.bounds, b.mesh.bounds, atol=0.02
    )


def test_stages_of_different_resolution_are_refused(start, second, tmp_path):
    folder = tmp_path / "coarse"
    folder.mkdir()
    (folder / "weights.safetensors").symlink_to(second / "weights.safetensors")
    (folder / "card.json").write_text("{}")
    config = json.loads((second / "config.json").read_text())
    config["config"]["flow"]["resolution"] = 8
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match="do not fit: 16 voxels a side in the first, 8 in the second"):
        Sam3D(start, folder)


def test_an_empty_mask_is_one_line(model, photo):
    rgb, mask, points = photo
    with pytest.raises(BadInput, match="mask is empty"):
        list(model.candidates((rgb, np.zeros_like(mask), points), [0], TWO_STEPS))
