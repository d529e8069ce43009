"""Numbers equal to the reference at PARITY size, where the parity folder is at hand."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model_zoo import parity

REF = Path(os.environ.get("MAQUETTE_PARITY", Path(__file__).parents[3] / ".." / "shared" / "parity")) / "ref"
# One unit in the last place of a frequency, or of a feature beside a crossing, is more than 1e-5 here: the reference
# differs as much from itself in fp64.
LOOSE = {"out.timestep_256": 1e-4, "out.vertex_attrs": 2e-4}


@pytest.mark.skipif(not REF.exists(), reason="parity tensors are not here")
@pytest.mark.parametrize("name", sorted({*parity.PARTS, *parity.SIZED} - {"slat_decoder_gs4"}))
def test_part_equals_the_reference(name):
    weights = REF / f"{name.replace('_sampler', '_flow')}.weights.safetensors"
    got = parity.run(name, REF / f"{name}.safetensors", weights if weights.exists() else None)
    reference = load_file(REF / f"{name}.safetensors")
    assert {k for k in reference if k.startswith("out.")} <= set(got)
    for key, value in got.items():
        if key in reference:
            a, b = value.double(), reference[key].double()
            assert torch.equal(a.isnan(), b.isnan()), key
            error = (a - b).nan_to_num().abs().max() / b.nan_to_num().abs().max().clamp_min(1e-12)
            assert error < LOOSE.get(key, 1e-5), (key, float(error))


@pytest.mark.skipif(not REF.exists(), reason="parity tensors are not here")
def test_the_decoder_of_four_gaussians_equals_four_of_the_32(tmp_path):
    weights = load_file(REF / "slat_decoder_gs32.weights.safetensors")
    rows = [torch.arange(448).split([96, 96, 96, 128, 32])[i].view(32, -1)[:4].flatten() for i in range(5)]
    for name in ("out_layer.weight", "out_layer.bias"):
        weights[name] = weights[name][torch.cat(rows)].contiguous()
    del weights["offset_perturbation"]
    save_file(weights, tmp_path / "four.safetensors")
    inputs = REF / "slat_decoder_gs32.safetensors"
    got, reference = parity.run("slat_decoder_gs4", inputs, tmp_path / "four.safetensors"), load_file(inputs)
    for name in ("features_dc", "get_opacity", "get_rotation", "get_scaling"):
        of_32 = reference[f"out.{name}"].unflatten(0, (-1, 32))[:, :4].flatten(0, 1)
        torch.testing.assert_close(got[f"out.{name}"], of_32, rtol=1e-5, atol=1e-5)


def test_wrong_weights_give_one_clear_line(tmp_path, capsys):
    inputs = REF / "ss_decoder.safetensors"
    if not inputs.exists():
        pytest.skip("parity tensors are not here")
    wrong = REF / "ss_encoder.weights.safetensors"
    arguments = ["ss_decoder", "--inputs", str(inputs), "--weights", str(wrong), "--out", str(tmp_path / "o")]
    assert parity.main(arguments) == 1
    assert capsys.readouterr().err.count("\n") == 1
