"""What a run takes over from the checkpoint that it starts from."""

import shutil

from model_zoo import checkpoint
from model_zoo.train.settings import Settings, licence_of, starting_model


def test_weights_under_another_licence_stay_under_it(start, tmp_path):
    folder = shutil.copytree(start, tmp_path / "released")
    checkpoint.note(folder, "licence", "SAM License")
    for init, licence in ((folder, "SAM License"), (start, "Apache-2.0")):
        run = Settings(stage="sft", recipe="tiny", data=(), out=tmp_path, init=init, device="cpu")
        assert licence_of(starting_model(run)[1]) == licence
    assert licence_of([]) == "Apache-2.0"
