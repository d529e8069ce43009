"""Layout optimisation: a sampled pose comes to agree with mask and depth, or comes back as it was with the reason."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from model_zoo.finish import layout
from model_zoo.finish.fit_target import Target
from model_zoo.finish.layout import optimise
from model_zoo.io.poses import Pose
from model_zoo.library import make
from model_zoo.proposers.placing import camera_of
from model_zoo.render import intrinsics, render, view_rotation
from tests.model_zoo.finish.disturbed import Known, disturbed, errors, uneven

SIZE = (200, 160)
K = intrinsics(50, SIZE)
MESH = make("teapot", 2)
TRUTH = Pose(R=view_rotation(30, 25), t=np.array([0.03, 0.05, 0.9]), s=np.full(3, 1.3))


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    with layout.one_thread():
        yield


@pytest.fixture(scope="module")
def known():
    view = render(MESH, TRUTH, K, SIZE)
    return Known("teapot", MESH, TRUTH, view.points(K), view.mask, K)


@pytest.fixture(scope="module")
def start(known):
    return disturbed(known, np.random.default_rng(3))


@pytest.fixture(scope="module")
def found(known, start):
    return optimise(known.mesh, start, known.pointmap, known.mask)


def test_a_disturbed_pose_comes_back_to_the_truth_without_a_given_camera(known, found):
    turn, way, growth = errors(known, found.pose)
    assert found.accepted and not found.reason and found.iou > 0.97 > 0.75 > found.iou_before
    assert turn < 1.5 and way < 0.01 and growth < 0.01


def test_one_input_gives_one_result(known, start, found):
    again = optimise(known.mesh, start, known.pointmap, known.mask)
    assert np.array_equal(again.pose.matrix(), found.pose.matrix()) and again.iou == found.iou


def test_a_pose_that_cannot_be_bettered_comes_back_itself(known, found):
    again = optimise(known.mesh, found.pose, known.pointmap, known.mask)
    again = again if not again.accepted else optimise(known.mesh, again.pose, known.pointmap, known.mask)
    assert not again.accepted and "no pose with a better silhouette" in again.reason
    assert again.iou == again.iou_before


def test_the_polish_alone_finds_the_pose_too(known, start):
    target = Target(known.mesh, start, known.pointmap, known.mask, K)
    polished = layout._polished(target, start)
    assert polished.iou > 0.95 and errors(known, polished.pose)[1] < 0.02


def test_the_polish_betters_a_fit_on_an_uneven_pointmap(known, start):
    rough = uneven(known, np.random.default_rng(4))
    result = optimise(rough.mesh, start, rough.pointmap, rough.mask)
    assert result.accepted and result.iou > 0.96 and errors(known, result.pose)[0] < 6


@pytest.mark.parametrize(("name", "depth_weight"), [("hammer", 0.0), ("chair", 2.0)])
def test_the_gradient_is_that_of_drawing_the_mesh_anew(name, depth_weight, monkeypatch):
    monkeypatch.setattr(layout, "DEPTH_WEIGHT", depth_weight)
    mesh = make(name, 2)
    truth = Pose(TRUTH.R, TRUTH.t, np.full(3, 0.4 / max(mesh.extents)))
    view = render(mesh, truth, K, SIZE)
    turn = Rotation.from_euler("xyz", (20, -15, 25), degrees=True).as_matrix()
    start = Pose(turn @ truth.R, truth.t + [0.02, 0, 0.01], truth.s * 1.1)
    target = Target(mesh, start, view.points(K), view.mask, K)

    def loss(theta):
        """The loss of a moved pose, drawn anew, and its gradient."""
        move = layout._Move(start.apply(target.middle[None])[0], target.size, theta)
        found = layout._loss(target, move, move.pose(start), 2.0)
        return float(found.detach()), torch.autograd.grad(found, move.theta)[0]

    slope, step = loss(torch.zeros(7).double())[1].numpy(), 0.03
    # Whole pixels come and go where the mesh is drawn anew: a wide step evens that out.
    drawn = [(loss(step * u)[0] - loss(-step * u)[0]) / (2 * step) for u in torch.eye(7).double()]
    assert np.allclose(slope, drawn, rtol=0.2, atol=0.06) and np.abs(slope).max() > 0.3


def test_points_moved_and_moved_back_are_the_same_and_the_pose_moves_alike(known, start):
    move = layout._Move(np.array([0.1, 0.2, 1.0]), 0.5, torch.linspace(-0.3, 0.4, 7).double())
    points = torch.from_numpy(start.apply(known.mesh.vertices[:20]))
    assert torch.allclose(move.back(move(points)), points)
    assert np.allclose(move.pose(start).apply(known.mesh.vertices[:20]), move(points).detach())


def test_a_card_of_one_depth_leaves_the_rotation(known):
    flat = known.pointmap * (0.9 / known.pointmap[..., 2:])
    start = Pose(TRUTH.R, TRUTH.t + [0.05, 0.02, 0.1], TRUTH.s * 1.2)
    result = optimise(MESH, start, flat, known.mask)
    assert result.accepted and result.iou > 0.9
    assert Rotation.from_matrix(result.pose.R @ TRUTH.R.T).magnitude() < 1e-6


def broken(known, what):
    mask, points = known.mask.copy(), known.pointmap.copy()
    if what == "an empty mask":
        mask[:] = False
    elif what == "a mask at the border":
        mask[80:90, -layout.BORDER :] = True
    elif what == "a mask of another size":
        mask = mask[:-1]
    elif what == "no points on the object":
        points[mask] = np.nan
    elif what == "points of no camera":
        points[..., :2] = np.random.default_rng(0).normal(size=points[..., :2].shape) - points[..., :2]
    return mask, points


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("an empty mask", "empty"),
        ("a mask at the border", "border"),
        ("a mask of another size", "but the pointmap is"),
        ("no points on the object", "no points on the object"),
        ("points of no camera", "pinhole camera"),
    ],
)
def test_where_nothing_can_be_fitted_the_pose_comes_back_with_the_reason(known, start, what, reason):
    mask, points = broken(known, what)
    result = optimise(MESH, start, points, mask)
    assert result.pose is start and not result.accepted and reason in result.reason


def test_the_camera_of_a_pointmap_is_the_one_that_drew_it(known):
    assert np.allclose(camera_of(known.pointmap), K, rtol=1e-3)
