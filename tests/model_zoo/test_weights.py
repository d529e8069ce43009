"""Weight files of strangers: tensors are read, nothing else ever is, and every refusal is one line."""

import os
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import load_file, save_file

from model_zoo.io.errors import BadInput
from model_zoo.weights import WeightFile, some, write


class Harmful:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


def harmful(path):
    torch.save({"state_dict": {"a": Harmful(path.parent / "mark")}}, path)


def old_kind(path):
    torch.save({"a": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)


def plain_pickle(path):
    path.write_bytes(pickle.dumps(Harmful(path.parent / "mark"), protocol=0))


def truncated(path):
    torch.save({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:3000])


def truncated_safetensors(path):
    save_file({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:3000])


def compressed(path):
    torch.save({"a": torch.zeros(3)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {m.filename: archive.read(m) for m in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def some_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photo.txt", "hello")


def a_list(path):
    torch.save([torch.zeros(3)], path)


def numbered(path):
    torch.save({1: torch.zeros(3)}, path)


def enormous_header(path):
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")


HOSTILE = [
    harmful, old_kind, plain_pickle, truncated, truncated_safetensors, compressed, some_zip, a_list, numbered,
    enormous_header,
]  # fmt: skip


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_a_hostile_file_is_refused_in_one_line_and_runs_nothing(tmp_path, make):
    path = tmp_path / "weights.ckpt"
    make(path)
    with pytest.raises(BadInput, match=r"weights\.ckpt") as refusal:
        WeightFile(path)
    text = str(refusal.value)
    assert "\n" not in text and "weights_only" not in text and not (tmp_path / "mark").exists()


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x03\x04" + bytes(50), bytes(1000), b"\x80\x02." * 9])
def test_bytes_that_are_nothing_are_refused(tmp_path, data):
    (tmp_path / "weights.ckpt").write_bytes(data)
    with pytest.raises(BadInput, match=r"weights\.ckpt"):
        WeightFile(tmp_path / "weights.ckpt")


def test_a_path_without_a_file_is_named(tmp_path):
    for path in (tmp_path / "none.ckpt", tmp_path):
        with pytest.raises(BadInput, match="cannot read"):
            WeightFile(path)


@pytest.mark.parametrize(
    "value", [7, "text", [torch.zeros(2)], torch.zeros(2).to_sparse(), torch.zeros(2, device="meta")], ids=str
)
def test_what_is_no_plain_tensor_is_refused_when_it_is_asked_for(tmp_path, value):
    torch.save({"a": torch.ones(2), "b": value}, tmp_path / "w.ckpt")
    file = WeightFile(tmp_path / "w.ckpt")
    assert file.get("a").tolist() == [1, 1]
    with pytest.raises(BadInput, match="b is not a plain tensor"):
        file.get("b")


def test_a_tensor_that_claims_more_than_its_file_holds_is_refused_or_never_made(tmp_path):
    torch.save({"a": torch.zeros(1).expand(1 << 40)}, tmp_path / "w.ckpt")
    assert WeightFile(tmp_path / "w.ckpt").get("a").untyped_storage().nbytes() == 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_what_is_written_is_a_safetensors_file(tmp_path, dtype):
    given = {
        "a": torch.rand(2, 3),
        "b.c": torch.rand(4).to(torch.float64),
        "d": torch.rand(3, 2).T,
        "e": torch.tensor(2.0),
    }
    write(tmp_path / "w", {n: tuple(v.shape) for n, v in given.items()}, dtype, given.values())
    found = load_file(tmp_path / "w")
    assert all(torch.equal(found[n], v.to(dtype)) for n, v in given.items()) and set(found) == set(given)


def test_values_that_do_not_match_their_shapes_are_a_mistake(tmp_path):
    with pytest.raises(ValueError, match="a is"):
        write(tmp_path / "w", {"a": (2,)}, torch.float32, [torch.zeros(3)])


def test_many_names_are_cut_short():
    assert some("dcba") == "a, b, c and 1 more" and some("ab") == "a, b"
