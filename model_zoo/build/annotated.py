"""Rows of an SFT release as photos of a build: what people accepted, for OS-A."""

import hashlib
from collections.abc import Iterator

from model_zoo.build.kinds import PhotoItem, Refused
from model_zoo.data.reader import DataSet
from model_zoo.io.depth import decode_pointmap
from model_zoo.io.errors import BadInput
from model_zoo.io.images import load_image, load_mask
from model_zoo.io.poses import Pose
from model_zoo.io.scenes import CUT_OUT, LoadedPointmap, Scene


def release_photos(release: DataSet) -> Iterator[PhotoItem | Refused]:
    """Every row of an SFT release as a photo with one object; files holds the number of the row.

    A row without pose or pointmap is refused: OS-A needs both. Raises BadInput for a release of another kind.
    """
    release.require("sft")
    for number in range(len(release)):
        row, name = release.row(number), f"{release.name}: sample {release.id(number)}"
        if any(row.get(part) is None for part in "Rts"):
            yield Refused(name, "no_pose", "the row has no pose")
        elif (span := release.spans["image"].at(number)) is None:
            yield Refused(name, "no_photo", "the row has no photo")
        elif "pointmap" not in release.spans or release.spans["pointmap"].at(number) is None:
            yield Refused(name, "no_pointmap", "the row has no pointmap")
        else:
            try:
                sha256 = span.sha256.hex() if span.sha256 else _sha256(release.member(number, "image"))
            except BadInput as error:
                yield Refused.of(name, error)
                continue
            said = {key: row.get(key) or "" for key in ("licence", "attribution", "mesh_licence")}
            yield PhotoItem(name, sha256, {"row": number}, r=row.get("r"), **said)


def _sha256(data: bytes | None) -> str:
    return hashlib.sha256(data or b"").hexdigest()


def release_scene(release: DataSet, item: PhotoItem) -> Scene:
    """The scene of an item of release_photos: its object's mask, category, mesh and pose. Raises BadInput."""
    number = int(item.files["row"])
    sample = release.sample(number)
    image = load_image(sample["image"])
    points, camera = decode_pointmap(sample["pointmap"])
    if points.shape[:2] != image.rgb.shape[:2]:
        raise BadInput("the pointmap is not of the photo's size", "pointmap_size")
    pose = sample.pose()
    if pose is None:
        raise BadInput("the row has no pose", "no_pose")
    return Scene(
        item.name,
        sample["image"],
        image,
        masks={CUT_OUT: load_mask(sample["mask"], image.size).mask},
        categories={CUT_OUT: sample.row.get("category") or ""},
        pointmap=LoadedPointmap(points),
        camera=camera,
        truths={CUT_OUT: (sample["mesh"], Pose(*pose))},
        licence=item.licence,
        attribution=item.attribution,
    )
