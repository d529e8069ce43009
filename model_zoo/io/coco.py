"""COCO instances JSON to plans of scenes: which image has which masks of which category."""

import posixpath
from typing import Any

from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.plan import Plan, PlanRefusal, Plans, text_of
from model_zoo.io.records import parse_json
from model_zoo.io.sources import Source, check_relative

ANNOTATIONS = "annotations"


def plan_coco(files: Source, data: bytes, name: str) -> Plans:
    """Scenes of a COCO instances JSON; images are looked for beside it and in folders below it. Raises BadInput."""
    value = parse_json(data, what="COCO JSON")
    if not isinstance(value, dict) or not all(
        isinstance(value.get(key), list) for key in ("images", "annotations")
    ):
        raise BadInput('COCO JSON: expected "images" and "annotations"', "bad_coco")
    categories, licences = _names_by_id(value.get("categories")), _names_by_id(value.get("licenses"))
    of_image: dict[Any, list[dict[str, Any]]] = {}
    for annotation in value["annotations"]:
        usable = isinstance(annotation, dict) and isinstance(annotation.get("image_id"), int | str)
        if usable and not annotation.get("iscrowd"):
            of_image.setdefault(annotation["image_id"], []).append(annotation)
    places = _coco_places(files, posixpath.dirname(name))
    return (_plan_coco_image(item, places, of_image, categories, licences) for item in value["images"])


def _names_by_id(items: Any) -> dict[Any, str]:
    rows = items if isinstance(items, list) else []
    return {
        row["id"]: text_of(row, "name")
        for row in rows
        if isinstance(row, dict) and isinstance(row.get("id"), int | str)
    }


def _coco_places(files: Source, folder: str) -> dict[str, str]:
    """File names of the source by every tail of their path below the JSON's folder, or beside its "annotations"."""
    if posixpath.basename(folder) == ANNOTATIONS:
        folder = posixpath.dirname(folder)
    places: dict[str, str] = {}
    for name in files.names:
        if not folder or name.startswith(folder + "/"):
            tail = name[len(folder) + 1 :] if folder else name
            while tail:
                places.setdefault(tail, name)
                tail = tail.partition("/")[2]
    return places


def _key(value: Any) -> int | str | None:
    return value if isinstance(value, int | str) else None


def _plan_coco_image(
    item: Any,
    places: dict[str, str],
    of_image: dict[Any, list[dict[str, Any]]],
    categories: dict[Any, str],
    licences: dict[Any, str],
) -> Plan | PlanRefusal:
    label = safe_text(item.get("file_name") if isinstance(item, dict) else item, 255)
    try:
        if not isinstance(item, dict):
            raise BadInput("not an object", "bad_coco")
        image = places.get(check_relative(item.get("file_name")))
        if image is None:
            raise BadInput("the image that the COCO JSON names is missing", "missing_file")
    except BadInput as error:
        return PlanRefusal(label, error.message)
    plan = Plan(
        safe_text(image.rpartition(".")[0] or image, 255),
        image,
        licence=licences.get(_key(item.get("license")), ""),
    )
    sides = (item.get("width"), item.get("height"))
    if all(type(side) is int for side in sides):
        plan.size = sides  # type: ignore[assignment]
    for annotation in of_image.get(_key(item.get("id")), []):
        category = categories.get(_key(annotation.get("category_id")), "")
        number = sum(category == known for known in plan.categories.values()) + 1
        mask = f"{category or 'object'}_{number}".replace(" ", "_")
        plan.masks[mask] = {"segmentation": annotation.get("segmentation")}
        plan.categories[mask] = category
    return plan
