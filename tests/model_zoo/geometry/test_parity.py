"""Numbers equal to the reference at PARITY size, where the parity folder is at hand."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model_zoo import parity

REF = Path(os.environ.get("MAQUETTE_PARITY", Path(__file__).parents[3] / ".." / "shared" / "parity")) / "ref"


@pytest.mark.skipif(not REF.exists(), reason="parity tensors are not here")
@pytest.mark.parametrize("name", sorted([*parity.PARTS, *parity.SIZED]))
def test_part_equals_the_reference(name):
    weights = REF / f"{'ss_flow' if name == 'ss_sampler' else name}.weights.safetensors"
    got = parity.run(name, REF / f"{name}.safetensors", weights if weights.exists() else None)
    reference = load_file(REF / f"{name}.safetensors")
    assert {k for k in reference if k.startswith("out.")} <= set(got)
    for key, value in got.items():
        if key in reference:
            a, b = value.double(), reference[key].double()
            assert torch.equal(a.isnan(), b.isnan()), key
            error = (a - b).nan_to_num().abs().max() / b.nan_to_num().abs().max().clamp_min(1e-12)
            assert error < 1e-5, (key, float(error))


def test_wrong_weights_give_one_clear_line(tmp_path, capsys):
    inputs = REF / "ss_decoder.safetensors"
    if not inputs.exists():
        pytest.skip("parity tensors are not here")
    wrong = REF / "ss_encoder.weights.safetensors"
    arguments = ["ss_decoder", "--inputs", str(inputs), "--weights", str(wrong), "--out", str(tmp_path / "o")]
    assert parity.main(arguments) == 1
    assert capsys.readouterr().err.count("\n") == 1
