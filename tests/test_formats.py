"""Readers of other tools' annotations: every form, and what damaged input says."""

import contextlib
import csv
import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foc_tf.formats import text, votes
from foc_tf.formats.tree import Tree, inside
from tests.making import png, said, write

EXPECTED = {"a.png": {"cat": 2, "dog": 1}, "b.png": {"dog": 3}, "c.png": {}}
FORMS = {
    "long": "image,annotator,label\na.png,x,cat\na.png,y,cat\na.png,z,dog\n"
    "b.png,x,dog\nb.png,y,dog\nb.png,z,dog\nc.png,x,\n",
    "counts": "image,class,votes\na.png,cat,2\na.png,dog,1\nb.png,dog,3\nc.png,dog,0\n",
    "wide": "image,cat,dog\na.png,2,1\nb.png,0,3\nc.png,0,0\n",
    "annotators": "image,x,y,z\na.png,cat,cat,dog\nb.png,dog,dog,dog\nc.png,NaN,,nan\n",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_all_forms_of_votes_say_the_same(tmp_path, form, delimiter, ending, encoding):
    content = FORMS[form].replace(",", delimiter).replace("\n", ending).encode(encoding)
    tree = write(tmp_path, {"a.png": None, "b.png": None, "c.png": None, "votes.csv": content})
    collection = votes.read(tree)
    counted = {k: {c: n for c, n in v.items() if n} for k, v in said(collection).items()}
    assert counted == EXPECTED
    assert form in collection.notes[0]


def test_integer_labels_of_annotators_need_the_form_said(tmp_path):
    # Whole numbers in every cell may be counts as well; empty cells tell the two apart.
    table = "image,x,y\na.png,0,1\nb.png,1,1\n"
    tree = write(tmp_path, {"a.png": None, "b.png": None, "votes.csv": table})
    assert said(votes.read(tree))["b.png"] == {"x": 1, "y": 1}
    assert said(votes.read(tree, form="annotators"))["b.png"] == {"1": 2}
    tree = write(tmp_path, {"votes.csv": table.replace("b.png,1,1", "b.png,1,")})
    assert said(votes.read(tree))["b.png"] == {"1": 1}


def test_shares_need_the_number_of_votes(tmp_path):
    tree = write(tmp_path, {"a.png": None, "votes.csv": "image,cat,dog\na.png,0.75,0.25\n"})
    with pytest.raises(ValueError, match="line 2: 'cat'.*0.75.*votes_per_image"):
        votes.read(tree)
    assert said(votes.read(tree, votes_per_image=4)) == {"a.png": {"cat": 3, "dog": 1}}


DAMAGED = {
    "": "empty",
    "image,label\n": "header without rows",
    "picture,label\na.png,cat\n": "no column for the image.*picture, label",
    "image\na.png\n": "no column beside 'image'",
    "image,class,votes\na.png,cat,many\n": "line 2: 'votes'.*'many'",
    "image,class,votes\na.png,cat,-1\n": "line 2.*'-1'",
    "image,class,votes\na.png,cat,1,9\n": "line 2: 4 fields.*header has 3",
    "image,class,votes\na.png,cat\n": "line 2: 2 fields.*header has 3",
    'image,label\na.png,"cat\nb.png,dog\n': "line 3.*is a quote not closed",
    'image,label\na.png,"cat" or dog\n': "line 2.*expected after",
    "image,label\n/etc/hosts.png,cat\n": "line 2.*relative to the table",
    "image,label\n../x.png,cat\n": "line 2.*relative to the table",
    "image,label\nC:\\x.png,cat\n": "line 2.*relative to the table",
    "image,label\nnot_here.png,cat\n": "none of the images.*not_here.png",
    "image,label,label\na.png,cat,cat\n": "line 1.*'label' stands twice",
    "image,label\na.png,c\0at\n": "line 2: a NUL byte",
    "image,label\n,cat\n": "line 2: no image",
}


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_tables_are_named_with_file_and_line(tmp_path, content):
    tree = write(tmp_path, {"a.png": None, "votes.csv": content})
    with pytest.raises(ValueError, match=f"votes.csv.*({DAMAGED[content]})"):
        votes.read(tree)


@pytest.mark.parametrize("share", ["inf", "-inf", "nan", "1e999"])
def test_shares_are_finite(tmp_path, share):
    table = f"image,cat,dog\na.png,{share},1\nb.png,1,0\n"
    tree = write(tmp_path, {"a.png": None, "b.png": None, "votes.csv": table})
    with pytest.raises(ValueError, match=f"line 2: 'cat'.*{share}"):
        votes.read(tree, form="wide", votes_per_image=10)


def test_quoted_cells_may_hold_the_delimiter_and_line_breaks(tmp_path):
    table = 'image\tlabel\na.png\t"a\tb"\nb.png\t"one\r\ntwo\u2028three"\n'
    tree = write(tmp_path, {"a.png": None, "b.png": None, "votes.tsv": table})
    # classes.txt has a line a class, so a break in a name becomes a blank.
    assert said(votes.read(tree)) == {"a.png": {"a\tb": 1}, "b.png": {"one two three": 1}}


def test_images_without_a_row_are_unlabelled(tmp_path):
    table = "image,label\nin/a.png,cat\n"
    tree = write(tmp_path, {"in/a.png": None, "images/b.png": None, "c.png": None, "v.csv": table})
    # Beside the table only images/ is a data set's; c.png may be anything.
    assert said(votes.read(tree)) == {"in/a.png": {"cat": 1}, "images/b.png": {}}
    elsewhere = write(tmp_path / "tables", {"v.csv": table}).path / "v.csv"
    images = write(tmp_path / "images only", {"in/a.png": None, "c.png": None})
    assert said(votes.read(images, table=elsewhere)) == {"in/a.png": {"cat": 1}, "c.png": {}}


def test_a_table_without_any_vote_is_a_list_of_images(tmp_path):
    info = '{"classes": ["cat", "dog"]}'
    files = {"images/a.png": None, "votes.csv": "image,class,votes\n", "dataset.json": info}
    collection = votes.read(write(tmp_path, files))
    assert said(collection) == {"images/a.png": {}}
    assert collection.classes == ["cat", "dog"]


def test_too_many_classes_are_no_classes(tmp_path):
    rows = "".join(f"a.png,c{i}\n" for i in range(10_001))
    tree = write(tmp_path, {"a.png": None, "votes.csv": "image,label\n" + rows})
    with pytest.raises(ValueError, match="more than 10,000 classes"):
        votes.read(tree)


def test_missing_images_are_listed_and_the_rest_is_read(tmp_path):
    table = "image,label\na.png,cat\ngone.png,dog\n"
    collection = votes.read(write(tmp_path, {"a.png": None, "votes.csv": table}))
    assert said(collection) == {"a.png": {"cat": 1}}
    assert "line 3" in collection.skipped[0][0]
    assert "gone.png" in collection.skipped[0][1]


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["a.png", "b.png"]),
            st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(str.strip),
        ).filter(lambda row: row[1]),
        min_size=1,
        max_size=20,
    )
)
@settings(max_examples=100, deadline=None)
def test_any_name_of_a_class_survives(tmp_path_factory, rows):
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([("image", "label"), *rows])
    folder = tmp_path_factory.mktemp("votes")
    tree = write(folder, {"a.png": None, "b.png": None, "votes.csv": buffer.getvalue()})
    collection = votes.read(tree)
    expected = {}
    for image, label in rows:
        own, label = expected.setdefault(image, {}), " ".join(label.splitlines())
        own[label] = own.get(label, 0) + 1
    assert {k: v for k, v in said(collection).items() if v} == expected


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_table_or_a_message(content):
    with contextlib.suppress(ValueError):
        table = text.Table(content, "x.csv")
        assert all(set(row) == set(table.header) for _, row in table.rows())


# Trees


def test_nothing_outside_a_folder_is_read(tmp_path):
    (tmp_path / "secret.png").write_bytes(png())
    tree = write(tmp_path / "in", {"a.png": None})
    (tmp_path / "in" / "out.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "in" / "own.png").symlink_to(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    (tmp_path / "in" / "gone.png").symlink_to(tmp_path / "in" / "nothing.png")
    tree = Tree(tmp_path / "in")
    assert tree.names == ["a.png", "own.png"]
    assert set(tree.outside) == {"out.png", "up"}
    for name in ("../secret.png", "/etc/passwd", "..", "a/../../secret.png", "C:/x", "\\\\x\\y"):
        assert inside("", name) is None, name
    assert inside("t", "../a.png") == "a.png"


@pytest.mark.parametrize("name", ["../evil.png", "/evil.png", "a/../../evil.png", "..\\evil.png"])
def test_zip_slip_is_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(name, png())
    with pytest.raises(ValueError, match="leads out of it"):
        Tree(tmp_path / "x.zip")


def test_bombs_and_damage_of_archives(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"\n" * 2**25)
    with pytest.raises(ValueError, match="zip bomb"):
        Tree(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", b"x" * 1000)
    with pytest.raises(ValueError, match="unpacks to"):
        Tree(path, max_total_bytes=100)
    with pytest.raises(ValueError, match="larger than"):
        Tree(path, max_file_bytes=100).read("a.csv")
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read|damaged"):
        Tree(path).read("a.csv")
    path.write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(ValueError, match="not a zip archive"):
        Tree(path)
