"""Sizes of the texture model: `tiny` runs in a second on CPU, `full` equals the released networks."""

from dataclasses import asdict, dataclass

from model_zoo.geometry.embedder import EmbedderConfig
from model_zoo.texture.decoders import TrunkConfig
from model_zoo.texture.flow_transformer import SlatFlowConfig

# Of the structured latents, as published with the released checkpoints (sam3d_model.md section 2).
SLAT_MEAN = (
    0.12211431, 0.37204156, -1.26521907, -2.05276058, -3.10432536, -0.11294304, -0.85146744, 0.45506954,
)  # fmt: skip
SLAT_STD = (
    2.37326008, 2.13174402, 2.2413953, 2.30589401, 2.1191894, 1.8969511, 2.41684989, 2.08374642,
)  # fmt: skip
# The second stage sees no pointmap and reads the image backbone before its last norm.
NO_POINTS = {
    "has_points": False, "prenorm": True, "point_width": 0, "point_heads": 0, "point_size": 0, "point_window": 0,
}  # fmt: skip


@dataclass(frozen=True)
class TextureConfig:
    """Everything that decides the shapes of a texture model, and the statistics of its latents (sections 2 and 10)."""

    embedder: EmbedderConfig
    flow: SlatFlowConfig
    trunk: TrunkConfig  # of the encoder and all decoders
    mean: tuple[float, ...]  # of the latents, per channel
    std: tuple[float, ...]

    def to_json(self) -> dict[str, object]:
        """Plain values for config.json."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict) -> "TextureConfig":
        """The inverse of `to_json`; unknown or missing fields raise TypeError or KeyError."""
        return TextureConfig(
            embedder=EmbedderConfig(**data["embedder"]),
            flow=SlatFlowConfig(**data["flow"]),
            trunk=TrunkConfig(**data["trunk"]),
            mean=tuple(data["mean"]),
            std=tuple(data["std"]),
        )


def tiny() -> TextureConfig:
    """16^3 voxels, about 9 M parameters: tests and a laptop."""
    return TextureConfig(
        embedder=EmbedderConfig(
            width=96, dino_width=96, dino_blocks=2, dino_heads=2, image_size=48, patch=8, registers=1,
            **NO_POINTS, projection_multiplier=1.0,
        ),
        flow=SlatFlowConfig(
            width=96, blocks=3, heads=2, cond_width=96, io_width=32, resolution=16, frequencies=128
        ),
        trunk=TrunkConfig(width=256, blocks=2, heads=4, window=4, resolution=16),
        mean=(0.0,) * 8,
        std=(1.0,) * 8,
    )  # fmt: skip


def small() -> TextureConfig:
    """32^3 voxels, about 80 M parameters: one GPU, hours."""
    return TextureConfig(
        embedder=EmbedderConfig(
            width=384, dino_width=384, dino_blocks=6, dino_heads=6, image_size=224, patch=14, registers=4,
            **NO_POINTS, projection_multiplier=2.0,
        ),
        flow=SlatFlowConfig(width=384, blocks=8, heads=6, cond_width=384, io_width=96, resolution=32),
        trunk=TrunkConfig(width=256, blocks=6, heads=4, window=8, resolution=32),
        mean=(0.0,) * 8,
        std=(1.0,) * 8,
    )  # fmt: skip


def full() -> TextureConfig:
    """The released sizes: 64^3 voxels, 0.60 B + 0.63 B parameters, encoder and decoders of about 0.09 B each."""
    return TextureConfig(
        embedder=EmbedderConfig(
            width=1024, dino_width=1024, dino_blocks=24, dino_heads=16, image_size=518, patch=14, registers=4,
            **NO_POINTS,
        ),
        flow=SlatFlowConfig(width=1024, blocks=24, heads=16, cond_width=1024, io_width=128, resolution=64),
        trunk=TrunkConfig(width=768, blocks=12, heads=12, window=8, resolution=64),
        mean=SLAT_MEAN,
        std=SLAT_STD,
    )  # fmt: skip


RECIPES = {"tiny": tiny, "small": small, "full": full}
