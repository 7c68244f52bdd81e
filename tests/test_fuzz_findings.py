"""What fuzzing has found, each with the smallest file that shows it."""

import io
import json
import pickle
import resource
import zipfile

import numpy as np
import pytest

from foc_tf import run_tables
from foc_tf.backbones import pytorch_file
from foc_tf.backbones.efficientnet_lite0 import read_arrays
from foc_tf.comparing import reaching
from foc_tf.formats import dcic, ecotaxa, tree

_CENTRAL = b"PK\x01\x02"  # an entry of a zip file's table; byte 6 is the version it needs


def zipped(**members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, value in members.items():
            archive.writestr(name, value)
    return content.getvalue()


def of_another_version(content):
    """A zip file that needs version 17.9 of the format, which Python does not know."""
    place = content.index(_CENTRAL) + 6
    return content[:place] + bytes([179]) + content[place + 1 :]


def test_pytorch_weights_in_an_unknown_version_of_zip(tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(of_another_version(zipped(data="")))
    with pytest.raises(ValueError, match=r"a\.pth: not a PyTorch state dict \(zip file version"):
        pytorch_file.read_tensors(path)


def test_arrays_in_an_unknown_version_of_zip(tmp_path):
    path, content = tmp_path / "a.npz", io.BytesIO()
    np.savez(content, a=np.zeros(3))
    path.write_bytes(of_another_version(content.getvalue()))
    with pytest.raises(ValueError, match=r"Cannot read .*a\.npz"):
        read_arrays(path)


def test_an_archives_own_bytes_do_not_flood_the_message(tmp_path):
    path = tmp_path / "a.zip"
    content = zipped(**{"b" * 2000: "x"})
    # The name before the file itself is another than the table's; Python's message has both.
    path.write_bytes(content.replace(b"b" * 2000, b"c" * 2000, 1))
    archive = tree.Tree(path)
    with pytest.raises(ValueError, match="cannot be read") as error:
        archive.read("b" * 2000)
    assert len(str(error.value)) < len(str(path)) + 2000 + 300


def test_a_row_with_more_cells_than_the_header_is_not_cut(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss\n0,1.5,7\n")
    with pytest.raises(ValueError, match=r"history\.csv: not a CSV table"):
        run_tables.read(path, ["epoch"])


def test_a_member_without_a_name(tmp_path):
    path = tmp_path / "a.zip"
    content = zipped(a="x")
    # Both names of the member end before they begin.
    path.write_bytes(content.replace(b"a", b"\0"))
    with pytest.raises(ValueError, match="a member without a name"):
        tree.Tree(path)


def test_dcic_s_own_values_do_not_flood_the_message(tmp_path):
    (tmp_path / "annotations.json").write_text(
        json.dumps([{"name": "e", "annotations": [{"[" * 3000: 1}]}])
    )
    with pytest.raises(ValueError, match="expected image_path and class_label") as error:
        dcic.read(tree.Tree(tmp_path))
    assert len(str(error.value)) < len(str(tmp_path)) + 400


def test_a_long_name_of_a_column_does_not_flood_the_message(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("seconds,images,val_" + "[" * 3000 + "\n1,2,3\n")
    with pytest.raises(ValueError, match="has no column 'val_x'") as error:
        reaching.reached(path, reaching.Goal("val_x", 0.5))
    assert len(str(error.value)) < len(str(path)) + 500


def test_a_number_in_a_pickle_does_not_take_all_memory(tmp_path):
    path = tmp_path / "a.pth"
    # Protocol 2, an empty dict, kept as value 2 ** 30 (Python would take 16 GB for it), end.
    path.write_bytes(b"\x80\x02}r" + (2**30).to_bytes(4, "little") + b".")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"a\.pth: not a PyTorch state dict \(LONG_BINPUT 107"):
        pytorch_file.read_tensors(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # kB


@pytest.mark.parametrize("count", [-1, 3, 2**60])
def test_a_storage_larger_than_its_file(tmp_path, count):
    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQ"
    )
    pickles = [
        pickle.dumps(0x1950A86A20F9469CFC6C, 2),
        *(pickle.dumps(each, 2) for each in (1001, {})),
        b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + b"K\x00K\x02\x85K\x01\x85\x89}tRs.",
        pickle.dumps(["0"], 2),
    ]
    path, values = tmp_path / "a.pth", np.float32([1, 2]).tobytes()
    path.write_bytes(b"".join(pickles) + (2).to_bytes(8, "little") + values)
    np.testing.assert_array_equal(pytorch_file.read_tensors(path)["a"], [1, 2])
    path.write_bytes(b"".join(pickles) + count.to_bytes(8, "little", signed=True) + values)
    with pytest.raises(ValueError, match="storage '0' reaches beyond the file"):
        pytorch_file.read_tensors(path)


def test_a_long_cell_does_not_flood_the_message(tmp_path):
    columns = "object_id\timg_file_name\tobject_annotation_category\n"
    (tmp_path / "ecotaxa_1.tsv").write_text(columns + "[t]\t[t]\t" + "[" * 3000 + "\n")
    with pytest.raises(ValueError, match=r"needs \[t\] or \[f\]") as error:
        ecotaxa.read(tree.Tree(tmp_path))
    assert len(str(error.value)) < len(str(tmp_path)) + 500
