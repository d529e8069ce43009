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


class Materials:
    """Reads each material and each texture once; maps: also those beside the base colour. Every method raises BadInput."""

    def __init__(self, document: Document, notes: list[str], maps: bool) -> None:
        self._document, self._notes, self._wants_maps = document, notes, maps
        self._textures = TextureReader(notes)
        self._maps = TextureReader(notes)  # with limits of its own: maps never cost a mesh its base colour
        self._known: dict[Any, Material] = {}
        self._images: dict[tuple[int, bool], Image.Image | None] = {}

    def get(self, index: Any) -> Material:
        """The material that a primitive names; the plain one when it names none."""
        if index is None:
            return self._known.setdefault(None, Material())
        fields = self._document.item("materials", index, "a primitive")
        if index not in self._known:
            self._known[index] = self._read(fields)
        return self._known[index]

    def _read(self, fields: dict[str, Any]) -> Material:
        pbr = object_of(fields, "pbrMetallicRoughness")
        old = object_of(object_of(fields, "extensions"), "KHR_materials_pbrSpecularGlossiness")
        factor = numbers(pbr, "baseColorFactor", 4, numbers(old, "diffuseFactor", 4, [1, 1, 1, 1]))
        info = base_texture(fields)
        mode = fields.get("alphaMode", "OPAQUE")
        made = Material(
            factor=tuple(float(np.clip(n, 0, 1)) for n in factor),  # type: ignore[arg-type]
            texture=None if info is None else self._texture(info.get("index")),
            metallic=_share(pbr, "metallicFactor", 1.0),
            roughness=_share(pbr, "roughnessFactor", 1.0),
            double_sided=fields.get("doubleSided") is True,
            alpha_mode=mode if mode in ("MASK", "BLEND") else "OPAQUE",
            alpha_cutoff=_share(fields, "alphaCutoff", 0.5),
        )
        self._add_maps(made, fields)
        if "metallicRoughnessTexture" in pbr and made.metal_rough is None:
            # Factors of a map that is left out mean nothing without it (1 and 1 would be a mirror of metal).
            made.metallic, made.roughness = 0.0, 0.9
        return made

    def _add_maps(self, material: Material, fields: dict[str, Any]) -> None:
        """Give the material the maps that are asked for and lie as its base colour does; a note names the others."""
        found = _map_references(fields)
        dropped = set(found)
        if self._wants_maps:
            material.emissive = tuple(np.clip(numbers(fields, "emissiveFactor", 3, [0, 0, 0]), 0, 1).tolist())
            lies = _placing(fields, maps=True)
            for word, name in KEPT.items():
                if word in found and Placing.of(found[word]) == lies:
                    image = self._texture(found[word].get("index"), as_map=True)
                    setattr(material, name, image)
                    dropped -= {word} if image is not None else set()
            if material.normal is not None:
                scale = numbers({"scale": [found["normal"].get("scale", 1)]}, "scale", 1, [1])[0]
                material.normal = _steeper(material.normal, scale)
            if material.maps and material.texture is None:
                size = next(iter(material.maps.values())).size
                material.texture = Image.new("RGB", size, (255, 255, 255))
        kept = "not every map" if self._wants_maps else "only the base colour texture"
        note = f"{kept} is kept; left out: {', '.join(sorted(dropped))}"
        if dropped and note not in self._notes:
            self._notes.append(note)

    def placing(self, index: Any) -> Placing:
        """How the textures of a material lie."""
        return _placing(self._document.item("materials", index, "a primitive"), self._wants_maps)

    def _texture(self, index: Any, as_map: bool = False) -> Image.Image | None:
        texture = self._document.item("textures", index, "a material")
        webp = object_of(object_of(texture, "extensions"), "EXT_texture_webp")
        source = webp.get("source", texture.get("source"))
        if source is None:
            self._notes.append(
                MissingTexture(f"textures[{index}] has no image that we read and was left out")
            )
            return None
        self._document.item("images", source, f"textures[{index}]")
        if (source, as_map) not in self._images:
            data = self._image_bytes(source)
            read = self._read_map if as_map else self._textures.read
            self._images[source, as_map] = None if data is None else read(data, f"texture {source}")
        return self._images[source, as_map]

    def _read_map(self, data: bytes, label: str) -> Image.Image | None:
        try:
            image = self._maps.read(data, label)
        except BadInput as error:
            self._notes.append(f"{label} was left out: {error.message}")
            return None
        if image is None or max(image.size) <= MAP_SIDE:
            return image
        small = image.copy()
        small.thumbnail((MAP_SIDE, MAP_SIDE), Image.Resampling.BOX)
        return small

    def _image_bytes(self, index: int) -> bytes | None:
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

    def check_images(self) -> None:
        """Pixel limits hold for every image of the file, used or not."""
        for index in range(self._document.count("images")):
            image = self._document.item("images", index, "images")
            data = self._image_bytes(index) if "bufferView" in image or "uri" in image else None
            if data is not None:
                self._textures.check(data, f"texture {index}")


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


def _steeper(normals: Image.Image, scale: float) -> Image.Image:
    """A normal map with its x and y times `scale` (glTF's normalTexture.scale)."""
    if scale == 1:
        return normals
    vectors = np.asarray(normals.convert("RGB")) / 127.5 - 1
    vectors[..., :2] *= scale
    vectors /= np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)
    return Image.fromarray(np.rint((vectors + 1) * 127.5).astype(np.uint8))


def _share(fields: dict[str, Any], name: str, default: float) -> float:
    """A number of the document, brought into 0..1."""
    return float(np.clip(numbers({name: [fields.get(name, default)]}, name, 1, [])[0], 0, 1))
