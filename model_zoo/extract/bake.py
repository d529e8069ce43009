"""Baking a texture in closed form: pictures projected onto the texels that they see, weighted by how squarely.

sam3d_model.md section 17 in place of an optimisation. All in the GLB's frame (y-up); colours are sRGB in 0..1. What no
picture shows keeps its own colour, or takes that of the nearest seen texel of the object or of its mirror image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from PIL import Image
from scipy import ndimage
from scipy.spatial import cKDTree
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from model_zoo.extract.unwrap import Texels
from model_zoo.io.errors import BadInput
from model_zoo.io.poses import Pose
from model_zoo.render import RayTree, base_colour, face_colour_lookup

RIM = 4.0  # pixels within the outline over which a picture gains its full say
LEAST_SQUARE = 0.15  # cosine at which a surface is seen too slantingly to take colours from
LIFT = 2e-4  # of a texel off its surface, of the longest side
ENOUGH = 0.05  # weight at which pictures and own colour have equal say; from twice that on only pictures have
NEIGHBOURS = 4
NORMAL_WORTH = 0.3  # how far away, of the longest side, a texel is that looks the opposite way
MIRROR = np.array([-1, 1, 1, -1, 1, 1])  # of a place and its normal, in x
MEAN_OF, FAR = 24, 0.12  # samples of a mean, and how far, of the longest side, it is all there is
SAMPLES, BLOCK = 10_000, 8  # seen texels among which patches look, and texels along their side


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of the posed mesh: rgb (H,W,3) in 0..1, trust (H,W) in 0..1, camera K (3,3) and the mesh's pose."""

    rgb: np.ndarray
    trust: np.ndarray
    K: np.ndarray
    pose: Pose

    @classmethod
    def of(cls, rgb: np.ndarray, mask: np.ndarray, K: np.ndarray, pose: Pose) -> Picture:
        """From uint8 or float rgb (H,W,3) and the object's bool mask (H,W), trusted less towards its outline."""
        if rgb.shape[:2] != mask.shape or rgb.shape[2:] != (3,):
            raise BadInput(f"a picture of {rgb.shape} does not fit a mask of {mask.shape}")
        colours = rgb / 255.0 if rgb.dtype == np.uint8 else np.asarray(rgb, float)
        padded = np.pad(mask.astype(bool), 1)
        inside = ndimage.distance_transform_edt(padded)[1:-1, 1:-1]
        return cls(colours, np.clip((inside - 1) / RIM, 0, 1), np.asarray(K, float), pose)


def textured(
    mesh: trimesh.Trimesh, texels: Texels, *, own: np.ndarray | None = None, pictures: Sequence[Picture] = ()
) -> trimesh.Trimesh:
    """An unwrapped mesh with its baked base colour texture, roughness 1, not metallic.

    `own` (N,3) are colours of the texels that hold where no picture says otherwise. Raises BadInput when there are
    neither own colours nor a picture that sees any of the mesh.
    """
    seen, weight = _projected(mesh, texels, pictures)
    if own is None:
        colours = _spread(mesh, texels, seen, weight)
    else:
        share = np.clip(weight / (2 * ENOUGH), 0, 1)[:, None]
        colours = share * seen + (1 - share) * own
    material = PBRMaterial(
        baseColorTexture=Image.fromarray(_image(texels, colours)), roughnessFactor=1.0, metallicFactor=0.0
    )
    made = mesh.copy()
    made.visual = TextureVisuals(uv=np.asarray(mesh.visual.uv), material=material)
    return made


def own_colours(mesh: trimesh.Trimesh, texels: Texels) -> np.ndarray | None:
    """Colours (N,3) of the texels from the colours or the texture that a mesh had before it was unwrapped, or None."""
    visual = mesh.visual
    if visual.kind == "texture" and base_colour(visual.material)[0] is None:
        return None
    if visual.kind is None:
        return None
    return face_colour_lookup(mesh)(texels.face, texels.weights) / 255


def _projected(
    mesh: trimesh.Trimesh, texels: Texels, pictures: Sequence[Picture]
) -> tuple[np.ndarray, np.ndarray]:
    """The weighted mean colour (N,3) of the pictures that see each texel, and the sum of their weights (N,)."""
    tree = RayTree(mesh)
    lifted = texels.points + LIFT * float(np.ptp(tree.bounds, axis=0).max()) * texels.normals
    total, weight = np.zeros((len(lifted), 3)), np.zeros(len(lifted))
    for picture in pictures:
        pose = picture.pose
        origin = (-pose.t @ pose.R) / pose.s
        away = origin - texels.points
        square = np.einsum("ij,ij->i", away, texels.normals) / np.maximum(np.linalg.norm(away, axis=1), 1e-12)
        camera = pose.apply(texels.points)
        some = np.flatnonzero((square > LEAST_SQUARE) & (camera[:, 2] > 0))
        pixel = camera[some] @ picture.K.T
        at = (pixel[:, 1] / pixel[:, 2], pixel[:, 0] / pixel[:, 2])
        trust = ndimage.map_coordinates(picture.trust, at, order=1, mode="constant")
        some, at, trust = some[trust > 0], tuple(c[trust > 0] for c in at), trust[trust > 0]
        visible = tree.seen_from(origin, lifted[some])
        share = trust * visible * ((square[some] - LEAST_SQUARE) / (1 - LEAST_SQUARE)) ** 2
        for channel in range(3):
            colour = ndimage.map_coordinates(picture.rgb[..., channel], at, order=1, mode="nearest")
            total[some, channel] += share * colour
        weight[some] += share
    return total / np.maximum(weight, 1e-12)[:, None], weight


def _spread(mesh: trimesh.Trimesh, texels: Texels, seen: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Seen colours (N,3), carried on to unseen texels from the nearest that look the same way, x mirrored or not.

    Small patches are carried on as a whole, so that what is near stays as sharp as it was seen; what is far from
    anything seen takes a mean instead.
    """
    known, unknown = np.flatnonzero(weight > ENOUGH), np.flatnonzero(weight <= ENOUGH)
    if not len(known):
        raise BadInput("no picture sees the mesh, and it has no colours of its own", "no_colours")
    if not len(unknown):
        return seen
    low, high = np.asarray(mesh.bounds)
    size, middle = (high - low).max(), np.array([(low[0] + high[0]) / 2, 0, 0])
    place = np.hstack([texels.points - middle, NORMAL_WORTH / 2 * size * texels.normals])
    some = known[:: len(known) // SAMPLES + 1]
    first, patch = _patches(texels, unknown)
    tree = cKDTree(np.vstack([place[some], place[some] * MIRROR]))
    far, nearest = tree.query(place[first], k=min(MEAN_OF, 2 * len(some)), workers=-1)
    smooth = _mixed(seen[some], nearest % len(some), far**2 + 1e-4 * size**2)[patch]
    across = np.where(nearest[:, :1] >= len(some), MIRROR[:3], 1)[patch]
    source = place[some][nearest[:, 0] % len(some), :3][patch]
    source += across * (place[unknown] - place[first][patch])[:, :3]
    close, nearest = cKDTree(place[known, :3]).query(source, k=min(NEIGHBOURS, len(known)), workers=-1)
    sharp = _mixed(
        seen[known], nearest.reshape(len(source), -1), close.reshape(len(source), -1) + 1e-4 * size
    )
    share = np.clip(far[patch, :1] / (FAR * size), 0, 1)
    result = seen.copy()
    result[unknown] = (1 - share) * sharp + share * smooth
    return result


def _patches(texels: Texels, some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One texel of each patch of `some` texels (N,), and the number of each one's patch (N,): same face, same block."""
    blocks = -(-texels.side // BLOCK)
    block = texels.row[some] // BLOCK * blocks + texels.column[some] // BLOCK
    key = texels.face[some].astype(np.int64) * blocks**2 + block
    _, first, patch = np.unique(key, return_index=True, return_inverse=True)
    return some[first], patch


def _mixed(colours: np.ndarray, index: np.ndarray, far: np.ndarray) -> np.ndarray:
    """Means (N,3) of colours at `index` (N,k), each the more the less far (N,k) it is."""
    share = 1 / far
    return np.einsum("nk,nkd->nd", share / share.sum(1, keepdims=True), colours[index])


def _image(texels: Texels, colours: np.ndarray) -> np.ndarray:
    """The texture uint8 (side, side, 3); between charts it continues with the nearest texel."""
    image = np.zeros((texels.side, texels.side, 3), np.uint8)
    image[texels.row, texels.column] = np.clip(colours * 255 + 0.5, 0, 255).astype(np.uint8)
    empty = np.ones(image.shape[:2], bool)
    empty[texels.row, texels.column] = False
    nearest = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
    return image[nearest[0], nearest[1]]
