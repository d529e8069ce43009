"""Materials of a glTF document: base colour, its texture, and the few numbers that are kept beside it."""

from typing import Any

import numpy as np
from PIL import Image

from model_zoo.io.errors import BadInput
from model_zoo.io.gltf_document import Document, numbers, object_of
from model_zoo.io.surface import Material
from model_zoo.io.textures import MissingTexture, TextureReader

OTHER_MAPS = {"normalTexture": "normal", "occlusionTexture": "occlusion", "emissiveTexture": "emission"}


class Materials:
    """Reads each material and each texture once. Every method raises BadInput."""

    def __init__(self, document: Document, notes: list[str]) -> None:
        self._document, self._notes = document, notes
        self._textures = TextureReader(notes)
        self._known: dict[Any, Material] = {}
        self._images: dict[int, Image.Image | None] = {}

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
        dropped = [word for key, word in OTHER_MAPS.items() if key in fields]
        mapped = "metallicRoughnessTexture" in pbr
        if mapped:
            dropped.append("metal and roughness")
        note = f"only the base colour texture is kept; left out: {', '.join(sorted(dropped))}"
        if dropped and note not in self._notes:
            self._notes.append(note)
        mode = fields.get("alphaMode", "OPAQUE")
        return Material(
            factor=tuple(float(np.clip(n, 0, 1)) for n in factor),  # type: ignore[arg-type]
            texture=None if info is None else self._texture(info.get("index")),
            # Factors of a map that is left out mean nothing without it (1 and 1 would be a mirror of metal).
            metallic=0.0 if mapped else _share(pbr, "metallicFactor", 1.0),
            roughness=0.9 if mapped else _share(pbr, "roughnessFactor", 1.0),
            double_sided=fields.get("doubleSided") is True,
            alpha_mode=mode if mode in ("MASK", "BLEND") else "OPAQUE",
            alpha_cutoff=_share(fields, "alphaCutoff", 0.5),
        )

    def _texture(self, index: Any) -> Image.Image | None:
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
            data = self._image_bytes(source)
            self._images[source] = None if data is None else self._textures.read(data, f"texture {source}")
        return self._images[source]

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


def _share(fields: dict[str, Any], name: str, default: float) -> float:
    """A number of the document, brought into 0..1."""
    return float(np.clip(numbers({name: [fields.get(name, default)]}, name, 1, [])[0], 0, 1))
