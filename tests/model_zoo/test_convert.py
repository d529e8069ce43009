"""The converter: released files become checkpoint folders whole and unchanged, or nothing is written and one line says why."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model_zoo import checkpoint
from model_zoo.convert import BACKBONES, DUPLICATE, FILES, convert, main, planned
from model_zoo.geometry.occupancy import OccupancyConfig
from model_zoo.geometry.recipes import GeometryConfig, full, tiny
from model_zoo.io.errors import BadInput
from model_zoo.parity import PARITY_EMBEDDER, PARITY_TRANSFORMER
from model_zoo.texture.recipes import full as texture_full
from model_zoo.texture.recipes import tiny as texture_tiny
from model_zoo.weights import WeightFile
from tests.model_zoo.released import states, tensors, written

PARITY = Path(os.environ.get("MAQUETTE_PARITY", Path(__file__).parents[2] / ".." / "shared" / "parity"))
# All blocks of the released networks, so that every released name occurs, at widths that take no time.
NARROW = {
    "geometry": GeometryConfig(
        embedder=replace(PARITY_EMBEDDER, dino_blocks=full().embedder.dino_blocks, projection_multiplier=1.0),
        transformer=replace(PARITY_TRANSFORMER, blocks=full().transformer.blocks),
        occupancy=OccupancyConfig(channels=(24, 16, 8)),
        solid=False,
    ),
    "texture": replace(
        texture_tiny(),
        embedder=replace(texture_tiny().embedder, dino_blocks=full().embedder.dino_blocks),
        flow=replace(texture_tiny().flow, blocks=texture_full().flow.blocks),
    ),
}
POS_EMB = "_base_models.generator.reverse_fn.backbone.latent_mapping.shape.pos_emb"
IDX_EMB = "_base_models.condition_embedder.idx_emb"


@pytest.fixture(scope="module")
def geometry():
    return tensors("geometry", tiny())


@pytest.fixture(scope="module")
def both(geometry):
    return {**geometry, **tensors("texture", texture_tiny(), seed=1)}


def changed(files, file, **tensors_by_name):
    """The files with some tensors of one exchanged; None takes a tensor out."""
    state = {**files[file], **tensors_by_name}
    return {**files, file: {n: v for n, v in state.items() if v is not None}}


def converted(folder, files, *more, suffix=".ckpt", recipe="tiny"):
    options = written(folder / "in", files, suffix=suffix)
    return main([*options, "--recipe", recipe, "--out", str(folder / "out"), *more])


@pytest.mark.parametrize(("kind", "config"), [("geometry", full()), ("texture", texture_full())])
def test_the_files_that_full_models_are_converted_from_are_the_released_ones(kind, config):
    if not (PARITY / "manifests").exists():
        pytest.skip("parity manifests are not here")
    for file, state in states(kind, config).items():
        manifest = json.loads((PARITY / "manifests" / f"{file}_manifest.json").read_text())
        assert {n: list(v.shape) for n, (_, v) in state.items()} == {
            n: r["shape"] for n, r in manifest.items()
        }


@pytest.mark.parametrize(("kind", "suffix"), [("geometry", ".ckpt"), ("texture", ".safetensors")])
def test_every_released_tensor_arrives_unchanged_under_its_name(tmp_path, kind, suffix):
    given = tensors(kind, NARROW[kind])
    written(tmp_path, given, suffix=suffix)
    files = {n: WeightFile(tmp_path / f"{n}{suffix}") for n in given}
    [folder] = convert([planned(kind, NARROW[kind], files)], tmp_path / "out", recipe="narrow")
    state = checkpoint.load(folder, kind).model.state_dict()
    for file, parts in FILES[kind].items():
        for part, prefix in parts.items():
            for name in [n for n in given[file] if n.startswith(prefix) and not n.startswith(DUPLICATE)]:
                assert torch.equal(state.pop(f"{part}.{name[len(prefix) :]}"), given[file][name]), name
    assert state == {}


def test_the_card_names_the_files_their_hashes_and_their_licence(tmp_path, geometry):
    assert converted(tmp_path, geometry) == 0
    card = checkpoint.load(tmp_path / "out" / "geometry").card
    assert "SAM License" in card["licence"] and set(card["files"]) == set(geometry)
    file = card["files"]["ss_decoder"]
    assert file["file"] == "ss_decoder.ckpt" and len(file["sha256"]) == 64 and file["bytes"] > 1000


def test_backbones_that_are_equal_are_stored_and_held_once(tmp_path, geometry):
    assert converted(tmp_path, geometry) == 0
    stored = WeightFile(tmp_path / "out" / "geometry" / "weights.safetensors").names
    assert not any(n.startswith(BACKBONES[1]) for n in stored)
    model = checkpoint.load(tmp_path / "out" / "geometry").model
    assert model.embedder.module_list[0].backbone is model.embedder.module_list[1].backbone
    checkpoint.save(tmp_path / "again", model, recipe="tiny", card={})
    again = (tmp_path / "again" / "weights.safetensors").read_bytes()
    assert again == (tmp_path / "out" / "geometry" / "weights.safetensors").read_bytes()


def test_both_stages_hold_one_backbone_and_store_it_once(tmp_path, both):
    assert converted(tmp_path, both, "--dtype", "bfloat16") == 0
    shape, texture = tmp_path / "out" / "geometry", tmp_path / "out" / "texture"
    assert not any(n.startswith(tuple(BACKBONES)) for n in WeightFile(texture / "weights.safetensors").names)
    first = checkpoint.load(shape).model
    held = first.embedder.module_list[0].backbone
    for second in (checkpoint.load(texture, "texture", beside=first), checkpoint.load(texture, "texture")):
        assert torch.equal(second.model.embedder.module_list[1].backbone.norm.weight, held.norm.weight)
    together = checkpoint.load(texture, "texture", beside=first).model
    assert together.embedder.module_list[1].backbone is held
    assert isinstance(together.encoder, checkpoint.Absent)


def test_a_texture_checkpoint_without_the_geometry_it_borrows_from_is_refused(tmp_path, both):
    assert converted(tmp_path, both) == 0
    shape, texture = tmp_path / "out" / "geometry", tmp_path / "out" / "texture"
    other = checkpoint.load(shape).model
    with torch.no_grad():
        other.embedder.module_list[0].backbone.norm.weight += 1
    checkpoint.save(shape, other, recipe="tiny", card={})
    with pytest.raises(BadInput, match="needs the geometry checkpoint"):
        checkpoint.load(texture, "texture")
    shape.rename(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="cannot read"):
        checkpoint.load(texture, "texture")


@pytest.mark.parametrize("alone", [True, False])
def test_a_texture_checkpoint_can_stand_for_itself(tmp_path, both, alone):
    files = {n: v for n, v in both.items() if n.startswith("slat")} if alone else both
    assert converted(tmp_path, files, "--apart") == 0
    folder = (tmp_path / "out" / "texture").rename(tmp_path / "texture")
    image = checkpoint.load(folder, "texture").model.embedder.module_list[0]
    assert torch.equal(image.backbone.norm.weight, both["slat_generator"][BACKBONES[0] + "norm.weight"])


def test_texture_decoders_that_were_not_given_are_absent_and_say_so(tmp_path, both):
    files = {n: v for n, v in both.items() if n in ("slat_generator", "slat_decoder_mesh")}
    assert converted(tmp_path, files) == 0
    model = checkpoint.load(tmp_path / "out" / "texture", "texture").model
    coords = torch.tensor([[1, 2, 3], [1, 2, 4]])
    assert model.mesh(coords, torch.zeros(2, 8))[1].shape[1] == 101
    with pytest.raises(BadInput, match="has no gaussian_decoder_4"):
        model.gaussians(coords, torch.zeros(2, 8), light=True)


def test_backbones_that_differ_are_both_kept(tmp_path, geometry):
    name = BACKBONES[1] + "norm.weight"
    files = changed(geometry, "ss_generator", **{name: geometry["ss_generator"][name] + 1})
    assert converted(tmp_path, files) == 0
    image, mask = checkpoint.load(tmp_path / "out" / "geometry").model.embedder.module_list[:2]
    assert torch.equal(mask.backbone.norm.weight, image.backbone.norm.weight + 1)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_stored_as_asked_and_loads_in_any(tmp_path, geometry, dtype):
    assert converted(tmp_path, geometry, "--dtype", dtype) == 0
    folder, half = tmp_path / "out" / "geometry", checkpoint.STORED[dtype]
    assert WeightFile(folder / "weights.safetensors").get(IDX_EMB).dtype == half
    assert checkpoint.load(folder).model.embedder.idx_emb.dtype == torch.float32
    kept = checkpoint.load(folder, dtype=half).model.embedder.idx_emb
    assert torch.equal(kept, geometry["ss_generator"][IDX_EMB].to(half))


def test_without_the_encoder_the_model_samples_and_says_what_it_lacks(tmp_path, geometry):
    assert converted(tmp_path, {n: v for n, v in geometry.items() if n != "ss_encoder"}) == 0
    model = checkpoint.load(tmp_path / "out" / "geometry").model
    assert model.decode_shape(torch.zeros(1, 64, 8)).shape == (1, 1, 16, 16, 16)
    with pytest.raises(BadInput, match="has no encoder"):
        model.encode_shape(torch.zeros(1, 1, 16, 16, 16))
    checkpoint.save(tmp_path / "again", model, recipe="tiny", card={})
    assert isinstance(checkpoint.load(tmp_path / "again").model.encoder, checkpoint.Absent)


NAN = torch.full((3, 128), float("nan"))
FAULTS = {
    "a missing tensor": ({IDX_EMB: None}, "1 missing: _base_models.condition_embedder.idx_emb"),
    "a left-over tensor": ({"_base_models.more": torch.zeros(1)}, "1 left over: _base_models.more"),
    "a wrong shape": ({IDX_EMB: torch.zeros(4, 128)}, "idx_emb is (4, 128), not (3, 128)"),
    "whole numbers": ({IDX_EMB: torch.zeros(3, 128).int()}, "not floating point"),
    "NaN": ({IDX_EMB: NAN}, "idx_emb holds NaN"),
    "another position table": ({POS_EMB: torch.zeros(64, 128)}, "differs from our table by 1"),
    "a decoder that is another one": (
        {DUPLICATE + "input_layer.bias": torch.zeros(48)},
        "repeats another decoder than ss_decoder.ckpt: 1 of ",
    ),
}
OFFSETS = {"offset_perturbation": torch.zeros(4, 3)}


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_is_one_line_and_leaves_nothing_behind(tmp_path, geometry, capsys, what):
    change, message = FAULTS[what]
    assert converted(tmp_path, changed(geometry, "ss_generator", **change)) == 1
    text = capsys.readouterr().err
    assert text.startswith("error: ") and message in text and text.count("\n") == 1
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def test_other_offsets_of_the_gaussians_are_refused_and_the_geometry_is_not_kept(tmp_path, both, capsys):
    assert converted(tmp_path, changed(both, "slat_decoder_gs_4", **OFFSETS)) == 1
    assert "slat_decoder_gs_4.ckpt: slat_decoder_gs_4.offset_perturbation differs" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_of_another_model_lists_a_few_names_and_how_many_more(tmp_path, geometry, capsys):
    assert converted(tmp_path, {**geometry, "ss_generator": geometry["ss_decoder"]}) == 1
    text = capsys.readouterr().err
    assert "is not the ss_generator" in text and " more; " in text and len(text) < 520


def test_what_half_precision_cannot_hold_is_said(tmp_path, geometry, capsys):
    files = changed(geometry, "ss_generator", **{IDX_EMB: torch.full((3, 128), 1e5)})
    assert converted(tmp_path, files, "--dtype", "float16") == 1
    assert "use --dtype bfloat16" in capsys.readouterr().err


def test_a_needed_file_is_asked_for_and_a_folder_is_not_overwritten(tmp_path, geometry, capsys):
    assert converted(tmp_path, {"ss_generator": geometry["ss_generator"]}) == 1
    assert "geometry needs --ss-decoder too" in capsys.readouterr().err
    assert converted(tmp_path, geometry) == 0 and converted(tmp_path, geometry) == 1
    assert "is there already" in capsys.readouterr().err
    assert main(["--out", str(tmp_path / "x")]) == 1 and not (tmp_path / "x").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, geometry, capsys):
    (tmp_path / "out").write_text("a file")
    assert converted(tmp_path, geometry) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_dinov2_weights_of_the_hub_become_the_backbone_of_a_fresh_model(tmp_path, geometry):
    hub = {
        n[len(BACKBONES[0]) :]: v for n, v in geometry["ss_generator"].items() if n.startswith(BACKBONES[0])
    }
    torch.save(hub, tmp_path / "hub.pth")
    arguments = ["--dinov2", str(tmp_path / "hub.pth"), "--recipe", "tiny", "--out", str(tmp_path)]
    assert main(arguments) == 0
    found = checkpoint.load(tmp_path / "geometry")
    image, mask = found.model.embedder.module_list[:2]
    assert image.backbone is mask.backbone and torch.equal(image.backbone.norm.weight, hub["norm.weight"])
    assert "SAM" not in found.card["licence"] and found.card["files"]["dinov2"]["file"] == "hub.pth"
