"""DPO: preference pairs on the shape latent against the model the run starts from; conditioning stays frozen."""

import copy

import torch
from torch import Tensor

from model_zoo.examples import Pair
from model_zoo.loop import fit
from model_zoo.train import objectives
from model_zoo.train.settings import (
    STEP_EMBEDDER,
    Settings,
    finish,
    loop_config,
    pairs,
    starting_model,
    stream,
    trained,
)


def run(s: Settings) -> None:
    """Trains and writes OUT/checkpoint."""
    model, parents = starting_model(s)
    model.embedder.requires_grad_(False)
    source, notes = pairs(s, model.config)
    reference = copy.deepcopy(model).requires_grad_(False)

    def loss(batch: Pair, generator: torch.Generator) -> tuple[Tensor, objectives.Figures]:
        return objectives.preference(
            model, reference, batch, generator, beta=s.beta, draws=s.draws, anchor=s.anchor
        )

    figures = fit(
        trained(model, ("transformer.",), STEP_EMBEDDER),
        lambda start: stream(source, s, start), loss, loop_config(s, s.steps), out=s.out, stage="dpo", resume=s.resume,
    )  # fmt: skip
    finish(s, model, parents, notes, figures)
