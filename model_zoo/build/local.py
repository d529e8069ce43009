"""The steps of a build on one machine: its plan, its shards in as many processes, each with its own sources."""

import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from tqdm import tqdm

from model_zoo.build.kinds import Settings
from model_zoo.build.place import Place, place_of
from model_zoo.build.plan import Summary, make_plan, read_plan, read_work, same_build
from model_zoo.build.run import Opener, is_done, run_shard
from model_zoo.build.sources import Stock, open_stock
from model_zoo.io.errors import BadInput


def stocks(settings: Settings, endpoint: str = "") -> tuple[Stock, Stock]:
    """The sources of photos and of meshes, which may be one. Raises BadInput."""
    first = open_stock(settings.source, endpoint)
    return first, open_stock(settings.meshes, endpoint) if settings.meshes else first


def planned(settings: Settings, place: Place) -> Summary:
    """The plan in a place, made now if there is none. Raises BadInput when it is another build's."""
    summary = read_plan(place)
    if summary is None:
        return make_plan(settings, *stocks(settings), place)
    same_build(summary, settings)
    return summary


def build_shard(settings: Settings, out: str, number: int) -> tuple[int, int]:
    """Build one shard that is planned, unless it is there; (rows, refused)."""
    # A software rasteriser with a thread per core would fight with the other processes.
    os.environ.setdefault("LP_NUM_THREADS", "1")
    place = place_of(out)
    if not is_done(place, number):
        report = run_shard(settings, read_work(place, number), place, Opener(*stocks(settings)))
        return report["rows"], len(report["refused"])
    return 0, 0


def build_all(settings: Settings, out: str, workers: int) -> None:
    """Build every planned shard that is missing, in as many processes. Raises BadInput when one dies."""
    place = place_of(out)
    summary = planned(settings, place)
    missing = [number for number in range(summary.shards) if not is_done(place, number)]
    print(f"{summary.shards} shards planned, {summary.shards - len(missing)} there already")
    if not missing:
        return
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
