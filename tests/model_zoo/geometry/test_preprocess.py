"""The network's border: what is broken is refused in one line, or becomes what the docstring says."""

import numpy as np
import pytest
import torch

from model_zoo.geometry.embedder import ConditionEmbedder
from model_zoo.geometry.preprocess import prepare, prepare_photo
from model_zoo.geometry.recipes import tiny
from model_zoo.io.errors import BadInput

H, W, SIZE = 40, 60, tiny().embedder.image_size


def photo(**change):
    """rgb, mask and pointmap of a disc before a slanted wall, with parts exchanged."""
    v, u = np.mgrid[:H, :W]
    mask = (u - 30) ** 2 + (v - 20) ** 2 < 100
    depth = np.where(mask, 2.0, 3 + 0.01 * u)
    points = np.stack([(u - 30) / 50 * depth, (v - 20) / 50 * depth, depth], -1).astype(np.float32)
    rgb = np.random.default_rng(0).integers(0, 256, (H, W, 3), dtype=np.uint8)
    given = {"rgb": rgb, "mask": mask, "pointmap": points, **change}
    return given["rgb"], given["mask"], given["pointmap"]


def with_points(where, value):
    points = photo()[2]
    points[where] = value
    return photo(pointmap=points)


def huge(shape, dtype, value=0):
    """An array that claims to be huge and takes no memory."""
    return np.broadcast_to(np.array(value, dtype), shape)


MASK = photo()[1]
ONE_PIXEL = np.zeros((H, W), bool)
ONE_PIXEL[3, 4] = True
BIG = (20_000, 20_000)
REFUSED = {
    "an empty mask": (photo(mask=np.zeros((H, W), bool)), "mask is empty"),
    "a mask of one pixel": (photo(mask=ONE_PIXEL), "smaller than 3 pixels"),
    "a mask of another size": (photo(mask=np.ones((H, W + 1), bool)), "image is 60x40 but mask is 61x40"),
    "a mask of three channels": (photo(mask=np.ones((H, W, 3), bool)), "but mask is"),
    "a soft mask": (photo(mask=(MASK * 128).astype(np.uint8)), "bool, 0 and 1, or 0 and 255"),
    "a mask of fractions": (photo(mask=MASK * 0.7), "bool, 0 and 1, or 0 and 255"),
    "a picture of one pixel": (
        (np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), bool), np.ones((1, 1, 3), np.float32)),
        "smaller than 3 pixels",
    ),
    "a picture of no pixels": (photo(rgb=np.zeros((0, 0, 3), np.uint8)), "no pixels"),
    "a picture of 20,000 x 20,000": (
        (huge((*BIG, 3), np.uint8), huge(BIG, bool, True), huge((*BIG, 3), np.float32)),
        "too large",
    ),
    "a pointmap of 20,000 x 20,000": (photo(pointmap=huge((*BIG, 3), np.float32)), "too large"),
    "a grey picture": (photo(rgb=np.zeros((H, W), np.uint8)), "uint8"),
    "a picture in 0..1": (photo(rgb=np.zeros((H, W, 3), np.float32)), "uint8"),
    "a depth map for a pointmap": (photo(pointmap=photo()[2][..., 2]), "pointmap must hold numbers"),
}
NO_OBJECT_POINTS = {
    "all NaN": with_points(np.s_[:], np.nan),
    "all inf": with_points(np.s_[:], np.inf),
    "infinite depth": with_points(np.s_[..., 2], np.inf),
    "NaN where the object is": with_points(MASK, np.nan),
    "beyond all measure": with_points(np.s_[:], 3e38),
}
HOLES = {
    "NaN": with_points(np.s_[15:18], np.nan),
    "inf": with_points(np.s_[15:18], np.inf),
    "minus inf in one coordinate": with_points(np.s_[15:18, :, 0], -np.inf),
    "beyond all measure": with_points(np.s_[15:18], 3e38),
}


@pytest.fixture(scope="module")
def embedder():
    torch.manual_seed(0)
    net = ConditionEmbedder(tiny().embedder)
    net.initialise()
    return net.eval()


def tokens(embedder, ready):
    with torch.no_grad():
        return embedder({n: v[None] for n, v in ready.views.items()})


@pytest.mark.parametrize("what", REFUSED)
def test_it_refuses_in_one_line(what):
    given, message = REFUSED[what]
    with pytest.raises(BadInput, match=message) as refusal:
        prepare_photo(*given, SIZE)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("what", NO_OBJECT_POINTS)
def test_an_object_without_points_has_scale_one_and_shift_zero(what, embedder):
    ready = prepare_photo(*NO_OBJECT_POINTS[what], SIZE)
    assert ready.scale.tolist() == [1, 1, 1] and ready.shift.tolist() == [0, 0, 0]
    assert tokens(embedder, ready).isfinite().all()


@pytest.mark.parametrize("what", HOLES)
def test_every_kind_of_hole_is_the_same_hole(what, embedder):
    ready, plain = prepare_photo(*HOLES[what], SIZE), prepare_photo(*HOLES["NaN"], SIZE)
    assert torch.equal(ready.scale, plain.scale) and torch.equal(ready.shift, plain.shift)
    assert torch.equal(tokens(embedder, ready), tokens(embedder, plain))


@pytest.mark.parametrize("mask", [MASK.astype(np.uint8), MASK * np.uint8(255), MASK.astype(np.int64)])
def test_masks_of_zero_and_one_or_255_are_the_same_mask(mask):
    ready, plain = prepare_photo(*photo(mask=mask), SIZE), prepare_photo(*photo(), SIZE)
    assert torch.equal(ready.views["mask"], plain.views["mask"]) and torch.equal(ready.scale, plain.scale)


def test_a_zero_one_mask_divided_by_255_is_refused():
    rgb, mask = torch.rand(3, H, W), torch.from_numpy(MASK)[None] / 255
    with pytest.raises(BadInput, match="divided by 255"):
        prepare(rgb, mask, torch.ones(3, H, W), SIZE)


def test_infinite_points_leave_the_scale_of_a_pointmap_as_it_is(embedder):
    rgb, mask, points = photo()
    given = torch.from_numpy(points).permute(2, 0, 1).clone()
    given[:, :4] = float("inf")
    ready = prepare(
        torch.from_numpy(rgb).permute(2, 0, 1) / 255, torch.from_numpy(mask)[None].float(), given, SIZE
    )
    assert ready.scale.isfinite().all() and ready.scale[0] > 0
    assert tokens(embedder, ready).isfinite().all()


def test_a_pointmap_of_another_size_is_resized():
    rgb, mask, points = photo()
    ready = prepare_photo(rgb, mask, points[::2, ::2], SIZE)
    assert torch.allclose(ready.shift, prepare_photo(rgb, mask, points, SIZE).shift, atol=0.05)
