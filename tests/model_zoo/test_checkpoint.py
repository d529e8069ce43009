"""Checkpoint folders: strict, pickle-free, byte for byte."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from model_zoo import checkpoint
from model_zoo.io.errors import BadInput


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    checkpoint.save(tmp_path / "c", checkpoint.fresh("tiny"), recipe="tiny", card={"stage": "pretrain"})
    return tmp_path / "c"


def test_a_saved_model_comes_back_the_same(folder):
    torch.manual_seed(0)
    before, found = checkpoint.fresh("tiny").state_dict(), checkpoint.load(folder)
    assert all(torch.equal(before[n], v) for n, v in found.model.state_dict().items())
    assert found.recipe == "tiny" and found.card["stage"] == "pretrain"


def test_the_same_weights_give_the_same_bytes(folder, tmp_path):
    checkpoint.save(tmp_path / "d", checkpoint.load(folder).model, recipe="tiny", card={})
    assert (tmp_path / "d" / "weights.safetensors").read_bytes() == (
        folder / "weights.safetensors"
    ).read_bytes()


def test_a_model_may_be_saved_over_the_file_that_it_was_loaded_from(folder):
    model = checkpoint.load(folder).model
    with torch.no_grad():
        model.embedder.idx_emb += 1
    before = {n: v.clone() for n, v in model.state_dict().items()}
    checkpoint.save(folder, model, recipe="tiny", card={})
    after = checkpoint.load(folder).model.state_dict()
    assert all(torch.equal(after[n], v) for n, v in before.items()) and len(list(folder.iterdir())) == 3


def test_half_precision_halves_the_file(folder, tmp_path, capsys):
    assert checkpoint.main([str(folder), str(tmp_path / "half")]) == 0
    assert (tmp_path / "half" / "weights.safetensors").stat().st_size < 10e6
    assert (
        checkpoint.load(tmp_path / "half").model.transformer.blocks[0].adaLN_modulation[1].weight.dtype
        == torch.float32
    )


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_weights_that_do_not_fit_are_refused(folder, change):
    state = load_file(folder / "weights.safetensors")
    name = "_base_models.condition_embedder.idx_emb"
    if change == "missing":
        del state[name]
    elif change == "extra":
        state["_base_models.decoder.more"] = torch.zeros(1)
    else:
        state[name] = torch.zeros(2, 128)
    save_file(state, folder / "weights.safetensors")
    with pytest.raises(BadInput, match="do not fit"):
        checkpoint.load(folder)


def test_a_pickle_is_never_read(folder):
    torch.save({"x": torch.zeros(1)}, folder / "weights.safetensors")
    with pytest.raises(BadInput, match="not a safetensors file"):
        checkpoint.load(folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "config.json", "card.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(BadInput, match=name):
        checkpoint.load(folder)


def test_another_models_checkpoint_is_refused(folder):
    (folder / "config.json").write_text(json.dumps({"model": "texture", "recipe": "tiny", "config": {}}))
    with pytest.raises(BadInput, match="'texture'"):
        checkpoint.load(folder)


def test_a_broken_config_is_refused(folder):
    (folder / "config.json").write_text(
        json.dumps({"model": "geometry", "recipe": "tiny", "config": {"embedder": {}}})
    )
    with pytest.raises(BadInput, match="does not describe"):
        checkpoint.load(folder)


def test_parts_are_only_shared_as_a_whole():
    one, two = torch.zeros(2), torch.ones(2)
    assert checkpoint.tied({"a.x": one, "b.x": one, "b.y": two}) == {}
    assert checkpoint.tied({"a.x": one, "a.y": two, "b.x": one, "b.y": two}) == {"b.": "a."}
    assert checkpoint.tied({"a.x": one, "b.x": one.clone()}) == {}


IMAGE, MASK = (f"_base_models.condition_embedder.module_list.{i}.backbone." for i in (0, 1))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"absent": ["head"]}, "does not describe"),
        ({"absent": ["encoder"]}, "do not fit"),
        ({"absent": 7}, "does not describe"),
        ({"shared": {MASK: IMAGE}}, "is stored and said to be shared"),
        ({"shared": [MASK]}, "does not describe"),
        ({"borrowed": {"prefixes": {MASK: IMAGE}, "sha256": "0"}}, "cannot read"),
        ({"borrowed": "geometry"}, "does not describe"),
    ],
)
def test_a_config_that_says_what_is_not_so_is_refused(folder, more, message):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | more))
    with pytest.raises(BadInput, match=message):
        checkpoint.load(folder)


def test_a_note_on_the_card_leaves_the_rest(folder):
    checkpoint.note(folder, "evaluation", {"f1": 0.5})
    card = checkpoint.load(folder).card
    assert card["evaluation"] == {"f1": 0.5} and card["stage"] == "pretrain"
