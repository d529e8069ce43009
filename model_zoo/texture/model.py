"""The texture model as one module: embedder, latent flow, encoder and decoders; released names in PREFIXES."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from model_zoo import flow
from model_zoo.geometry.embedder import ConditionEmbedder
from model_zoo.texture.decoders import GaussianDecoder, MeshDecoder
from model_zoo.texture.encoder import SlatEncoder
from model_zoo.texture.flow_transformer import SlatFlow
from model_zoo.texture.gaussians import Gaussians
from model_zoo.texture.recipes import TextureConfig
from model_zoo.texture.sparse import Voxels

# Our attribute -> its prefix: the generator's as released, the decoders' after their files, which have none.
PREFIXES = {
    "embedder.": "_base_models.condition_embedder.",
    "transformer.": "_base_models.generator.reverse_fn.backbone.",
    "encoder.": "slat_encoder.",
    "gaussian_decoder.": "slat_decoder_gs.",
    "gaussian_decoder_4.": "slat_decoder_gs_4.",
    "mesh_decoder.": "slat_decoder_mesh.",
}


class TextureModel(nn.Module):
    """p(latents | active voxels, image, mask), sampled by integrating a velocity field, and what they decode to.

    Coordinates are integers 0..resolution-1 of the z-up object frame, voxel i spanning (i .. i + 1) / resolution - 1/2.
    """

    def __init__(self, config: TextureConfig) -> None:
        super().__init__()
        self.config = config
        self.embedder = ConditionEmbedder(config.embedder)
        self.transformer = SlatFlow(config.flow)
        self.encoder = SlatEncoder(config.trunk, config.embedder.dino_width)
        self.gaussian_decoder = GaussianDecoder(config.trunk, 32)
        self.gaussian_decoder_4 = GaussianDecoder(config.trunk, 4)
        self.mesh_decoder = MeshDecoder(config.trunk)

    def initialise(self) -> None:
        """Start weights for training from nothing."""
        self.embedder.initialise()
        self.transformer.initialise()

    def halved(self, dtype: torch.dtype = torch.bfloat16) -> "TextureModel":
        """For inference, in place: everything in half precision but latents, times and first and last layers."""
        self.embedder.to(dtype)
        for part in (self.transformer, self.gaussian_decoder, self.gaussian_decoder_4, self.mesh_decoder):
            part.halved(dtype)
        return self

    @torch.no_grad()
    def sample(
        self, views: Mapping[str, Tensor], coords: Sequence[Tensor], *, seed: int, steps: int = 25,
        rescale: float = 1.0, strength: float = 1.0, hidden: Sequence[Tensor] | None = None,
    ) -> list[Tensor]:  # fmt: skip
        """Latents (N_i, channels) for each object's active voxels (N_i, 3), de-normalised, ready for the decoders.

        views: of B photos (images and masks, no pointmaps), each the condition of len(coords) / B consecutive
        objects. Object i draws its noise with seed + i, so that a batch may be cut in two. hidden: the backbone's
        tokens where the first stage has them (`ConditionEmbedder.encode`). strength: guidance s, 0 turns it off.
        """
        if not coords or len(coords) % len(views["image"]):
            raise ValueError(f"{len(coords)} objects cannot share {len(views['image'])} photos evenly")
        kv = self.transformer.keys_values(self.embedder(views, hidden=hidden))
        device, voxels = kv[0][0].device, self._voxels(coords)
        noise = [
            torch.randn(len(c), self.config.flow.channels, generator=torch.Generator().manual_seed(seed + i))
            for i, c in enumerate(coords)
        ]
        grid = flow.time_grid(steps, rescale)
        taus = grid[:-1].tolist()
        times = self.transformer.modulation(torch.tensor(taus, device=device) * flow.TIME_SCALE)
        modulations = {tau: [m[i : i + 1] for m in times] for i, tau in enumerate(taus)}

        def field(x: dict[str, Tensor], tau: float, conditional: bool) -> dict[str, Tensor]:
            kv_or_none = kv if conditional else None
            return {"slat": self.transformer(x["slat"], voxels, modulations[tau], kv_or_none)}

        start = {"slat": torch.cat(noise).to(device)}
        end = flow.euler(flow.guided_field(field, strength), start, grid)[-1]["slat"]
        mean, std = (end.new_tensor(s) for s in (self.config.mean, self.config.std))
        return list((end * std + mean).split([len(c) for c in coords]))

    def _voxels(self, coords: Sequence[Tensor]) -> Voxels:
        """On a GPU an index out of range would end the process, so it is looked for here."""
        limit = self.config.flow.resolution
        for i, c in enumerate(coords):
            if not len(c) or c.min() < 0 or c.max() >= limit:
                raise ValueError(f"object {i} needs active voxels, all of them within 0..{limit - 1}")
        return joined(coords)

    def encode(self, coords: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and logvar (N, channels) of one object from features (N, .), see `visible_features`."""
        return self.encoder(features, self._voxels([coords]))

    @torch.no_grad()
    def gaussians(self, coords: Tensor, feats: Tensor, *, light: bool = False) -> Gaussians:
        """32 Gaussians for each of an object's active voxels (N, 3) with latents (N, channels); `light` gives 4."""
        decoder, voxels = self.gaussian_decoder_4 if light else self.gaussian_decoder, self._voxels([coords])
        return decoder.activated(decoder(feats, voxels), voxels)

    @torch.no_grad()
    def mesh(self, coords: Tensor, feats: Tensor) -> tuple[Tensor, Tensor]:
        """Cubes (64 N, 3) on a grid four times as fine and their features (64 N, 101), for `extract_surface`."""
        fine, features = self.mesh_decoder(feats, self._voxels([coords]))
        return fine.coords[:, 1:], features


def joined(coords: Sequence[Tensor]) -> Voxels:
    """Voxels of several objects, (N_i, 3) each, one after another."""
    return Voxels(torch.cat([torch.cat([c.new_full((len(c), 1), i), c], 1) for i, c in enumerate(coords)]))
