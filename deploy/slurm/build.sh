#!/usr/bin/env bash
# Build a data set as a Slurm array, one task per shard. Not run on a cluster yet (see ../README.md).
#   deploy/slurm/build.sh iso3do --from /data/meshes --out /data/iso3do [--limit N] [--seed S] ...
# --out (and --from) must be the same folder, or the same s3:// prefix, on every node. Run it again to go on.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
PYTHON=${PYTHON:-$root/.venv/bin/python}
ATONCE=${ATONCE:-200} # tasks that run at a time

planned=$("$PYTHON" -m model_zoo.build "$@" --plan | tail -n 1)
echo "$planned"
shards=${planned%% *}
array=$(sbatch --parsable --array="0-$((shards - 1))%$ATONCE" "$root/deploy/slurm/shard.sbatch" "$PYTHON" "$@")
sbatch --dependency="afterok:$array" --job-name=maquette-finish --wrap="$(printf '%q ' "$PYTHON" -m model_zoo.build "$@" --finish)"
