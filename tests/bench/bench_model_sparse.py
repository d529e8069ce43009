"""Sparse convolution and windowed attention on a shell of 26,000 active voxels, on CPU, at full widths.

Limits: at most three times the arithmetic (2 x pairs x Cin x Cout FLOP, pairs of neighbours or of tokens in a window)
at the matrix-product rate of the same run, and peak memory linear in voxels. The limit is held against the CPU time of one
thread, which a busy machine does not stretch; wall time with all threads is printed beside it.
Run as: python -m tests.bench.bench_model_sparse
"""

import sys
import time
from collections.abc import Callable
from itertools import accumulate

import torch
from torch.profiler import ProfilerActivity, profile

from model_zoo.texture.attention import WindowAttention, attend_windows
from model_zoo.texture.sparse import SparseConv, Voxels

SIZES = (13_000, 26_000, 52_000)
CONVOLUTIONS = ((128, 128), (192, 192), (768, 192))
WIDTH, HEADS, WINDOW = 768, 12, 8
MOST_RATIO, MOST_GROWTH, REPEATS = 3.0, 1.2, 3
THREADS = torch.get_num_threads()


def shell(count: int) -> Voxels:
    """About `count` voxels of a hollow ball, as a pruned object leaves them; the grid grows with the count."""
    radius = 28.0 * (count / 26_000) ** 0.5
    side = int(2 * radius) + 6
    axes = torch.meshgrid(*[torch.arange(side) - side / 2 + 0.5] * 3, indexing="ij")
    inside = (torch.stack(axes).norm(dim=0) - radius).abs() < 1.33
    coords = inside.nonzero()
    return Voxels(torch.cat([coords.new_zeros(len(coords), 1), coords], 1))


def best(clock: Callable[[], float], *runs: Callable[[], object]) -> list[float]:
    """The fastest seconds of each run, taken in turn so that whatever else runs slows all of them alike."""
    for run in runs:
        run()
    times = [float("inf")] * len(runs)
    for _ in range(REPEATS):
        for i, run in enumerate(runs):
            start = clock()
            run()
            times[i] = min(times[i], clock() - start)
    return times


def measure(name: str, flop: float, run: Callable[[], object], product: tuple[int, int, int]) -> bool:
    """Prints one row beside a matrix product (rows, Cin, Cout) in fp32; False when the limit is missed."""
    rows, width_in, width_out = product
    x, weight = torch.randn(rows, width_in), torch.randn(width_in, width_out)
    ratios, cells = [], []
    for threads, clock in ((1, time.thread_time), (THREADS, time.perf_counter)):
        torch.set_num_threads(threads)
        took, reference = best(clock, run, lambda: x @ weight)
        speed = 2 * rows * width_in * width_out / reference
        ratios.append(took / (flop / speed))
        cells.append(f"{speed / 1e9:.0f} | {took * 1000:.0f} | {ratios[-1]:.2f}")
    print(f"| {name} | {flop / 1e9:.1f} | {' | '.join(cells)} |", flush=True)
    return ratios[0] <= MOST_RATIO


def convolutions(voxels: Voxels) -> bool:
    good, pairs = True, len(voxels.neighbours.out)
    for width_in, width_out in CONVOLUTIONS:
        net, x = SparseConv(width_in, width_out, 3), torch.randn(len(voxels), width_in)
        flop, product = 2 * pairs * width_in * width_out, (pairs // 27, width_in, width_out)
        name = f"convolution {width_in} -> {width_out}"
        good &= measure(name, flop, lambda net=net, x=x: net(x, voxels), product)
    return good


def attention(voxels: Voxels) -> bool:
    """The attention alone and the whole layer with its projections."""
    net, x = WindowAttention(WIDTH, HEADS, norm=False), torch.randn(len(voxels), WIDTH)
    qkv = torch.randn(3, len(voxels), HEADS, WIDTH // HEADS)
    windows, product = voxels.windows(WINDOW, WINDOW // 2), (len(voxels), WIDTH, WIDTH)
    core = 4 * WIDTH * sum(count * length**2 for count, length in windows.groups)
    alone = measure("attention in windows", core, lambda: attend_windows(*qkv, windows.groups), product)
    flop = core + 8 * len(voxels) * WIDTH**2
    return measure("the same with projections", flop, lambda: net(x, windows), product) and alone


def peak(run: Callable[[], object]) -> int:
    """Most bytes that tensors made inside `run` hold at one time."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as measured:
        run()
    events = [e for e in measured.profiler.kineto_results.events() if e.name() == "[memory]"]
    return max(accumulate(e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())))


def memory() -> bool:
    """Tables, a convolution and an attention layer: twice the voxels may take twice the memory and a little."""
    conv, layer = SparseConv(128, WIDTH, 3), WindowAttention(WIDTH, HEADS, norm=False)
    print("\n| voxels | peak MB | kB per voxel |\n|---|---|---|")
    each = []
    for size in SIZES:
        voxels = shell(size)
        x = torch.randn(len(voxels), 128)
        most = peak(lambda v=voxels, x=x: layer(conv(x, v), v.windows(WINDOW, 0)))
        print(f"| {len(voxels)} | {most / 1e6:.0f} | {most / len(voxels) / 1e3:.1f} |", flush=True)
        each.append(most / len(voxels))
    return max(each) <= MOST_GROWTH * min(each)


@torch.no_grad()
def main() -> int:
    """Exit code 1 when a limit is missed."""
    voxels = shell(SIZES[1])
    start = time.perf_counter()
    pairs = len(voxels.neighbours.out)
    print(f"{len(voxels)} voxels, {pairs / len(voxels):.1f} neighbours each, table in ", end="")
    print(
        f"{(time.perf_counter() - start) * 1000:.0f} ms; GFLOP/s of a matrix product, ms, times the arithmetic"
    )
    print(f"\n| what | GFLOP | 1 thread | ms | times | {THREADS} threads | ms | times |\n" + "|---" * 8 + "|")
    results = [convolutions(voxels), attention(voxels), memory()]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
