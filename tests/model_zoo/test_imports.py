"""Importing model_zoo: no device is touched, no network is needed, and the networks pull in nothing but torch."""

import subprocess
import sys

NETWORKS = "model_zoo.geometry.sampler, model_zoo.geometry.model, model_zoo.texture.model, model_zoo.extract.flexicubes"
CHECK = f"""
import socket, sys, torch
def refused(*args, **kwargs):
    raise AssertionError("an import opened a connection")
socket.socket.connect = socket.create_connection = refused
import {NETWORKS}
heavy = sorted({{"trimesh", "skimage", "sklearn", "matplotlib", "torchvision"}} & set(sys.modules))
assert not heavy, heavy
import model_zoo.proposers.sam3d, model_zoo.evaluate, model_zoo.parity
assert not torch.cuda.is_initialized()
"""


def test_importing_touches_no_device_and_no_network():
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True)
    assert not done.returncode, done.stderr
