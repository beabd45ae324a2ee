"""Files of torch.save give their tensors, and never run what they hold."""

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.checkpoint.config import CheckpointError
from worker.checkpoint.torch_file import TorchFile
from worker.checkpoint.weights import Weights, weight_files

BGE_M3 = Path(__file__).parents[2] / "golden" / "bge_m3"


def written(path, content, *, storages=None, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", content)
        for key, values in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", values)
    return path


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value):
    return b"J" + struct.pack("<i", value)


def state_dict(*, shape=(2,), strides=(1,), offset=0, rebuild="torch._utils\n_rebuild_tensor_v2"):
    """Pickle {"w": a float tensor over storage 0} as torch does."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
    storage += number(8) + b"tQ"
    sizes = b"".join(b"(" + b"".join(map(number, each)) + b"t" for each in (shape, strides))
    unused = b"\x89ccollections\nOrderedDict\n)R"
    arguments = b"(" + storage + number(offset) + sizes + unused + b"t"
    return b"\x80\x02}(" + text("w") + b"c" + rebuild.encode() + b"\n" + arguments + b"Ru."


VALUES = np.arange(8, dtype="<f4")


def test_half_precision_heads_are_read(tmp_path):
    with Weights(weight_files(BGE_M3, "colbert_linear")) as weights:
        assert set(weights) == {"weight", "bias"}
        assert weights.shape("weight") == (48, 48)
        assert weights.read("weight", (48, 48)).dtype == np.float32


def test_a_tensor_may_be_a_strided_part_of_its_storage(tmp_path):
    content = state_dict(shape=(2, 3), strides=(1, 2), offset=1)
    path = written(tmp_path / "w.pt", content, storages={"0": VALUES.tobytes()})
    file = TorchFile(path)
    assert (file.floats(), file.shape("w")) == (["w"], (2, 3))
    np.testing.assert_array_equal(file.read("w"), [[1, 3, 5], [2, 4, 6]])


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_would_run_code_is_refused_and_does_not(tmp_path, protocol):
    victim = tmp_path / "victim"
    content = pickle.dumps({"w": Payload(victim)}, protocol=protocol)
    with pytest.raises(CheckpointError, match=r"evil\.pt: is refused"):
        TorchFile(written(tmp_path / "evil.pt", content))
    assert not victim.exists()
    pickle.loads(content)
    assert victim.exists(), "the payload is harmless and proves nothing"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"cos\nsystem\n(" + text("true") + b"tR.", "names os.system"),
        (b"cbuiltins\neval\n(" + text("1") + b"tR.", "names builtins.eval"),
        (state_dict(rebuild="torch._utils\n_rebuild_xla_tensor"), "_rebuild_xla_tensor"),
        (b"ctorch\nFloatStorage\n)R.", "calls what makes no tensor"),
        (b"\x80\x02}(" + text("w") + text("x") + b"tQ.", "reference is not to a storage|malformed"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "opcode STACK_GLOBAL"),
        (b"\x80\x02]q\x00.", "no dictionary"),
        (b"\x80\x02}q\x00", "malformed"),
        (b"", "malformed"),
    ],
)
def test_a_pickle_of_anything_else_is_refused(tmp_path, content, problem):
    with pytest.raises(CheckpointError, match=problem):
        TorchFile(written(tmp_path / "w.pt", content))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # escapes in the opcodes' own text
@settings(max_examples=200)
@given(content=st.binary(max_size=60), where=st.integers(0, 200))
def test_no_damage_ends_in_anything_but_a_checkpoint_error(tmp_path_factory, content, where):
    whole = state_dict()
    damaged = whole[:where] + content + whole[where + len(content) :]
    path = written(tmp_path_factory.mktemp("d") / "w.pt", damaged, storages={"0": b"\0" * 32})
    try:
        file = TorchFile(path)
        for name in file.floats():
            file.read(name)
    except CheckpointError:
        pass


@pytest.mark.parametrize(
    ("changes", "storages"),
    [
        ({"shape": (9,)}, {"0": VALUES.tobytes()}),
        ({"offset": 7}, {"0": VALUES.tobytes()}),
        ({"strides": (100,)}, {"0": VALUES.tobytes()}),
        ({}, {}),
    ],
)
def test_a_tensor_beyond_its_storage_is_named(tmp_path, changes, storages):
    content = state_dict(**changes)
    file = TorchFile(written(tmp_path / "w.pt", content, storages=storages))
    with pytest.raises(CheckpointError, match="tensor w cannot be read"):
        file.read("w")


def test_a_compressed_file_is_refused(tmp_path):
    path = written(tmp_path / "w.pt", state_dict(), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="is compressed"):
        TorchFile(path)


@pytest.mark.parametrize("content", [b"", b"PK", pickle.dumps({}), io.BytesIO().getvalue()])
def test_what_is_no_zip_file_is_named(tmp_path, content):
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin: is not a zip file"):
        TorchFile(path)


def test_safetensors_are_preferred(tmp_path):
    for name in ("pytorch_model.bin", "model.safetensors"):
        (tmp_path / name).touch()
    assert weight_files(tmp_path, "model") == [tmp_path / "model.safetensors"]
