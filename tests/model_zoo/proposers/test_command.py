"""A command as a proposer: whatever it does or leaves undone ends in candidates or in one clear line, and nothing stays."""

import json
import os
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import trimesh

from model_zoo.io.errors import BadInput
from model_zoo.io.glb_writer import export_glb
from model_zoo.io.poses import Pose, pose_from_opengl
from model_zoo.proposers import command, contract
from model_zoo.proposers.command import CommandProposer
from model_zoo.proposers.interface import ObjectInput
from model_zoo.proposers.turning import found_pose
from model_zoo.render import intrinsics, render, view_rotation

EXAMPLE = Path(command.__file__).parent / "adapters" / "example.py"
POSE = Pose(view_rotation(35, 25), np.array([0.0, 0.0, 3.0]), np.ones(3))
ANSWER = {
    "protocol": 1, "model": "boxes", "version": "2", "frame": "opencv",
    "candidates": [{"pose": POSE.to_json(), "seconds": 1.5}],
}  # fmt: skip


@pytest.fixture(scope="module")
def wedge():
    """An asymmetric mesh."""
    return trimesh.util.concatenate(
        [trimesh.creation.box((1, 0.3, 0.5)), trimesh.creation.box((0.2, 0.9, 0.5)).apply_translation([0.4, 0.6, 0])]
    )


@pytest.fixture(scope="module")
def seen(wedge):
    K = intrinsics(45, (128, 128))
    picture = render(wedge, POSE, K, (128, 128))
    return ObjectInput(picture.rgb, picture.mask, picture.points(K), "wedge")


@pytest.fixture
def speaks(tmp_path, wedge):
    """speaks(lines): a proposer whose command runs these lines of Python; `folder`, `glb` and `answer` are at hand."""
    (tmp_path / "mesh.glb").write_bytes(export_glb(wedge))

    def made(lines="", *, answer=ANSWER, write=True, **options):
        writes = "(folder / '0.glb').write_bytes(glb); (folder / 'result.json').write_text(answer)" if write else ""
        (tmp_path / "command.py").write_text(
            "import json, os, pathlib, signal, subprocess, sys, time\n"
            "folder = pathlib.Path(sys.argv[1])\n"
            f"glb = pathlib.Path({str(tmp_path / 'mesh.glb')!r}).read_bytes()\n"
            f"answer = {json.dumps(answer)!r}\n{writes}\n{textwrap.dedent(lines)}\n"
        )
        words = [sys.executable, "-I", "-S", str(tmp_path / "command.py")]
        return CommandProposer(words, **{"environment": {}, "seconds": 20, **options})

    return made


def test_the_example_passes_the_contract(capsys):
    assert contract.main([sys.executable, str(EXAMPLE)]) == 0
    assert capsys.readouterr().out.count("ok: ") == 6


def test_a_pose_is_kept_and_the_cost_is_the_commands_own(speaks, seen):
    (found,) = speaks().propose(seen, seed=3, count=2)
    assert np.allclose(found.pose.R, POSE.R) and found.score > 0.9 and found.seconds >= 1.5
    assert (found.model, len(found.mesh.faces)) == ("boxes 2", 24)


def test_a_pose_in_another_frame_is_brought_to_ours(speaks, seen):
    row = {"pose": pose_from_opengl(POSE).to_json()}
    (found,) = speaks(answer={**ANSWER, "frame": "opengl", "candidates": [row]}).propose(seen, seed=3, count=1)
    assert np.allclose(found.pose.R, POSE.R) and np.allclose(found.pose.t, POSE.t)


def test_a_mesh_without_a_pose_is_turned_and_fitted(wedge, seen):
    found = found_pose(wedge, seen)
    turn = np.degrees(np.arccos(np.clip((np.trace(found.R.T @ POSE.R) - 1) / 2, -1, 1)))
    assert turn < 8 and np.allclose(found.t, POSE.t, atol=0.15)


def test_the_command_is_given_the_object_as_the_protocol_says(speaks, seen):
    checks = """
        request = json.loads((folder / "request.json").read_text())
        camera = request.pop("camera")
        assert request == {"protocol": 1, "seed": 11, "count": 1, "category": "wedge"}, request
        assert abs(camera["fx"] - camera["fy"]) < 0.1 and camera["width"] == 128, camera
        assert (folder / "image.png").read_bytes()[1:4] == b"PNG" == (folder / "mask.png").read_bytes()[1:4]
        assert b"'<f4'" in (folder / "pointmap.npy").read_bytes() and os.getcwd() == str(folder)
    """
    assert len(speaks(checks).propose(seen, seed=11, count=1)) == 1


def test_it_sees_no_variable_but_those_named(speaks, seen, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "ours")
    lines = "assert set(os.environ) - {'LC_CTYPE'} == {'SEEN'}, sorted(os.environ)"
    assert speaks(lines, environment={"SEEN": "1"}).propose(seen, seed=0, count=1)


def test_a_candidate_that_failed_leaves_the_others(speaks, seen):
    rows = [ANSWER["candidates"][0], {"error": "no surface"}]
    assert len(speaks(answer={**ANSWER, "candidates": rows}).propose(seen, seed=0, count=2)) == 1
    with pytest.raises(BadInput, match="made nothing of this object: no surface"):
        speaks(answer={**ANSWER, "candidates": rows[1:]}).propose(seen, seed=0, count=2)


BROKEN = {
    "no result": ("", {"write": False}, "it wrote no result.json"),
    "no mesh": ("(folder / '0.glb').unlink()", {}, "it wrote no 0.glb"),
    "not JSON": ("(folder / 'result.json').write_text('{')", {}, "result.json: .* line 1"),
    "not a GLB": ("(folder / '0.glb').write_text('o box')", {}, "0.glb is not a GLB"),
    "half a GLB": ("(folder / '0.glb').write_bytes(glb[:200])", {}, "0.glb: "),
    "too large": ("os.truncate(folder / '0.glb', 1 << 30)", {}, "0.glb is larger than 128 MB"),
    "a result too large": ("os.truncate(folder / 'result.json', 1 << 30)", {}, "result.json is larger than 1 MB"),
    "a link": ("(folder / '0.glb').unlink(); (folder / '0.glb').symlink_to('/etc/passwd')", {}, "0.glb is not a plain file"),
    "a linked result": ("(folder / 'result.json').unlink(); (folder / 'result.json').symlink_to('/etc/passwd')", {}, "result.json is not a plain file"),
    "a pipe": ("(folder / '0.glb').unlink(); os.mkfifo(folder / '0.glb')", {}, "0.glb is not a plain file"),
    "a folder": ("(folder / '0.glb').unlink(); (folder / '0.glb').mkdir()", {}, "0.glb is not a plain file"),
    "another folder in its place": ("os.rename(folder, str(folder) + '.old'); folder.symlink_to('/etc')\nraise SystemExit(3)", {}, "code 3"),
    "an error": ("print('CUDA error: no kernel', file=sys.stderr); sys.exit(4)", {}, "it ended with code 4: CUDA error: no kernel"),
    "a crash": ("os.kill(os.getpid(), signal.SIGSEGV)", {}, "it was killed by SIGSEGV"),
    "a hang": ("time.sleep(60)", {"seconds": 0.5}, "it was stopped after 0.5 s"),
    "escapes on the terminal": ("print('\\x1b[2J\\u202egone'); sys.exit(1)", {}, r"code 1: \\x1b\[2J\\u202egone"),
}  # fmt: skip


@pytest.mark.parametrize("lines, options, message", BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_one_line(speaks, seen, lines, options, message):
    with pytest.raises(BadInput, match=message) as refusal:
        speaks(lines, **options).ask(seen, seed=0, count=1)
    assert "\n" not in refusal.value.message


WRONG = {
    "another protocol": ({"protocol": 2}, "does not say protocol 1"),
    "no candidates": ({"candidates": []}, "a list of 1 to 1"),
    "more than asked for": ({"candidates": ANSWER["candidates"] * 2}, "a list of 1 to 1"),
    "another frame": ({"frame": "blender"}, "frame must be one of"),
    "no model": ({"model": ""}, "model and version"),
    "NaN in the pose": ({"candidates": [{"pose": {**POSE.to_json(), "t": [0, 0, float("nan")]}}]}, "NaN"),
    "a mirror as the pose": ({"candidates": [{"pose": {**POSE.to_json(), "R": [[-1, 0, 0], [0, 1, 0], [0, 0, 1]]}}]}, "not a rotation"),
    "a pose of texts": ({"candidates": [{"pose": "here"}]}, "0.glb: "),
    "a negative time": ({"candidates": [{"seconds": -1}]}, "seconds"),
}  # fmt: skip


@pytest.mark.parametrize("change, message", WRONG.values(), ids=WRONG)
def test_an_answer_that_is_wrong_is_one_line(tmp_path, wedge, change, message):
    (tmp_path / "0.glb").write_bytes(export_glb(wedge))
    (tmp_path / "result.json").write_text(json.dumps({**ANSWER, **change}))
    handle = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(BadInput, match=message):
        command.read_result(handle, 1, 1.0)
    os.close(handle)


def test_a_flood_of_output_is_read_and_forgotten(speaks, seen):
    lines = "for _ in range(300): os.write(1, b'x' * 100_000)\nprint('\\nthe end'); sys.exit(1)"
    with pytest.raises(BadInput, match="code 1: the end"):
        speaks(lines).ask(seen, seed=0, count=1)


def test_nothing_of_its_group_is_left(speaks, seen, tmp_path):
    began = time.monotonic()
    lines = f"""
        left = subprocess.Popen(["sleep", "30"])
        pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(left.pid))
    """
    speaks(lines, environment={"PATH": os.defpath}).ask(seen, seed=0, count=1)
    pid = int((tmp_path / "pid").read_text())
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
        assert time.monotonic() < began + 10, "the child of the command is still there"
        time.sleep(0.05)


def test_a_command_that_is_not_there_says_so(seen):
    with pytest.raises(BadInput, match="/nowhere/python cannot be started: No such file"):
        CommandProposer(["/nowhere/python"], environment={}, seconds=5).propose(seen, seed=0, count=1)


def test_an_empty_mask_is_refused_before_anything_runs(seen):
    nothing = ObjectInput(seen.rgb, np.zeros_like(seen.mask), seen.pointmap)
    with pytest.raises(BadInput, match="mask is empty"):
        CommandProposer(["/nowhere/python"], environment={}, seconds=5).propose(nothing, seed=0, count=1)
