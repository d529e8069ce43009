"""Run the measurements of one group: python -m tests.bench platform|model|data [NAME ...]

bench_model_*.py and bench_data_*.py are groups of their own, every other bench_*.py is the platform's. Each runs
as a process on durable services in a folder of its own that is deleted afterwards, never on the user's own data.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy import embedded

GROUPS = ("platform", "model", "data")
HERE = Path(__file__).resolve().parent


def scripts(group: str) -> list[str]:
    """Module names of one group, sorted."""
    names = sorted(path.stem for path in HERE.glob("bench_*.py"))
    special = {
        name: kind for name in names for kind in ("model", "data") if name.startswith(f"bench_{kind}_")
    }
    return [name for name in names if special.get(name, "platform") == group]


def measure(name: str) -> bool:
    """Run one script on an empty database of its own; False when it fails or misses its limit."""
    folder = Path(tempfile.mkdtemp(prefix="maquette-bench-"))
    os.environ["MAQUETTE_HOME"] = str(folder)
    urls = embedded.ensure(folder)
    try:
        print(f"\n== {name.removeprefix('bench_')}", flush=True)
        return not subprocess.run(
            [sys.executable, "-m", f"tests.bench.{name}"], cwd=HERE.parents[1]
        ).returncode
    finally:
        embedded.release(folder, wait=True)
        for variable in urls:
            del os.environ[variable]
        shutil.rmtree(folder, ignore_errors=True)


def main(arguments: list[str]) -> int:
    """Exit code 1 when a measurement fails or misses its limit."""
    if not arguments or arguments[0] not in GROUPS:
        print(f"usage: python -m tests.bench {'|'.join(GROUPS)} [NAME ...]", file=sys.stderr)
        return 2
    group, *only = arguments
    chosen = [
        name for name in scripts(group) if not only or name in only or name.removeprefix("bench_") in only
    ]
    if not chosen:
        print(
            f"no measurement in group {group}" + (f" named {' '.join(only)}" if only else ""), file=sys.stderr
        )
        return 1
    failed = [name for name in chosen if not measure(name)]
    print(
        f"\n{len(chosen) - len(failed)} of {len(chosen)} measurements passed"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
