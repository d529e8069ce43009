"""Pretrain: the occupancy codec, then flow matching on shape and layout, from nothing. Also mid-train: flow matching alone."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from model_zoo.examples import Example, Joined
from model_zoo.geometry.model import GeometryModel
from model_zoo.geometry.occupancy import rescale_latent
from model_zoo.io.errors import BadInput
from model_zoo.loader import Samples
from model_zoo.loop import fit
from model_zoo.losses import FLOW_WEIGHTS
from model_zoo.synthetic import SyntheticSamples
from model_zoo.train import objectives
from model_zoo.train.settings import (
    STEP_EMBEDDER,
    Settings,
    finish,
    loop_config,
    samples,
    starting_model,
    stream,
    trained,
)

CODEC_BATCH = 32
CODEC_LR = 2e-3
KL_WEIGHT = 1e-3


def run(s: Settings) -> None:
    """Trains and writes OUT/checkpoint."""
    model, parents = starting_model(s)
    source, notes = samples(s, model.config)
    figures = {}
    if not parents:
        figures = {f"codec_{n}": v for n, v in train_codec(model, source, s).items()}

    def loss(batch: Example, generator: torch.Generator) -> tuple[Tensor, objectives.Figures]:
        return objectives.flow_matching(
            model, objectives.augmented(batch, generator), generator, weights=FLOW_WEIGHTS, draws=s.draws
        )

    figures |= fit(
        trained(model, ("embedder.", "transformer."), STEP_EMBEDDER),
        lambda start: stream(source, s, start), loss, loop_config(s, s.steps), out=s.out, stage="flow", resume=s.resume,
    )  # fmt: skip
    finish(s, model, parents, notes, figures)


def train_codec(model: GeometryModel, source: Joined, s: Settings) -> dict[str, float]:
    """The occupancy VAE on the examples' grids and their mirror images; leaves a latent of unit size."""
    grids = Grids(source)

    def loss(batch: Tensor, generator: torch.Generator) -> tuple[Tensor, objectives.Figures]:
        return objectives.occupancy_codec(model, batch, generator, KL_WEIGHT)

    figures = fit(
        trained(model, ("encoder.", "decoder.")), lambda start: grids.batches(s.seed, start), loss,
        loop_config(s, s.codec_steps, lr=CODEC_LR), out=s.out, stage="codec", resume=s.resume,
    )  # fmt: skip
    with (
        torch.no_grad(),
        torch.autocast(torch.device(s.device).type, torch.bfloat16, enabled=s.precision == "bf16"),
    ):
        seen = [next(grids.batches(s.seed + 1, i)).to(s.device) for i in range(8)]
        latents = torch.cat([model.encoder(g)[0].float() for g in seen])
    rescale_latent(model.encoder, model.decoder, latents.std((0, 2, 3, 4)).clamp_min(1e-3))
    return figures


class Grids:
    """Random batches of occupancy grids (B, 1, G, G, G), half of them mirrored; composed scenes give every family's."""

    def __init__(self, source: Joined) -> None:
        self.parts = [_grids(part) for part in source.sources]
        self.ends = np.cumsum([length for length, _ in self.parts])

    def batches(self, seed: int, start: int) -> Iterator[Tensor]:
        step = start
        while True:
            rng = np.random.default_rng([seed, 11, step])
            picked = self._read(rng.integers(int(self.ends[-1]), size=CODEC_BATCH))
            yield torch.stack([g.flip(1) if rng.random() < 0.5 else g for g in picked])
            step += 1

    def _read(self, numbers: np.ndarray) -> list[Tensor]:
        """The grids of these numbers; those that cannot be read are left out. Raises BadInput when none can."""
        found, error = [], BadInput("the data holds no shape")
        for number in numbers.tolist():
            which = int(np.searchsorted(self.ends, number, side="right"))
            length, read = self.parts[which]
            try:
                found.append(read(number - int(self.ends[which]) + length))
            except BadInput as problem:
                error = problem
        if not found:
            raise error
        return found


def _grids(source: SyntheticSamples | Samples) -> tuple[int, Callable[[int], Tensor]]:
    """How many grids a source has, and how to get one."""
    length = len(source.families) if isinstance(source, SyntheticSamples) else len(source)
    return length, source.occupancy
