"""The shipped adapters against stand-ins for the packages that they drive: what they ask of them, and that they keep the protocol.

The models themselves have never run here; that is what their page says.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

from model_zoo.proposers import command
from model_zoo.proposers.command import CommandProposer
from model_zoo.proposers.interface import ObjectInput
from model_zoo.render import intrinsics, pixel_rays

ADAPTERS = Path(command.__file__).parent / "adapters"
TORCH = """
import numpy as np
float16 = "float16"
class cuda:
    @staticmethod
    def empty_cache(): pass
class Generator:
    def __init__(self, device): assert device == "cuda"
    def manual_seed(self, seed): self.seed = seed; return self
class Tensor:
    def __init__(self, array): self.array = np.asarray(array)
    def __getitem__(self, at): return Tensor(self.array[at])
    def detach(self): return self
    float = cpu = detach
    def clamp(self, low, high): return Tensor(self.array.clip(low, high))
    def numpy(self): return self.array
"""
PACKAGES = {
    "trellis": {
        "trellis/__init__.py": "",
        "trellis/pipelines.py": """
import trimesh
from torch import Tensor
class TrellisImageTo3DPipeline:
    @staticmethod
    def from_pretrained(path): assert path == "/weights"; return TrellisImageTo3DPipeline()
    def cuda(self): pass
    def run(self, image, num_samples=1, seed=42, sparse_structure_sampler_params={}, slat_sampler_params={}, formats=["mesh", "gaussian", "radiance_field"], preprocess_image=True):
        assert image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 255) and formats == ["mesh"] and preprocess_image
        if seed == 8: raise RuntimeError("CUDA out of memory. Tried to\\nallocate")
        made = trimesh.creation.box((1, 2, 4))
        class Mesh: vertices, faces, vertex_attrs, success = Tensor(made.vertices), Tensor(made.faces), Tensor([[1.0, 0.5, 0.0, 0, 0, 1]] * 8), True
        return {"mesh": [Mesh]}
""",
    },
    "triposg": {
        "triposg/__init__.py": "",
        "triposg/pipelines/__init__.py": "",
        "triposg/pipelines/pipeline_triposg.py": """
import trimesh
class TripoSGPipeline:
    @staticmethod
    def from_pretrained(path): assert path == "/weights"; return TripoSGPipeline()
    def to(self, device, dtype): assert (device, dtype) == ("cuda", "float16"); return self
    def __call__(self, image, num_inference_steps=50, num_tokens=2048, timesteps=None, guidance_scale=7.0, generator=None, use_flash_decoder=True):
        assert image.mode == "RGB" and image.width == image.height and image.getpixel((0, 0)) == (255, 255, 255) and not use_flash_decoder
        if generator.seed == 8: raise RuntimeError("CUDA out of memory. Tried to\\nallocate")
        made = trimesh.creation.box((1, 4, 2))
        class Output: samples = [(made.vertices, made.faces)]
        return Output
""",
    },
    "hunyuan3d_21": {
        "hy3dshape/__init__.py": "",
        "hy3dshape/pipelines.py": """
import trimesh
class Hunyuan3DDiTFlowMatchingPipeline:
    device = "cuda"
    @classmethod
    def from_pretrained(cls, model_path, device="cuda", dtype="float16", use_safetensors=False, variant="fp16", subfolder="hunyuan3d-dit-v2-1"):
        assert model_path == "/weights"; return cls()
    def __call__(self, image=None, num_inference_steps=50, guidance_scale=5.0, generator=None, **more):
        assert image.mode == "RGBA" and not more
        if generator.seed == 8: raise RuntimeError("CUDA out of memory. Tried to\\nallocate")
        return [trimesh.creation.box((1, 4, 2))]
""",
    },
}


@pytest.mark.parametrize("name", PACKAGES)
def test_an_adapter_drives_its_model_and_keeps_the_protocol(tmp_path: Path, name: str) -> None:
    for path, text in {"torch.py": TORCH, **PACKAGES[name]}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    mask = np.zeros((40, 60), bool)
    mask[10:30, 20:35] = True
    points = (pixel_rays(intrinsics(50, (60, 40)), (60, 40)) * 2).astype(np.float32)
    seen = ObjectInput(np.full((40, 60, 3), 90, np.uint8), mask, points)
    words = [sys.executable, str(ADAPTERS / f"{name}.py"), "--weights", "/weights", "--version", "r1"]
    proposer = CommandProposer(words, environment={"PYTHONPATH": str(tmp_path)}, seconds=60)
    answer = proposer.ask(seen, seed=7, count=2)
    made, failed = answer.made
    assert failed is None and answer.why == ": CUDA out of memory. Tried to"
    assert made.mesh.extents.round(3).tolist() == [1, 4, 2] and made.pose is None and answer.model.endswith(" r1")
    if name == "trellis":
        assert made.mesh.visual.vertex_colors[0].tolist() == [255, 128, 0, 255]
