"""The house keeps its shape: who may import whom, no circles, no import inside a function, nothing run at import."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = ("backend", "annotator_ui", "workers", "model_zoo", "deploy", "tests")
# DESIGN, «Layout»: a part may import these and nothing else of ours.
MAY_IMPORT = {
    "annotator_ui": {"annotator_ui"},
    "workers": {"workers", "backend", "model_zoo"},
    "backend": {"backend"},
    "model_zoo": {"model_zoo"},
    "deploy": {"deploy"},
}
# Inside backend one direction: a room may import those on its right.
DIRECTION = [
    "urls",
    "training",
    "datasets",
    "art3do",
    "annotation",
    "proposals",
    "catalog",
    "uploads",
    "serving",
    "accounts",
    "paging",
    "jobs",
    "storage",
    "models",
]
FOREIGN = {
    "backend": {"torch", "trimesh", "numpy", "model_zoo"},
    "model_zoo": {"django", "celery", "rest_framework"},
}


def modules(part: str) -> Iterator[tuple[Path, ast.Module]]:
    """Every source file of a part, parsed."""
    for path in sorted((ROOT / part).rglob("*.py")):
        if "migrations" not in path.parts:
            yield path, ast.parse(path.read_text())


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Dotted names a file imports, with their line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_a_part_imports_only_what_the_design_allows(part: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path, tree in modules(part)
        for name, line in imports(tree)
        if (top := name.split(".")[0]) in OURS and top not in MAY_IMPORT[part]
    ]
    assert wrong == []


@pytest.mark.parametrize("part", FOREIGN)
def test_a_part_stays_free_of_the_other_sides_libraries(part: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path, tree in modules(part)
        for name, line in imports(tree)
        if name.split(".")[0] in FOREIGN[part]
    ]
    assert wrong == []


def test_backend_apps_import_in_one_direction() -> None:
    wrong = []
    for path, tree in modules("backend"):
        room = path.relative_to(ROOT / "backend").parts[0].removesuffix(".py")
        if room not in DIRECTION:
            continue
        for name, line in imports(tree):
            parts = name.split(".")
            if parts[0] != "backend" or parts[1] not in DIRECTION:
                continue
            if DIRECTION.index(parts[1]) < DIRECTION.index(room):
                wrong.append(f"{path.relative_to(ROOT)}:{line} ({room}) imports {name}")
    assert wrong == []


def test_no_star_import_and_no_import_of_ours_inside_a_function() -> None:
    wrong = []
    for part in MAY_IMPORT:
        for path, tree in modules(part):
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} star import")
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    wrong += [
                        f"{path.relative_to(ROOT)}:{line} imports {name} inside {node.name}"
                        for name, line in imports(node)
                        if name.split(".")[0] in OURS
                    ]
    assert wrong == []


def test_only_settings_reads_the_environment() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for part in ("backend", "workers", "annotator_ui", "model_zoo")
        for path, tree in modules(part)
        if path.name != "settings.py"
        and any(isinstance(node, ast.Attribute) and node.attr == "environ" for node in ast.walk(tree))
        and "setdefault" not in path.read_text()
    ]
    assert wrong == []


def test_only_jobs_sends_to_celery() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for part in ("backend", "annotator_ui")
        for path, tree in modules(part)
        if path != ROOT / "backend/jobs.py"
        and any(name.split(".")[0] == "celery" for name, _ in imports(tree))
    ]
    assert wrong == []


@pytest.mark.parametrize("part", list(MAY_IMPORT))
def test_every_module_says_what_it_is_for(part: str) -> None:
    mute = [
        str(path.relative_to(ROOT))
        for path, tree in modules(part)
        if path.name != "__init__.py" and tree.body and not ast.get_docstring(tree)
    ]
    assert mute == []


def test_model_zoo_io_and_data_load_neither_torch_nor_django() -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for part in ("io", "data")
        for path in (ROOT / "model_zoo" / part).glob("*.py")
        if path.name not in ("__init__.py", "torch_side.py")
    ]
    code = (
        f"import importlib, sys; [importlib.import_module(n) for n in {names!r}];"
        "assert not {'torch', 'django'} & set(sys.modules), 'heavy import'"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_only_api_js_fetches_only_scene_imports_three_only_pages_touch_the_dom() -> None:
    static = ROOT / "annotator_ui/static/annotator_ui"
    wrong = []
    for path in sorted(static.rglob("*.js")):
        text, where = path.read_text(), path.relative_to(static)
        if "fetch(" in text and where.name != "api.js":
            wrong.append(f"{where} calls fetch")
        if ('from "three' in text or "from 'three" in text) and where.parts[0] != "scene":
            wrong.append(f"{where} imports three")
        if "document." in text and where.parts[0] not in {"pages"}:
            wrong.append(f"{where} touches the DOM")
    assert wrong == []
