"""What importing the model costs on top of `import torch`, median of five new processes (limit 0.5 s)."""

import statistics
import subprocess
import sys

LIMIT = 0.5
MODULES = {
    "the networks": "model_zoo.geometry.model, model_zoo.texture.model, model_zoo.extract.flexicubes",
    "the pipeline, meshes included": "model_zoo.pipeline",
}
CODE = "import time, torch; began = time.perf_counter(); import {}; print(time.perf_counter() - began)"


def main() -> int:
    within = True
    for name, modules in MODULES.items():
        runs = [
            float(
                subprocess.run(
                    [sys.executable, "-c", CODE.format(modules)], capture_output=True, check=True
                ).stdout
            )
            for _ in range(5)
        ]
        print(f"{name}: {statistics.median(runs):.2f} s (limit {LIMIT})")
        within &= statistics.median(runs) <= LIMIT
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
