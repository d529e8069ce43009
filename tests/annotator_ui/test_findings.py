"""The sentences of the mesh report: one for everything that model_zoo/report can say, with all its numbers filled in."""

import ast
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from backend.art3do.services import FIXES
from model_zoo.io.errors import BadInput
from model_zoo.io.meshes import LoadedMesh
from model_zoo.report.report import examine, refused
from tests.processes import PROJECT

MODULE = PROJECT / "annotator_ui/static/annotator_ui/findings.js"
LEVELS = {"error", "warning", "info", "ok"}


def javascript(body: str, *values: Any) -> Any:
    """What an expression over the module `m` and the given `values` evaluates to."""
    script = f"import * as m from {json.dumps(MODULE.as_uri())}; const values = {json.dumps(values)};"
    script += f"process.stdout.write(JSON.stringify({body}));"
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    return json.loads(done.stdout)


def emitted() -> set[tuple[str, str]]:
    """Every (check, level) that a call of Finding or ok in model_zoo/report names; a level in a variable can be any of its values."""
    found: set[tuple[str, str]] = set()
    for path in sorted((PROJECT / "model_zoo/report").glob("*.py")):
        found |= _calls(path)
    return found


def _calls(path: Path) -> set[tuple[str, str]]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id == "ok" and isinstance(node.args[0], ast.Constant):
            found.add((node.args[0].value, "ok"))
        if node.func.id == "Finding" and isinstance(node.args[0], ast.Constant):
            named = {each.value for each in ast.walk(node.args[1]) if isinstance(each, ast.Constant)} & LEVELS
            found |= {(node.args[0].value, level) for level in named or {"info", "ok"}}
    return found


def test_every_check_has_a_name_and_every_level_of_it_a_sentence() -> None:
    said = javascript("[m.SENTENCES, m.CHECKS, m.LEVELS]")
    known = {(check, level) for check, levels in said[0].items() for level in levels}
    assert emitted() <= known, emitted() - known
    assert {check for check, _ in emitted()} == set(said[1])
    assert set(said[2]) == LEVELS


def test_every_repair_has_words() -> None:
    assert set(javascript("m.FIXES")) == set(FIXES)


def meshes() -> dict[str, LoadedMesh]:
    """Meshes with something wrong each."""
    box = trimesh.creation.box((0.4, 1.0, 0.4))
    opened = trimesh.Trimesh(box.vertices, box.faces[2:], process=False)
    turned = trimesh.Trimesh(box.vertices, box.faces[:, ::-1], process=False)
    crossed = trimesh.util.concatenate(
        [trimesh.creation.icosphere(subdivisions=2), trimesh.creation.box((0.2, 3, 0.2))]
    )
    speck = trimesh.creation.icosphere(subdivisions=0, radius=1e-3).apply_translation([0.3, 0, 0])
    doubled = trimesh.Trimesh(box.vertices, np.vstack([box.faces, box.faces[:1]]), process=False)
    flat = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]], process=False)
    made = {
        "box": box, "open": opened, "turned": turned, "crossed": crossed, "doubled": doubled, "flat": flat,
        "millimetres": box.copy().apply_scale(1000), "huge": box.copy().apply_scale(1e6),
        "speck": trimesh.util.concatenate([box, speck]),
    }  # fmt: skip
    return {name: LoadedMesh(mesh, "glb", ["the texture is missing"]) for name, mesh in made.items()}


@pytest.mark.parametrize("name", sorted(meshes()))
def test_no_sentence_lacks_a_number(name: str) -> None:
    findings = [
        {"check": each.check, "level": each.level, "params": each.params, "message": each.message, "advice": each.advice}
        for each in examine(meshes()[name], None).findings
    ]  # fmt: skip
    said = javascript("values[0].map((f) => [m.sentence(f), m.advice(f)])", findings)
    for finding, (sentence, advice) in zip(findings, said, strict=True):
        assert sentence and not set("{}") & set(sentence + advice), (finding, sentence)
        assert bool(advice) == bool(finding["advice"] and finding["level"] != "ok"), finding


@pytest.mark.parametrize(
    "code", ["empty", "not_a_mesh", "no_geometry", "missing_file", "archive_bomb", "bad_line"]
)
def test_a_file_that_cannot_be_read_is_named(code: str) -> None:
    finding = refused(b"%PDF-1.4", BadInput("OBJ: line 3 needs 3 numbers", code)).findings[0]
    values = {"check": "file", "level": "error", "params": finding.params, "message": finding.message}
    sentence = javascript("m.sentence(values[0])", values)
    assert sentence and "{" not in sentence
    if code == "bad_line":
        assert sentence.endswith("line 3 needs 3 numbers")
    if code == "not_a_mesh":
        assert "a PDF document" in sentence


def test_every_kind_of_file_that_a_refusal_names_is_known_in_the_readers_language() -> None:
    tree = ast.parse((PROJECT / "model_zoo/io/sniff.py").read_text())
    pairs = [node.elts for node in ast.walk(tree) if isinstance(node, ast.Tuple) and len(node.elts) in {2, 3}]
    words = {
        each.value
        for elts in pairs
        for each in ast.walk(elts[-1])
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }
    assert "plain text" in words and "an SVG drawing" not in words  # that one is chosen in a variable
    kinds = set(javascript("m.KINDS"))
    assert words <= kinds and {"an SVG drawing", "an HTML page", "markup"} <= kinds
