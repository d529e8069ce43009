"""The steps of a build on one machine: its plan, its shards in as many processes, each with its own sources."""

import importlib
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from model_zoo.build.kinds import Encode, Settings
from model_zoo.build.place import Place, place_of
from model_zoo.build.plan import Summary, check_free, make_plan, read_plan, read_work, same_build, same_source
from model_zoo.build.run import Opener, is_done, open_raster, run_shard
from model_zoo.build.sources import Stock, open_stock
from model_zoo.io.errors import BadInput

# A process a core, so one thread each; and memory that was freed is kept, or a tenth of the time goes to page faults.
CHILDREN = {
    "LP_NUM_THREADS": "0",
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
    "MALLOC_TRIM_THRESHOLD_": "1000000000",
}


def stocks(settings: Settings, endpoint: str = "") -> tuple[Stock, Stock]:
    """The sources of photos and of meshes, which may be one. Raises BadInput."""
    first = open_stock(settings.source, endpoint)
    return first, open_stock(settings.meshes, endpoint) if settings.meshes else first


def planned(settings: Settings, place: Place, stocks: tuple[Stock, Stock]) -> tuple[Summary, Settings]:
    """The plan in a place, made now if there is none, and its settings.

    Raises BadInput when it is another build's, or of other meshes and photos than the sources have now.
    """
    summary = read_plan(place)
    if summary is None:
        check_free(place, settings)
        definite = replace(settings, renderer=open_raster(settings).backend)
        return make_plan(definite, *stocks, place), definite
    definite = same_build(summary, settings)
    same_source(summary, definite, *stocks)
    return summary, definite


def encoder_of(settings: Settings) -> Encode | None:
    """What makes latents of shapes, where that is asked for: the one thing here that needs torch. Raises BadInput."""
    if not settings.encoder:
        return None
    encode: Encode = importlib.import_module("model_zoo.build.latents").encoder(Path(settings.encoder))
    return encode


def build_shard(settings: Settings, out: str, number: int) -> tuple[int, int]:
    """Build one shard that is planned, unless it is there; (rows, refused)."""
    place = place_of(out)
    if not is_done(place, number):
        opener = Opener(*stocks(settings))
        report = run_shard(settings, read_work(place, number), place, opener, encoder_of(settings))
        return report["rows"], len(report["refused"])
    return 0, 0


def build_all(settings: Settings, out: str, workers: int) -> None:
    """Build every planned shard that is missing, in as many processes. Raises BadInput when one dies."""
    place = place_of(out)
    summary, settings = planned(settings, place, stocks(settings))
    missing = [number for number in range(summary.shards) if not is_done(place, number)]
    print(f"{summary.shards} shards planned, {summary.shards - len(missing)} there already")
    if not missing:
        return
    for name, value in CHILDREN.items():
        os.environ.setdefault(name, value)
    with (
        tqdm(total=len(missing), unit=" shards", desc=settings.variant, disable=None) as bar,
        ProcessPoolExecutor(min(workers, len(missing)), get_context("spawn")) as pool,
    ):
        futures = [pool.submit(build_shard, settings, out, number) for number in missing]
        rows = refused = 0
        try:
            for future in as_completed(futures):
                done = future.result()
                rows, refused = rows + done[0], refused + done[1]
                bar.set_postfix_str(f"{rows} samples, {refused} refused")
                bar.update()
        except BrokenProcessPool:
            raise BadInput(
                "a process died (out of memory?): what is done is kept, run the same command again to go on, "
                "with fewer --workers",
                "process_died",
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
