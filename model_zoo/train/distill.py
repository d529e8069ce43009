"""Distil: few-step sampling by the shortcut objective, three quarters flow matching and one quarter self-consistency."""

import copy

import torch
from torch import Tensor

from model_zoo.examples import Example
from model_zoo.loop import fit
from model_zoo.losses import FLOW_WEIGHTS
from model_zoo.train import objectives
from model_zoo.train.settings import Settings, finish, loop_config, samples, starting_model, stream, trained

SHORTCUT_SHARE = 0.25
TEACHER_KEEP = 0.99


def run(s: Settings) -> None:
    """Trains and writes OUT/checkpoint; sample it with d = 1 / steps and no guidance."""
    model, parents = starting_model(s)
    model.embedder.requires_grad_(False)
    source, notes = samples(s, model.config)
    teacher = copy.deepcopy(model).requires_grad_(False)
    parameters = trained(model, ("transformer.",))
    followers = dict(teacher.named_parameters())

    def loss(batch: Example, generator: torch.Generator) -> tuple[Tensor, objectives.Figures]:
        with torch.no_grad():
            for name, parameter in parameters.items():
                followers[name].lerp_(parameter, 1 - TEACHER_KEEP)
        if torch.rand((), generator=generator) < SHORTCUT_SHARE:
            return objectives.shortcut(
                model, teacher, batch, generator, weights=FLOW_WEIGHTS, strength=s.strength
            )
        return objectives.flow_matching(
            model, batch, generator, weights=FLOW_WEIGHTS, draws=s.draws, drop_pointmap=0.0
        )

    figures = fit(
        parameters, lambda start: stream(source, s, start), loss, loop_config(s, s.steps),
        out=s.out, stage="distill", resume=s.resume,
    )  # fmt: skip
    finish(s, model, parents, notes, figures)
