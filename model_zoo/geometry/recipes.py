"""Sizes of the geometry model: `tiny` learns on one CPU core, `full` equals the released networks."""

from dataclasses import asdict, dataclass

from model_zoo.geometry.embedder import EmbedderConfig
from model_zoo.geometry.occupancy import OccupancyConfig
from model_zoo.geometry.transformer import TransformerConfig


@dataclass(frozen=True)
class GeometryConfig:
    """Everything that decides the shapes of a geometry model; frozen, so that a checkpoint's config can be compared."""

    embedder: EmbedderConfig
    transformer: TransformerConfig
    occupancy: OccupancyConfig
    solid: bool  # voxels of the interior count as full (small grids), or the surface's alone (the released codec)

    @property
    def resolution(self) -> int:
        """Voxels along one side of the occupancy grid."""
        return self.transformer.grid * self.occupancy.upscale

    def to_json(self) -> dict[str, object]:
        """Plain values for config.json."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict) -> "GeometryConfig":
        """The inverse of `to_json`; unknown or missing fields raise TypeError or KeyError."""
        occupancy = dict(data["occupancy"], channels=tuple(data["occupancy"]["channels"]))
        return GeometryConfig(
            embedder=EmbedderConfig(**data["embedder"]),
            transformer=TransformerConfig(**data["transformer"]),
            occupancy=OccupancyConfig(**occupancy),
            solid=data["solid"],
        )


def tiny() -> GeometryConfig:
    """16^3 voxels, 64 shape tokens, 4.6 M parameters: minutes of CPU."""
    return GeometryConfig(
        embedder=EmbedderConfig(
            width=128, dino_width=96, dino_blocks=2, dino_heads=2, image_size=48, patch=8, registers=1,
            point_width=48, point_heads=2, point_size=16, point_window=4, projection_multiplier=1.0,
        ),
        transformer=TransformerConfig(width=128, blocks=5, heads=2, cond_width=128, grid=4, frequencies=128),
        occupancy=OccupancyConfig(channels=(48, 24, 12), res_blocks=1, middle_blocks=1),
        solid=True,
    )  # fmt: skip


def small() -> GeometryConfig:
    """32^3 voxels, 512 shape tokens, about 60 M parameters: one GPU, hours."""
    return GeometryConfig(
        embedder=EmbedderConfig(
            width=384, dino_width=384, dino_blocks=6, dino_heads=6, image_size=224, patch=14, registers=4,
            point_width=192, point_heads=6, point_size=128, point_window=8, projection_multiplier=2.0,
        ),
        transformer=TransformerConfig(width=384, blocks=8, heads=6, cond_width=384, grid=8),
        occupancy=OccupancyConfig(channels=(128, 64, 32)),
        solid=True,
    )  # fmt: skip


def full() -> GeometryConfig:
    """The released sizes (sam3d_model.md section 2): 64^3 voxels, 4096 shape tokens, 0.96 B + 0.63 B parameters."""
    return GeometryConfig(
        embedder=EmbedderConfig(
            width=1024, dino_width=1024, dino_blocks=24, dino_heads=16, image_size=518, patch=14, registers=4,
            point_width=512, point_heads=16, point_size=256, point_window=8,
        ),
        transformer=TransformerConfig(width=1024, blocks=24, heads=16, cond_width=1024, grid=16),
        occupancy=OccupancyConfig(channels=(512, 128, 32)),
        solid=False,
    )  # fmt: skip


RECIPES = {"tiny": tiny, "small": small, "full": full}
