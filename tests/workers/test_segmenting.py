"""Clicks and boxes of a select assignment become polygons that the mask API takes, or a line for the person."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.utils import timezone

from backend import jobs, storage
from backend.accounts.models import User
from backend.annotation.intake import enqueue
from backend.annotation.models import Assignment, Task
from backend.catalog.models import Image, TargetObject
from backend.models import Job
from model_zoo.io.images import encode_png
from model_zoo.io.segmentations import rasterise_polygons
from model_zoo.segment.simulate import iou
from tests.backend import world
from tests.model_zoo.segment.pictures import disc, painted, write_sam
from workers import segmenting

pytestmark = pytest.mark.django_db
SIZE = (320, 240)
TRUTH = disc(SIZE, (150, 110), 50) & ~disc(SIZE, (140, 110), 18)


@pytest.fixture(autouse=True)
def fresh() -> None:
    segmenting.segmenter_of.cache_clear()
    segmenting.prepared.cache_clear()


@pytest.fixture
def assignment() -> Assignment:
    """Ada is to select the orange ring in a photo."""
    photo = storage.put(encode_png(painted(TRUTH)), "image/png")
    image = Image.objects.create(blob=photo, display=photo, width=SIZE[0], height=SIZE[1], name="ring")
    target, batch = TargetObject.objects.create(image=image), world.batch()
    enqueue(batch, [target])
    return Assignment.objects.create(
        task=Task.objects.get(object=target),
        user=User.objects.create(username="ada"),
        batch=batch,
        stage="select",
        state="active",
        key=uuid4(),
        lease_until=timezone.now(),
    )


def segment(assignment: Assignment, **prompt: Any) -> dict[str, Any]:
    args = {"assignment": assignment.pk, "positive": [], "negative": [], "box": None, **prompt}
    return segmenting.segment_job(Job(kind="segment", queue="interactive", args=args))


def test_a_click_becomes_polygons_of_the_object(assignment: Assignment) -> None:
    result = segment(assignment, positive=[[185, 110]], negative=[[140, 110]])
    mask = rasterise_polygons(result["polygons"], SIZE)
    assert iou(mask, TRUTH) > 0.85 and not mask[110, 140]
    assert result["segmenter"] == "builtin" and 0 < result["score"] <= 1 and result["seconds"] > 0


def test_a_box_does_too(assignment: Assignment) -> None:
    result = segment(assignment, box=[98, 62, 203, 158])
    assert iou(rasterise_polygons(result["polygons"], SIZE), TRUTH) > 0.6


def test_the_polygons_are_the_segmenters_mask(assignment: Assignment) -> None:
    result = segment(assignment, positive=[[185, 110]])
    segmenter = segmenting.segmenter_of("")
    state = segmenting.prepared(assignment.task.object.image.display_id, "")
    mask = segmenter.segment(
        state, segmenting.prompt_of({"positive": [[185, 110]], "negative": [], "box": None})
    ).mask
    assert iou(rasterise_polygons(result["polygons"], SIZE), mask) >= 0.98


def test_a_photo_is_prepared_once(assignment: Assignment) -> None:
    for x in (185, 115, 150):
        segment(assignment, positive=[[x, 110 if x != 150 else 145]])
    counts = segmenting.prepared.cache_info()
    assert (counts.misses, counts.hits) == (1, 2)


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ({"positive": [[320, 10]]}, "outside the photo"),
        ({"box": [400, 10, 500, 20]}, "box is empty or lies outside"),
        ({"positive": [["x", 1]]}, "clicks are"),
        ({"positive": [[1, 2, 3]]}, "clicks are"),
        ({"positive": 5}, "clicks are"),
        ({"box": [1, 2, 3]}, "a box is"),
        ({"positive": [[1, 1]] * 201}, "too many clicks"),
    ],
)
def test_an_unfit_prompt_is_the_persons_to_correct(assignment: Assignment, prompt: dict, reason: str) -> None:
    with pytest.raises(jobs.UserError, match=reason):
        segment(assignment, **prompt)


def test_no_prompt_only_makes_the_photo_ready(assignment: Assignment) -> None:
    assert segment(assignment)["polygons"] == []
    segment(assignment, positive=[[185, 110]])
    assert segmenting.prepared.cache_info().misses == 1


def test_sam_is_used_where_its_folder_is_named(assignment: Assignment, settings: Any, tmp_path: Path) -> None:
    settings.SAM_WEIGHTS = str(write_sam(tmp_path / "sam"))
    result = segment(assignment, positive=[[185, 110]])
    assert result["segmenter"] == "sam" and rasterise_polygons(result["polygons"], SIZE)[110, 185]


def test_an_empty_result_says_what_to_do(
    assignment: Assignment, settings: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    settings.SAM_WEIGHTS = str(write_sam(tmp_path / "sam"))
    sam = segmenting.segmenter_of(settings.SAM_WEIGHTS)
    monkeypatch.setattr(sam, "segment", lambda state, prompt: nothing(sam, state))
    with pytest.raises(jobs.UserError, match="nothing was found there"):
        segment(assignment, positive=[[185, 110]])


def nothing(sam: Any, state: Any) -> Any:
    """What a segmenter gives that finds no object."""
    return type("Segmentation", (), {"mask": np.zeros((SIZE[1], SIZE[0]), bool), "score": 0.0})


def test_missing_weights_are_told_in_one_line(assignment: Assignment, settings: Any, tmp_path: Path) -> None:
    settings.SAM_WEIGHTS = str(tmp_path)
    with pytest.raises(jobs.UserError, match="no file"):
        segment(assignment, positive=[[185, 110]])
