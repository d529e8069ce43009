"""Sparse convolution and windowed attention on a shell of 26,000 active voxels, on CPU, at full widths.

Limits: at most three times the arithmetic (2 x pairs x Cin x Cout FLOP, pairs of neighbours or of tokens in a window)
at the matrix-product rate of the same run, and peak memory linear in voxels. Run as: python -m tests.bench.bench_model_sparse
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from model_zoo.texture.attention import WindowAttention, attend_windows
from model_zoo.texture.sparse import SparseConv, Voxels

SIZES = (13_000, 26_000, 52_000)
CONVOLUTIONS = ((128, 128), (128, 1024), (768, 192), (192, 192))
WIDTH, HEADS, WINDOW = 768, 12, 8
MOST_RATIO, MOST_GROWTH, REPEATS = 3.0, 2.4, 3


def shell(count: int) -> Voxels:
    """About `count` voxels of a hollow ball, as a pruned object leaves them; the grid grows with the count."""
    radius = 28.0 * (count / 26_000) ** 0.5
    side = int(2 * radius) + 6
    axes = torch.meshgrid(*[torch.arange(side) - side / 2 + 0.5] * 3, indexing="ij")
    inside = (torch.stack(axes).norm(dim=0) - radius).abs() < 1.33
    coords = inside.nonzero()
    return Voxels(torch.cat([coords.new_zeros(len(coords), 1), coords], 1))


def seconds(run: Callable[[], object]) -> float:
    """The fastest of a few runs after one to warm up."""
    run()
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def rate(rows: int, width_in: int, width_out: int) -> float:
    """FLOP/s of one matrix product of this size, fp32."""
    a, b = torch.randn(rows, width_in), torch.randn(width_in, width_out)
    return 2 * rows * width_in * width_out / seconds(lambda: a @ b)


def row(name: str, flop: float, took: float, speed: float) -> bool:
    """Prints one measurement; False when it misses the limit."""
    ratio = took / (flop / speed)
    print(f"| {name} | {flop / 1e9:.1f} | {speed / 1e9:.0f} | {took * 1000:.0f} | {ratio:.2f} |")
    return ratio <= MOST_RATIO


def convolutions(voxels: Voxels) -> bool:
    good, pairs = True, len(voxels.neighbours.out)
    for width_in, width_out in CONVOLUTIONS:
        net, x = SparseConv(width_in, width_out, 3), torch.randn(len(voxels), width_in)
        speed = rate(pairs // 27, width_in, width_out)
        took = seconds(lambda net=net, x=x: net(x, voxels))
        good &= row(f"convolution {width_in} -> {width_out}", 2 * pairs * width_in * width_out, took, speed)
    return good


def attention(voxels: Voxels) -> bool:
    """Whole layer with its projections, and the attention alone, both kinds of window."""
    good, net = True, WindowAttention(WIDTH, HEADS, norm=False)
    x, speed = torch.randn(len(voxels), WIDTH), rate(len(voxels), WIDTH, WIDTH)
    qkv = torch.randn(3, len(voxels), HEADS, WIDTH // HEADS)
    for shift in (0, WINDOW // 2):
        windows = voxels.windows(WINDOW, shift)
        pairs = sum(count * length**2 for count, length in windows.groups)
        core, projections = 4 * pairs * WIDTH, 8 * len(voxels) * WIDTH**2
        took = seconds(lambda w=windows: attend_windows(*qkv, w.groups))
        good &= row(f"attention in windows, shift {shift}", core, took, speed)
        took = seconds(lambda w=windows: net(x, w))
        good &= row("the same with projections", core + projections, took, speed)
    return good


def _peak(count: int) -> None:
    """Prints by how many bytes the peak of this process grows in tables, two convolutions and an attention layer."""
    voxels, before = shell(count), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    x: Tensor = torch.randn(len(voxels), 128)
    x = SparseConv(128, WIDTH, 3)(x, voxels)
    WindowAttention(WIDTH, HEADS, norm=False)(x, voxels.windows(WINDOW, 0))
    print(len(voxels), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)


def memory() -> bool:
    """Each size in a process of its own; twice the voxels may take twice the memory and a little."""
    print("\n| voxels | peak MB | kB per voxel |\n|---|---|---|")
    peaks = []
    for size in SIZES:
        command = [sys.executable, "-m", "tests.bench.bench_model_sparse", "--peak", str(size)]
        count, peak = map(
            int, subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
        )
        print(f"| {count} | {peak / 1e6:.0f} | {peak / count / 1e3:.1f} |")
        peaks.append(peak)
    return all(more <= MOST_GROWTH * less for less, more in zip(peaks, peaks[1:], strict=False))


@torch.no_grad()
def main(arguments: list[str]) -> int:
    """Exit code 1 when a limit is missed."""
    if arguments[:1] == ["--peak"]:
        _peak(int(arguments[1]))
        return 0
    voxels = shell(SIZES[1])
    start = time.perf_counter()
    pairs = len(voxels.neighbours.out)
    print(
        f"{len(voxels)} voxels, {pairs / len(voxels):.1f} neighbours each, table in "
        f"{(time.perf_counter() - start) * 1000:.0f} ms, {torch.get_num_threads()} threads"
    )
    print("\n| what | GFLOP | matmul GFLOP/s | ms | times the arithmetic |\n|---|---|---|---|---|")
    results = [convolutions(voxels), attention(voxels), memory()]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
