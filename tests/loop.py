"""What both loop tests begin with: a scene in a ZIP, and proposers as demo_seed sets them up, only fewer meshes."""

import io
import zipfile
from pathlib import Path

from backend.proposals.models import Proposer
from model_zoo.demo.__main__ import scene_files
from model_zoo.demo.scenes import scenes
from model_zoo.io.meshes import export_glb
from model_zoo.library import families, make
from workers import importing
from workers.training_runs import base_checkpoint


def bundle(seed: int) -> bytes:
    """A ZIP with one composed scene, as a user would upload it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for scene in scenes(1, seed=seed):
            for name, data in scene_files(scene).items():
                archive.writestr(name, data)
    return packed.getvalue()


def set_up_proposers(folder: Path) -> None:
    """Retrieval over six library meshes, inflation, and the shipped checkpoint."""
    for number, name in enumerate(sorted(families())[:6]):
        (folder / f"{name}_{number}.glb").write_bytes(export_glb(make(name, number)))
    importing.import_meshes(folder)
    Proposer.objects.create(name="retrieval", kind="retrieval", share=2)
    Proposer.objects.create(name="inflation", kind="inflation", share=1)
    base_checkpoint()
