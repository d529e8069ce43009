"""Batches for training: workers and ranks, killed in mid-epoch and continued exactly, also by other numbers of them."""

import json
import multiprocessing
import os
import shutil
import signal
import time
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch.utils.data import default_collate

from model_zoo.data.reader import DataSet, Sample
from model_zoo.data.stream import Share, Stream
from model_zoo.data.torch_side import Batches, share_of_process
from model_zoo.io.errors import BadInput
from tests.model_zoo.built import plain_set

ROWS = 90


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plain_set(tmp_path_factory.mktemp("plain") / "set", ROWS, size=500)


def number(sample: Sample) -> int:
    return int.from_bytes(sample["data"][:4], "little")


def made(place: Path, rank: int = 0, world: int = 1, *, batch: int = 4, workers: int = 0, **how) -> Batches:
    stream = Stream(DataSet(place), then=number, share=Share(rank, world, batch=batch), **how)
    return Batches(stream, workers=workers, collate=default_collate)


def test_two_ranks_of_two_workers_give_every_row_once(plain: Path) -> None:
    ranks = [list(made(plain, rank, 2, workers=2)) for rank in range(2)]
    seen = torch.cat([batch for rank in ranks for batch in rank])
    assert sorted(seen.tolist()) == list(range(ROWS))
    alone = list(made(plain))
    together = [batch for pair in zip(*ranks) for batch in pair]
    assert all(torch.equal(a, b) for a, b in zip(alone, together))  # the same order, dealt out


def test_a_resume_is_exact_whatever_the_workers_had_read_ahead(plain: Path) -> None:
    whole = [b.tolist() for b in made(plain)] + [b.tolist() for b in _second(made(plain))]
    got, state = [], None
    for count, workers in ((3, 2), (2, 0), (40, 1), (6, 2)):
        batches = made(plain, workers=workers)
        if state:
            batches.load_state_dict(state)
        got += [b.tolist() for b in islice(batches, count)]
        state = json.loads(json.dumps(batches.state_dict()))
    assert got == whole[: len(got)] and len(got) == 23 + 6


def _second(batches: Batches) -> Batches:
    batches.stream.seek(1, 0)
    return batches


def test_two_ranks_stop_and_three_continue(plain: Path) -> None:
    seen, states = [], []
    for rank in range(2):
        batches = made(plain, rank, 2, workers=2)
        seen += [n for b in islice(batches, 4) for n in b.tolist()]
        states.append(batches.state_dict())
    assert states[0] == states[1]
    for rank in range(3):
        batches = made(plain, rank, 3, batch=5, workers=1)
        batches.load_state_dict(states[0])
        seen += [n for b in batches for n in b.tolist()]
    assert sorted(seen) == list(range(ROWS))


def test_a_state_inside_a_batch_is_left_to_streams(plain: Path) -> None:
    batches, stream = made(plain), made(plain).stream
    list(islice(stream, 6))
    with pytest.raises(BadInput, match="inside a batch"):
        batches.load_state_dict(stream.state_dict())
    assert batches.state_dict() == made(plain).state_dict()
    list(islice(stream, 2))
    batches.load_state_dict(stream.state_dict())
    assert next(iter(batches)).tolist() == list(islice(stream, 4))


def _training(place: Path, log: Path, state: Path, pause: float) -> None:
    """Writes each batch and then the state, as a training loop would, in a process group of its own."""
    if pause:
        os.setsid()
    batches = made(place, workers=2)
    if state.exists():
        batches.load_state_dict(json.loads(state.read_text()))
    for batch in batches:
        with log.open("a") as out:
            out.write(json.dumps(batch.tolist()) + "\n")
        state.with_suffix(".part").write_text(json.dumps(batches.state_dict()))
        state.with_suffix(".part").replace(state)
        time.sleep(pause)


def test_killed_in_mid_epoch_with_workers_it_continues(plain: Path, tmp_path: Path) -> None:
    log, state = tmp_path / "log", tmp_path / "state.json"
    child = multiprocessing.get_context("fork").Process(target=_training, args=(plain, log, state, 0.05))
    child.start()
    ends = time.monotonic() + 30
    while not log.exists() or len(log.read_text().splitlines()) < 5:
        assert child.is_alive() and time.monotonic() < ends
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGKILL)
    child.join()
    killed = len(log.read_text().splitlines())
    _training(plain, log, state, 0)
    got = [json.loads(line) for line in log.read_text().splitlines()]
    whole = [b.tolist() for b in made(plain)]
    assert 5 <= killed < len(whole)
    # A batch may have been given out whose state was not yet written: it comes again, nothing is lost or out of order.
    assert [b for n, b in enumerate(got) if b not in got[:n]] == whole and len(got) <= len(whole) + 1


def test_broken_rows_make_their_batch_smaller_and_are_reported_to_the_main_process(
    plain: Path, tmp_path: Path
) -> None:
    shutil.copytree(plain, tmp_path / "set")
    next(iter(sorted((tmp_path / "set/shards").iterdir()))).unlink()
    batches = made(tmp_path / "set", workers=2)
    seen = [n for b in batches for n in b.tolist()]
    assert len(set(seen)) == len(seen) == ROWS - batches.stream.report.counts.total() < ROWS
    assert "iso3do-000000.tar" in str(batches.stream.report)
    strict = made(tmp_path / "set", workers=2, strict=True)
    with pytest.raises(BadInput, match="cannot be read"):
        list(strict)


def test_without_a_process_group_one_process_has_all() -> None:
    assert share_of_process(8) == Share(batch=8)
