"""A lock of threads does not outlive a fork, and travels with what it guards."""

import multiprocessing
import pickle
from pathlib import Path

from model_zoo.data.locks import ThreadLock
from model_zoo.data.places import Folder


def test_a_forked_process_finds_it_free_whoever_held_it() -> None:
    place = Folder(Path(__file__).parent)
    with place._lock:  # as a thread would in the middle of opening a file
        child = multiprocessing.get_context("fork").Process(target=place.size, args=(Path(__file__).name,))
        child.start()
        child.join(20)
        code = child.exitcode
        child.kill()
    assert code == 0


def test_pickled_it_is_a_new_one() -> None:
    lock = ThreadLock()
    with lock, pickle.loads(pickle.dumps(lock)):
        assert lock._lock.locked()
