"""What fuzzing has found, each with the smallest file that shows it."""

import io
import json
import zipfile

import numpy as np
import pytest

from foc_tf import run_tables
from foc_tf.backbones import pytorch_file
from foc_tf.backbones.efficientnet_lite0 import read_arrays
from foc_tf.comparing import reaching
from foc_tf.formats import dcic, tree

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
