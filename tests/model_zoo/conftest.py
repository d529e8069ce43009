"""Checkpoints and releases that several model_zoo tests share, made once."""

import pytest
import torch

from model_zoo import checkpoint
from tests.model_zoo.releases import dpo_release, sft_release


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """A tiny checkpoint whose outputs are not zero and whose decoder finds solid voxels."""
    folder = tmp_path_factory.mktemp("start") / "checkpoint"
    torch.manual_seed(0)
    model = checkpoint.fresh("tiny")
    with torch.no_grad():
        for mapping in model.transformer.latent_mapping.values():
            mapping.out_layer.weight.normal_(0, 0.02)
        for block in model.transformer.blocks:
            block.adaLN_modulation[1].weight.normal_(0, 0.05)
        model.decoder.out_layer[2].bias.fill_(0.0)
    checkpoint.save(folder, model, recipe="tiny", card={"stage": "pretrain"})
    return folder


@pytest.fixture(scope="session")
def second(tmp_path_factory):
    """A second stage of random weights whose surface is the skin of the active voxels."""
    torch.manual_seed(0)
    made = checkpoint.fresh("tiny", "texture")
    with torch.no_grad():
        made.transformer.out_layer.weight.normal_(0, 0.1)
        made.mesh_decoder.out_layer.weight[:53].zero_()
        made.mesh_decoder.out_layer.bias[:53].zero_()
    folder = tmp_path_factory.mktemp("second") / "texture"
    checkpoint.save(folder, made, recipe="tiny", card={})
    return folder


@pytest.fixture(scope="session")
def sft(tmp_path_factory):
    return sft_release(tmp_path_factory.mktemp("data") / "sft", 4)


@pytest.fixture(scope="session")
def dpo(tmp_path_factory):
    return dpo_release(tmp_path_factory.mktemp("data") / "dpo", 4)
