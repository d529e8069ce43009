"""What importing the networks costs on top of `import torch`, median of five new processes (limit 0.5 s).

The pipeline beside it also brings what meshes and pictures need: trimesh, scipy, scikit-image.
"""

import statistics
import subprocess
import sys

LIMIT = 0.5
NETWORKS = "model_zoo.geometry.model, model_zoo.texture.model, model_zoo.extract.flexicubes"
CODE = "import time, torch; began = time.perf_counter(); import {}; print(time.perf_counter() - began)"


def seconds(modules: str) -> float:
    """Median over five processes."""
    command = [sys.executable, "-c", CODE.format(modules)]
    return statistics.median(
        float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(5)
    )


def main() -> int:
    networks = seconds(NETWORKS)
    print(
        f"the networks {networks:.2f} s (limit {LIMIT}); the pipeline with its meshes {seconds('model_zoo.pipeline'):.2f} s"
    )
    return 0 if networks <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
