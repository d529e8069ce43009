"""The geometry model as one module: embedder, transformer, occupancy decoder and encoder, under the released names."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from model_zoo import flow
from model_zoo.geometry import sampler
from model_zoo.geometry.embedder import ConditionEmbedder
from model_zoo.geometry.occupancy import OccupancyDecoder, OccupancyEncoder, to_grid, to_tokens
from model_zoo.geometry.recipes import GeometryConfig
from model_zoo.geometry.transformer import GeometryTransformer, KeysValues, Latents
from model_zoo.weights import renamed

# Our attribute -> its prefix in the released files. The encoder was released apart, without a prefix of its own.
PREFIXES = {
    "embedder.": "_base_models.condition_embedder.",
    "transformer.": "_base_models.generator.reverse_fn.backbone.",
    "decoder.": "_base_models.decoder.",
    "encoder.": "_base_models.encoder.",
}


class GeometryModel(nn.Module):
    """p(shape, layout | image, mask, pointmap), sampled by integrating a velocity field."""

    def __init__(self, config: GeometryConfig) -> None:
        super().__init__()
        self.config = config
        self.embedder = ConditionEmbedder(config.embedder)
        self.transformer = GeometryTransformer(config.transformer)
        self.decoder = OccupancyDecoder(config.occupancy)
        self.encoder = OccupancyEncoder(config.occupancy)

    def initialise(self) -> None:
        """Start weights for training from nothing."""
        self.embedder.initialise()
        self.transformer.initialise()

    def velocity(
        self, latents: Mapping[str, Tensor], tau: Tensor, kv: KeysValues | None, d: Tensor | float = 0.0
    ) -> Latents:
        """v_theta(x_tau, c, tau, d) for tau and d in 0..1, (1,) or (B,); the released models always embed d, 0 too."""
        step = torch.as_tensor(d, dtype=torch.float32, device=tau.device).reshape(-1)
        return self.transformer(latents, tau * flow.TIME_SCALE, step * flow.TIME_SCALE, kv)

    def halved(self, dtype: torch.dtype = torch.bfloat16) -> "GeometryModel":
        """For inference, in place: everything in half precision but latents, times and their first and last layers."""
        self.embedder.to(dtype)
        self.transformer.halved(dtype)
        self.decoder.to(dtype)
        return self

    def encode_shape(self, occupancy: Tensor) -> Tensor:
        """Occupancy (B, 1, G, G, G) in 0..1 -> shape latent (B, g^3, 8): the posterior mean."""
        return to_tokens(self.encoder(occupancy)[0])

    def decode_shape(self, shape: Tensor) -> Tensor:
        """Shape latent (B, g^3, 8) -> occupancy logits (B, 1, G, G, G)."""
        return self.decoder(to_grid(shape).to(self.decoder.input_layer.weight.dtype)).float()

    @torch.no_grad()
    def sample(
        self, views: Mapping[str, Tensor], *, seed: int, count: int = 1, steps: int = 12,
        rescale: float = 3.0, strength: float = 2.0, d: float = 0.0,
    ) -> Latents:  # fmt: skip
        """`count` samples of each of B objects: name -> (B * count, tokens, channels), an object's samples together.

        One seed gives one result on one device; strength and d as in `sampler.sample`.
        """
        batch = len(views["image"]) * count
        generator = torch.Generator().manual_seed(seed)
        noise = flow.draw_noise(self.config.transformer.latent_shapes, batch, generator)
        noise = {n: x.to(views["image"].device) for n, x in noise.items()}
        how = {"steps": steps, "rescale": rescale, "strength": strength, "d": d}
        return sampler.sample(self.transformer, self.embedder(views), noise, **how)


def released_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict under the names of the released files."""
    return renamed(state, PREFIXES)


def own_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `released_names`. Raises KeyError on a name of no known part."""
    return renamed(state, {theirs: ours for ours, theirs in PREFIXES.items()})
