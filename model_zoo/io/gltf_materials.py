"""Materials of a glTF document: base colour, its texture, the few numbers beside it, and on request its other maps."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from model_zoo.io.errors import BadInput
from model_zoo.io.gltf_document import Document, numbers, object_of, whole
from model_zoo.io.surface import Material
from model_zoo.io.textures import MissingTexture, TextureReader

MAP_SIDE = 2048  # pixels; a map beside the base colour is shrunk to it
STEEPEST = 100.0  # times a normal map's x and y
WHITE = Image.new("RGB", (1, 1), (255, 255, 255))  # the base colour under maps that come without one
KEPT = {"metal and roughness": "metal_rough", "normal": "normal", "emission": "emission"}


@dataclass(frozen=True)
class Placing:
    """How a texture lies on a surface: its set of uv, and their scale, turn (radians) and offset."""

    uv_set: int = 0
    scale: tuple[float, ...] = (1.0, 1.0)
    turn: float = 0.0
    offset: tuple[float, ...] = (0.0, 0.0)

    @classmethod
    def of(cls, info: dict[str, Any]) -> "Placing":
        """That of a texture reference (KHR_texture_transform). Raises BadInput."""
        fields = object_of(object_of(info, "extensions"), "KHR_texture_transform")
        return cls(
            whole(fields, "texCoord", whole(info, "texCoord", 0)),
            tuple(numbers(fields, "scale", 2, [1, 1])),
            numbers({"rotation": [fields.get("rotation", 0)]}, "rotation", 1, [0])[0],
            tuple(numbers(fields, "offset", 2, [0, 0])),
        )


class _Pictures:
    """The document's images, each read once, with limits of their own; shrunk to `side` pixels where that is given."""

    def __init__(self, document: Document, notes: list[str], side: int | None = None) -> None:
        self._document, self._notes, self._side = document, notes, side
        self._reader = TextureReader(notes)
        self._images: dict[int, Image.Image | None] = {}

    def get(self, index: Any) -> Image.Image | None:
        """The picture of a texture, None with a note when there is none. Raises BadInput."""
        texture = self._document.item("textures", index, "a material")
        webp = object_of(object_of(texture, "extensions"), "EXT_texture_webp")
        source = webp.get("source", texture.get("source"))
        if source is None:
            self._notes.append(
                MissingTexture(f"textures[{index}] has no image that we read and was left out")
            )
            return None
        self._document.item("images", source, f"textures[{index}]")
        if source not in self._images:
            data = self.bytes_of(source)
            image = None if data is None else self._reader.read(data, f"texture {source}")
            if image is not None and self._side is not None and max(image.size) > self._side:
                image = image.copy()
                image.thumbnail((self._side, self._side), Image.Resampling.BOX)
            self._images[source] = image
        return self._images[source]

    def bytes_of(self, index: int) -> bytes | None:
        """The encoded bytes of an image, None with a note when its file is missing. Raises BadInput."""
        image = self._document.item("images", index, "a texture")
        if "bufferView" in image:
            return self._document.view(image["bufferView"], f"images[{index}]")
        try:
            return self._document.read_uri(image.get("uri"))
        except BadInput as error:
            if error.code != "missing_file":
                raise
            self._notes.append(MissingTexture(f"texture {index} was left out: {error.message}"))
            return None

    def check(self) -> None:
        """Pixel limits hold for every image of the file, used or not."""
        for index in range(self._document.count("images")):
            image = self._document.item("images", index, "images")
            data = self.bytes_of(index) if "bufferView" in image or "uri" in image else None
            if data is not None:
                self._reader.check(data, f"texture {index}")


class Materials:
    """Reads each material and each texture once; maps: also those beside the base colour. Methods raise BadInput.

    A map that is missing, broken or too large becomes a note and never costs the mesh its base colour.
    """

    def __init__(self, document: Document, notes: list[str], maps: bool) -> None:
        self._document, self._notes, self._wants_maps = document, notes, maps
        self._textures = _Pictures(document, notes)
        self._lost: list[str] = []
        self._maps = _Pictures(document, self._lost, MAP_SIDE)
        self._known: dict[tuple[Any, bool], Material] = {}
        self.check_images = self._textures.check

    def get(self, index: Any) -> Material:
        """The material that a primitive names; the plain one when it names none."""
        return self._get(index, self._wants_maps)

    def without_maps(self, index: Any) -> Material:
        """The same as it is where no maps are asked for."""
        return self._get(index, False)

    def _get(self, index: Any, maps: bool) -> Material:
        if index is None:
            return self._known.setdefault((None, False), Material())
        fields = self._document.item("materials", index, "a primitive")
        if (index, maps) not in self._known:
            self._known[index, maps] = self._read(fields, maps)
        return self._known[index, maps]

    def _read(self, fields: dict[str, Any], maps: bool) -> Material:
        pbr = object_of(fields, "pbrMetallicRoughness")
        old = object_of(object_of(fields, "extensions"), "KHR_materials_pbrSpecularGlossiness")
        factor = numbers(pbr, "baseColorFactor", 4, numbers(old, "diffuseFactor", 4, [1, 1, 1, 1]))
        info = base_texture(fields)
        mode = fields.get("alphaMode", "OPAQUE")
        made = Material(
            factor=tuple(float(np.clip(n, 0, 1)) for n in factor),  # type: ignore[arg-type]
            texture=None if info is None else self._textures.get(info.get("index")),
            metallic=_share(pbr, "metallicFactor", 1.0),
            roughness=_share(pbr, "roughnessFactor", 1.0),
            double_sided=fields.get("doubleSided") is True,
            alpha_mode=mode if mode in ("MASK", "BLEND") else "OPAQUE",
            alpha_cutoff=_share(fields, "alphaCutoff", 0.5),
        )
        found = _map_references(fields)
        if maps:
            self._add_maps(made, fields, found)
        # Factors of a map that is left out mean nothing without it (1 and 1 would be a mirror of metal, or all aglow).
        if "metallicRoughnessTexture" in pbr and made.metal_rough is None:
            made.metallic, made.roughness = 0.0, 0.9
        if "emissiveTexture" in fields and made.emission is None:
            made.emissive = (0.0, 0.0, 0.0)
        dropped = sorted(word for word in found if getattr(made, KEPT.get(word, ""), None) is None)
        kept = "not every map" if maps else "only the base colour texture"
        note = f"{kept} is kept; left out: {', '.join(dropped)}"
        if dropped and note not in self._notes:
            self._notes.append(note)
        return made

    def _add_maps(self, material: Material, fields: dict[str, Any], found: dict[str, dict[str, Any]]) -> None:
        """Give the material the maps that lie as its base colour does, and a white one where it has none."""
        material.emissive = tuple(np.clip(numbers(fields, "emissiveFactor", 3, [0, 0, 0]), 0, 1).tolist())
        lies = _placing(fields, maps=True)
        for word, name in KEPT.items():
            if word in found:
                setattr(material, name, self._map(found[word], lies))
        if material.normal is not None:
            scale = {"scale": [found["normal"].get("scale", 1)]}
            material.normal_scale = float(np.clip(numbers(scale, "scale", 1, [1])[0], -STEEPEST, STEEPEST))
        if material.maps and material.texture is None:
            material.texture = WHITE

    def _map(self, info: dict[str, Any], lies: "Placing") -> Image.Image | None:
        try:
            return self._maps.get(info.get("index")) if Placing.of(info) == lies else None
        except BadInput as error:
            self._lost.append(error.message)
            return None
        finally:
            self._notes += [f"a map was left out: {note}" for note in self._lost]
            self._lost.clear()

    def placing(self, index: Any) -> Placing:
        """How the textures of a material lie."""
        return _placing(self._document.item("materials", index, "a primitive"), self._wants_maps)


def base_texture(material: dict[str, Any]) -> dict[str, Any] | None:
    """The base colour's texture reference of a material's JSON, None when it has none."""
    info = object_of(material, "pbrMetallicRoughness").get("baseColorTexture")
    if info is None:
        info = object_of(object_of(material, "extensions"), "KHR_materials_pbrSpecularGlossiness").get(
            "diffuseTexture"
        )
    return info if isinstance(info, dict) else None


def _map_references(fields: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Texture references of the maps beside the base colour in a material's JSON, by the word for each."""
    found = {
        "metal and roughness": object_of(fields, "pbrMetallicRoughness").get("metallicRoughnessTexture"),
        "normal": fields.get("normalTexture"),
        "emission": fields.get("emissiveTexture"),
        "occlusion": fields.get("occlusionTexture"),
    }
    return {word: info for word, info in found.items() if isinstance(info, dict)}


def _placing(fields: dict[str, Any], maps: bool) -> Placing:
    """How the base colour's texture lies or, where there is none and maps are kept, the first of those."""
    info = base_texture(fields)
    if info is None and maps:
        info = next((info for word, info in _map_references(fields).items() if word in KEPT), None)
    return Placing.of(info or {})


def _share(fields: dict[str, Any], name: str, default: float) -> float:
    """A number of the document, brought into 0..1."""
    return float(np.clip(numbers({name: [fields.get(name, default)]}, name, 1, [])[0], 0, 1))
