"""Which files make which scene, told from their names or a manifest, before any picture is read."""

import posixpath
import re
from typing import Any

from model_zoo.io.coco import plan_coco
from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.plan import Plan, PlanRefusal, Plans, category_of, text_of
from model_zoo.io.records import parse_jsonl
from model_zoo.io.sniff import describe, kind_of
from model_zoo.io.sources import Source, check_relative

IMAGE = r"(?:jpe?g|png|webp)"
SIDECAR = re.compile(
    rf"^(?P<stem>.+)\.(?:mask_(?P<mask>[^/]+)\.(?:{IMAGE}|json)|(?P<kind>depth|pointmap|camera|objects)\."
    r"(?:png|npy|npz|json|jpe?g))$",
    re.IGNORECASE,
)
COLOR = re.compile(rf"^colou?r\.{IMAGE}$", re.IGNORECASE)
KNOWN_MESH = re.compile(r"mesh_.+\.(glb|obj|ply|stl|zip)$", re.IGNORECASE)  # what objects.json refers to
FOLDER_SIDECAR = re.compile(
    rf"^(?:mask_(?P<mask>.+)\.(?:{IMAGE}|json)|(?P<kind>depth|pointmap|camera|objects)\."
    r"(?:png|npy|npz|json|jpe?g))$",
    re.IGNORECASE,
)
MANIFEST = "manifest.jsonl"
PAPERS = re.compile(
    r"(?:^|/)(?:licen[cs]es?/.*|(?:readme|licen[cs]e|attribution|copying|notice)[^/]*|[^/]*\.md)$",
    re.IGNORECASE,
)
SCENE_KINDS = {"photo", "image", "rgbd", "background", "rgbd_background"}
JSON_HEAD = re.compile(rb'"annotations"\s*:')


def plan_files(files: Source, *, look: bool = True) -> Plans:
    """Scenes of a folder or ZIP by the names of its files, with licences, consent and hashes of a manifest.jsonl at its top.

    look: whether to open files that are no sidecars to see what they are, or to trust the endings of images.
    """
    rows = _manifest_rows(files)
    claimed: set[str] = set()
    if look:
        for plan in _plan_every_coco(files, claimed):
            yield plan
    folders: dict[str, list[str]] = {}
    for name in files.names:
        if name not in claimed:
            folders.setdefault(posixpath.dirname(name), []).append(name)
    for folder, names in sorted(folders.items()):
        color = next((name for name in names if COLOR.match(posixpath.basename(name))), None)
        plans = _plan_scene_folder(files, folder, names, color) if color else _plan_flat(files, names, look)
        for plan in plans:
            yield _with_row(plan, rows) if isinstance(plan, Plan) else plan


def _plan_every_coco(files: Source, claimed: set[str]) -> Plans:
    """Scenes of every COCO JSON among the files; these and their images are added to `claimed`."""
    for name in files.names:
        if (
            not name.lower().endswith(".json")
            or SIDECAR.match(name)
            or FOLDER_SIDECAR.match(posixpath.basename(name))
        ):
            continue
        try:
            data = files.read(name)
            if kind_of(data) != "json" or not JSON_HEAD.search(data):
                continue
            claimed.add(name)
            for plan in plan_coco(files, data, name):
                claimed.update([plan.image] if isinstance(plan, Plan) else [])
                yield plan
        except BadInput as error:
            claimed.add(name)
            yield PlanRefusal(safe_text(name, 255), error.message)


def _manifest_rows(files: Source) -> dict[str, dict[str, Any]]:
    name = next((name for name in files.names if name.lower() == MANIFEST), None)
    if name is None:
        return {}
    try:
        return {
            str(row.get("path")): row
            for row in parse_jsonl(files.read(name), what="manifest.jsonl", lenient=True).rows
        }
    except BadInput:
        return {}


def _with_row(plan: Plan, rows: dict[str, dict[str, Any]]) -> Plan:
    row = rows.get(plan.image, {})
    plan.licence = text_of(row, "licence") or text_of(row, "license")
    plan.attribution, plan.consent = text_of(row, "attribution"), text_of(row, "consent")
    named = [plan.image, plan.depth, plan.pointmap, plan.camera, plan.objects, *plan.masks.values()]
    for name in named:
        if isinstance(name, str) and isinstance(rows.get(name, {}).get("sha256"), str):
            plan.hashes[name] = rows[name]["sha256"]
    return plan


def _plan_scene_folder(files: Source, folder: str, names: list[str], color: str) -> Plans:
    plan = Plan(safe_text(folder or files.title, 255), color)
    for name in names:
        found = FOLDER_SIDECAR.match(posixpath.basename(name))
        if found:
            _add_sidecar(plan, found, name)
        elif name != color and not _is_paper(name) and not KNOWN_MESH.match(posixpath.basename(name)):
            yield PlanRefusal(
                safe_text(name, 255),
                "not a file of a scene folder (color, depth, camera, mask_NAME, pointmap, objects)",
            )
    yield plan


def _add_sidecar(plan: Plan, found: re.Match[str], name: str) -> None:
    if found["mask"] is not None:
        mask = safe_text(found["mask"])
        while mask in plan.masks:
            mask += "_2"
        plan.masks[mask] = name
        plan.categories[mask] = category_of(mask)
    else:
        setattr(plan, found["kind"].lower(), name)


def _plan_flat(files: Source, names: list[str], look: bool) -> Plans:
    """Images of one folder with the sidecars of their stems."""
    sidecars: dict[str, list[tuple[re.Match[str], str]]] = {}
    others = []
    for name in names:
        found = SIDECAR.match(name)
        if found:
            sidecars.setdefault(found["stem"], []).append((found, name))
        elif not _is_paper(name):
            others.append(name)
    for name in others:
        fault = _fault(files, name) if look else ""
        if fault:
            yield PlanRefusal(safe_text(name, 255), fault)
        elif look or re.search(rf"\.{IMAGE}$", name, re.IGNORECASE):
            yield _plan_image(name, sidecars)
    for left in sidecars.values():
        for _, name in left:
            yield PlanRefusal(safe_text(name, 255), "there is no image that this file belongs to")


def _fault(files: Source, name: str) -> str:
    """Why the file is no photograph; empty when it is one."""
    try:
        data = files.read(name)
    except BadInput as error:
        return error.message
    kind = kind_of(data)
    if kind == "empty":
        return "the file is empty"
    return "" if kind == "image" else f"not a photograph: this is {describe(data)}"


def _plan_image(name: str, sidecars: dict[str, list[tuple[re.Match[str], str]]]) -> Plan:
    stem = name.rpartition(".")[0] or name
    plan = Plan(safe_text(stem, 255), name)
    for found, sidecar in sidecars.pop(stem, []):
        _add_sidecar(plan, found, sidecar)
    return plan


def _is_paper(name: str) -> bool:
    return posixpath.basename(name).lower() == MANIFEST or PAPERS.search(name) is not None


def plan_manifest(files: Source, data: bytes) -> Plans:
    """Scenes of a JSONL manifest: a row has "path" (or "image") and maybe masks, depth, camera, pointmap, objects,
    sha256, licence, attribution, consent; what it does not name is found beside the image."""
    records = parse_jsonl(data, what="manifest")
    rows: dict[str, dict[str, Any]] = {}
    for row in records.rows:
        rows.setdefault(str(row.get("path", row.get("image"))), row)
    beside = (
        {plan.image: plan for plan in plan_files(files, look=False) if isinstance(plan, Plan)} if rows else {}
    )
    seen = set()
    for row, line in zip(records.rows, records.lines, strict=True):
        if str(row.get("kind") or "photo") not in SCENE_KINDS:
            continue
        try:
            plan = _plan_row(row, beside)
            if plan.image in seen:
                raise BadInput("the same image comes twice", "duplicate")
        except BadInput as error:
            name = row.get("path", row.get("image"))
            yield PlanRefusal(f"line {line}" if name is None else safe_text(name, 255), error.message)
            continue
        seen.add(plan.image)
        plan.warnings += records.warnings if len(seen) == 1 else []
        yield _with_row(plan, rows)


def _plan_row(row: dict[str, Any], beside: dict[str, Plan]) -> Plan:
    image = check_relative(row.get("path", row.get("image")))
    plan = beside.get(image) or Plan(safe_text(image.rpartition(".")[0] or image, 255), image)
    masks = row.get("masks")
    if masks:
        plan.masks, plan.categories = {}, {}
        for name, path in _row_masks(masks):
            plan.masks[name] = check_relative(path)
            plan.categories[name] = category_of(name)
    for kind in ("depth", "pointmap", "camera", "objects"):
        if isinstance(row.get(kind), str) and row[kind]:
            setattr(plan, kind, check_relative(row[kind]))
    if row.get("pointmap_source") in ("sensor", "model", "fallback"):
        plan.pointmap_source = row["pointmap_source"]
    if isinstance(row.get("category"), str):
        plan.categories = dict.fromkeys(plan.masks or ["object"], safe_text(row["category"]))
    return plan


def _row_masks(masks: Any) -> list[tuple[str, Any]]:
    """(name, path) from {"cup": "a.png"}, ["a.png"] or [{"instance": "cup", "path": "a.png"}]."""
    if isinstance(masks, dict):
        return list(masks.items())
    if not isinstance(masks, list):
        raise BadInput("masks must be a list or an object", "bad_manifest")
    found = []
    for number, mask in enumerate(masks, 1):
        path = mask.get("path") if isinstance(mask, dict) else mask
        match = re.search(r"mask_([^/]+)\.[a-z]+$", str(path), re.IGNORECASE)
        name = mask.get("instance") if isinstance(mask, dict) else None
        found.append((safe_text(name or (match[1] if match else f"object_{number}")), path))
    return found
