"""SFT: flow matching on accepted samples of a release; layout terms only where the release has a pose."""

import torch
from torch import Tensor

from model_zoo.examples import Example
from model_zoo.loop import fit
from model_zoo.losses import FLOW_WEIGHTS
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


def run(s: Settings) -> None:
    """Trains and writes OUT/checkpoint."""
    model, parents = starting_model(s)
    source, notes = samples(s, model.config)

    def loss(batch: Example, generator: torch.Generator) -> tuple[Tensor, objectives.Figures]:
        return objectives.flow_matching(
            model, objectives.augmented(batch, generator), generator, weights=FLOW_WEIGHTS, draws=s.draws
        )

    figures = fit(
        trained(model, ("embedder.", "transformer."), STEP_EMBEDDER),
        lambda start: stream(source, s, start), loss, loop_config(s, s.steps), out=s.out, stage="sft", resume=s.resume,
    )  # fmt: skip
    finish(s, model, parents, notes, figures)
