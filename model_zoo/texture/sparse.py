"""Active voxels in plain PyTorch: tables built once per object, convolution, pooling, subdivision.

Shapes: N active voxels, C channels. Coordinates are (N, 4) integers: object, x, y, z; the rows of an object lie together.
"""

from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise, product
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

OFFSETS = list(product((-1, 0, 1), repeat=3))  # taps of a 3^3 kernel, z fastest
CHILDREN = list(product((0, 1), repeat=3))
CPU_ELEMENTS = 1 << 20  # numbers copied at a time per thread: what stays near the cache
GPU_ELEMENTS = 1 << 27  # numbers copied at a time: what fits beside the rest


class Taps(NamedTuple):
    """Row pairs, tap after tap: output row out[j] sees input row into[j]; tap t owns starts[t] .. starts[t + 1].

    Within a tap no output row comes twice, so sums are the same on every run, on a GPU too.
    """

    out: Tensor  # (P,) int32
    into: Tensor  # (P,) int32
    starts: list[int]

    @staticmethod
    def of(pairs: list[tuple[Tensor, Tensor]]) -> "Taps":
        """From pairs (output rows, input rows), one for each tap."""
        starts = [0]
        for out, _ in pairs:
            starts.append(starts[-1] + len(out))
        return Taps(torch.cat([o for o, _ in pairs]).int(), torch.cat([i for _, i in pairs]).int(), starts)


class Pooling(NamedTuple):
    """Voxels at half the resolution and where their features come from."""

    voxels: "Voxels"  # the parents, sorted by object, x, y, z
    parent: Tensor  # (N,) row of each voxel's parent
    count: Tensor  # (parents, 1) children of each
    taps: Taps  # from children to parents, one tap per place among the eight


class Windows(NamedTuple):
    """Rows sorted so that windows of one length follow each other: groups of (how many, length)."""

    order: Tensor | None  # None where the rows lie so already
    inverse: Tensor | None
    groups: list[tuple[int, int]]


class Voxels:
    """Active voxels of one or more objects; each table is built when first asked for and kept."""

    def __init__(self, coords: Tensor) -> None:
        self.coords = coords.long()
        self._windows: dict[tuple[int, int], Windows] = {}

    def __len__(self) -> int:
        return len(self.coords)

    @cached_property
    def objects(self) -> list[int]:
        """Voxels of each object, in the order of the rows."""
        return torch.unique_consecutive(self.coords[:, 0], return_counts=True)[1].tolist()

    @cached_property
    def neighbours(self) -> Taps:
        """The 27 taps of a submanifold 3^3 convolution, in the order of OFFSETS."""
        side = int(self.coords.max()) + 3
        key = _key(self.coords, side)
        ordered, row = key.sort()
        half = []
        for dx, dy, dz in OFFSETS[:13]:
            wanted = key + (dx * side + dy) * side + dz
            at = torch.searchsorted(ordered, wanted).clamp_max(len(key) - 1)
            out = (ordered[at] == wanted).nonzero()[:, 0]
            half.append((out, row[at[out]]))
        self_pairs = torch.arange(len(key), device=key.device)
        return Taps.of([*half, (self_pairs, self_pairs), *[(i, o) for o, i in reversed(half)]])

    @cached_property
    def pooling(self) -> Pooling:
        """Voxels of half the resolution and who belongs to whom."""
        halves = torch.cat([self.coords[:, :1], self.coords[:, 1:] // 2], 1)
        side = int(halves.max()) + 1
        _, parent, count = torch.unique(_key(halves, side), return_inverse=True, return_counts=True)
        coords = halves.new_empty(len(count), 4).index_copy_(0, parent, halves)
        place = (self.coords[:, 1:] % 2 * torch.tensor([4, 2, 1], device=parent.device)).sum(1)
        rows = [(place == p).nonzero()[:, 0] for p in range(8)]
        return Pooling(Voxels(coords), parent, count[:, None], Taps.of([(parent[r], r) for r in rows]))

    @cached_property
    def children(self) -> "Voxels":
        """All eight children of every voxel, row 8 i + (4 dx + 2 dy + dz) for child (dx, dy, dz) of row i."""
        places = torch.tensor(CHILDREN, device=self.coords.device)
        fine = self.coords[:, None, 1:] * 2 + places
        coords = torch.cat([self.coords[:, None, :1].expand(-1, 8, -1), fine], -1)
        return Voxels(coords.flatten(0, 1))

    @cached_property
    def whole(self) -> Windows:
        """One window per object."""
        return _windows(self.coords[:, :1])

    def windows(self, size: int, shift: int) -> Windows:
        """Cells of (coordinate + shift) // size; cells at the border are not merged with those opposite."""
        if (size, shift) not in self._windows:
            cells = torch.cat([self.coords[:, :1], (self.coords[:, 1:] + shift) // size], 1)
            self._windows[size, shift] = _windows(cells)
        return self._windows[size, shift]


def _key(coords: Tensor, side: int) -> Tensor:
    """One integer per row, in lexicographic order; leaves room for a step over the border when side = max + 3."""
    key = coords[:, 0]
    for axis in (1, 2, 3)[: coords.shape[1] - 1]:
        key = key * side + coords[:, axis]
    return key


def _windows(cells: Tensor) -> Windows:
    _, cell, count = torch.unique(_key(cells, int(cells.max()) + 1), return_inverse=True, return_counts=True)
    order = (count[cell] * len(count) + cell).argsort(stable=True)
    lengths, windows = torch.unique(count, return_counts=True)
    groups = list(zip(windows.tolist(), lengths.tolist(), strict=True))
    if bool((order[1:] > order[:-1]).all()):
        return Windows(None, None, groups)
    return Windows(order, order.argsort(), groups)


torch.library.define(
    "maquette::tap_sum",
    "(Tensor x, Tensor weight, Tensor out, Tensor into, SymInt[] starts, SymInt rows) -> Tensor",
)


@torch.library.impl("maquette::tap_sum", "default")
def _tap_sum(x: Tensor, weight: Tensor, out: Tensor, into: Tensor, starts: list[int], rows: int) -> Tensor:
    """sum over taps t and pairs (o, i) of t: y[o] += x[i] @ weight[t]; x (N, Cin), weight (T, Cin, Cout) -> (rows, Cout).

    A faster backend registers its own kernel for its device here. Sums are in fp32 for half-precision inputs.
    """
    y = x.new_zeros(rows, weight.shape[2], dtype=torch.promote_types(x.dtype, torch.float32))
    step = _step(x, weight)
    if _is_repeating(x, weight, into):
        for t, w in enumerate(weight):
            product = x @ w
            for _, a, b in _blocks(starts[t : t + 2], step):
                y.index_add_(0, out[a:b], product.index_select(0, into[a:b]).to(y.dtype))
    else:
        for t, a, b in _blocks(starts, step):
            y.index_add_(0, out[a:b], (x.index_select(0, into[a:b]) @ weight[t]).to(y.dtype))
    return y.to(x.dtype)


def _is_repeating(x: Tensor, weight: Tensor, into: Tensor) -> bool:
    """Whether rows of x are wanted so often that all of them are better multiplied before they are copied."""
    return len(into) > len(weight) * len(x)


def _step(x: Tensor, weight: Tensor) -> int:
    elements = CPU_ELEMENTS * torch.get_num_threads() if x.device.type == "cpu" else GPU_ELEMENTS
    return max(1, elements // max(weight.shape[1:]))


def _blocks(starts: list[int], step: int) -> Iterator[tuple[int, int, int]]:
    """(tap, from, to) of at most `step` pairs, the same part of every tap in turn: neighbours lie near each other."""
    taps = list(pairwise(starts))
    count = max(1, -(-max(b - a for a, b in taps) // step))
    for j in range(count):
        for t, (a, b) in enumerate(taps):
            yield t, a + (b - a) * j // count, a + (b - a) * (j + 1) // count


@torch.library.register_fake("maquette::tap_sum")
def _fake_tap_sum(
    x: Tensor, weight: Tensor, out: Tensor, into: Tensor, starts: list[int], rows: int
) -> Tensor:
    return x.new_empty(rows, weight.shape[2])


def _tap_sum_saved(ctx: torch.autograd.function.FunctionCtx, inputs: tuple, output: Tensor) -> None:
    x, weight, out, into, ctx.starts, _ = inputs
    ctx.save_for_backward(x, weight, out, into)


def _tap_sum_backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> tuple:
    """Rows are gathered anew, so that training keeps x alone and not its copies."""
    x, weight, out, into = ctx.saved_tensors
    wide, step = torch.promote_types(x.dtype, torch.float32), _step(x, weight)
    grad_x, grad_weight = torch.zeros_like(x, dtype=wide), torch.zeros_like(weight, dtype=wide)
    if _is_repeating(x, weight, into):
        for t, w in enumerate(weight):
            gathered = grad.new_zeros(len(x), grad.shape[1], dtype=wide)
            for _, a, b in _blocks(ctx.starts[t : t + 2], step):
                gathered.index_add_(0, into[a:b], grad.index_select(0, out[a:b]).to(wide))
            gathered = gathered.to(x.dtype)
            grad_x += gathered @ w.T
            grad_weight[t] = x.T @ gathered
    else:
        for t, a, b in _blocks(ctx.starts, step):
            g = grad.index_select(0, out[a:b])
            grad_x.index_add_(0, into[a:b], (g @ weight[t].T).to(wide))
            grad_weight[t] += x.index_select(0, into[a:b]).T @ g
    return grad_x.to(x.dtype), grad_weight.to(weight.dtype), None, None, None, None


torch.library.register_autograd("maquette::tap_sum", _tap_sum_backward, setup_context=_tap_sum_saved)


def convolve(x: Tensor, weight: Tensor, bias: Tensor, taps: Taps, rows: int) -> Tensor:
    """Sparse convolution: x (N, Cin), weight (Cout, k, k, k, Cin) as released, taps in kernel order -> (rows, Cout)."""
    kind = x.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
    kernel = weight.to(dtype).flatten(1, 3).permute(1, 2, 0)
    total = torch.ops.maquette.tap_sum(x.to(dtype), kernel, taps.out, taps.into, taps.starts, rows)
    return total + bias.to(dtype)


def pool(x: Tensor, pooling: Pooling) -> Tensor:
    """(N, C) -> (parents, C): sum / (count + 1), as the released model counts the pooling's zero seed."""
    total = x.new_zeros(len(pooling.voxels), x.shape[1])
    for a, b in pairwise(pooling.taps.starts):
        total.index_add_(0, pooling.taps.out[a:b], x.index_select(0, pooling.taps.into[a:b]))
    return total / (pooling.count + 1)


class SparseConv(nn.Module):
    """Submanifold convolution of odd kernel size 1 or 3: output at the existing voxels only."""

    def __init__(self, width_in: int, width_out: int, kernel: int) -> None:
        super().__init__()
        bound = (kernel**3 * width_in) ** -0.5
        weight = torch.empty(width_out, kernel, kernel, kernel, width_in).uniform_(-bound, bound)
        # Released names: conv.weight, conv.bias.
        self.conv = nn.ParameterDict({"weight": weight, "bias": torch.zeros(width_out)})

    def forward(self, x: Tensor, voxels: Voxels, source: Tensor | None = None) -> Tensor:
        """(N, Cin) -> (N, Cout); with `source` (N,) the input is x[source], which is never built."""
        weight, bias = self.conv["weight"], self.conv["bias"]
        if weight.shape[1] == 1:
            y = F.linear(x, weight.flatten(1), bias)
            return y if source is None else y.index_select(0, source)
        taps = voxels.neighbours
        if source is not None:
            taps = taps._replace(into=source.int().index_select(0, taps.into))
        return convolve(x, weight, bias, taps, len(voxels))
