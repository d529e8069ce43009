"""Scratch folders of a build: what is being written stays, what a killed process left goes."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from model_zoo.build.place import TMP, Folder

WRITER = """
import sys, time
from pathlib import Path
from model_zoo.build.place import Folder
with Folder(Path(sys.argv[1])).scratch() as folder:
    (folder / "half.tar.part").write_text("half")
    print(folder, flush=True)
    time.sleep(60)
"""


def test_tidying_leaves_what_another_process_writes_until_it_is_dead(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    half = Path(child.stdout.readline().strip()) / "half.tar.part"
    Folder(tmp_path).tidy()
    assert half.read_text() == "half"
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert half.exists()
    Folder(tmp_path).tidy()
    assert not (tmp_path / TMP).exists()


def test_a_scratch_folder_is_made_while_others_tidy(tmp_path: Path) -> None:
    place, stop = Folder(tmp_path), threading.Event()

    def tidy() -> None:
        while not stop.wait(0.002):
            place.tidy()

    others = [threading.Thread(target=tidy) for _ in range(2)]
    for other in others:
        other.start()
    try:
        for number in range(200):
            with place.scratch() as folder:
                assert not list(folder.iterdir())
                (folder / "file").write_text(str(number))
                place.put(f"parts/{number}", folder / "file")
    finally:
        stop.set()
        for other in others:
            other.join()
    assert len(place.names("parts/")) == 200
    place.tidy()
    assert not (tmp_path / TMP).exists()
