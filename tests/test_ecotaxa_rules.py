"""EcoTaxa's import rules for files, archives, encodings and updates, each broken once."""

import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foc_tf.formats import ecotaxa_rules
from foc_tf.formats.ecotaxa_rules import Problem, check
from tests.ecotaxa_tables import PNG, lines_of, only, table


def test_a_good_table_passes(saved):
    assert check(saved(table())) == []


def test_a_problem_is_readable():
    assert str(Problem("e.tsv", 3, "object_lat", "no")) == "e.tsv, line 3, object_lat: no"
    assert str(Problem("e.tsv", None, None, "no")) == "e.tsv: no"


# --- files


@pytest.mark.parametrize("name", ["ecotaxa.tsv", "ecotaxa_x.txt", "ecotaxa-1.2.tsv"])
def test_names_ecotaxa_finds(saved, name):
    path = saved(table(), name)
    assert check(path) == []
    assert check(path.parent) == []


@pytest.mark.parametrize("name", ["Ecotaxa_x.tsv", "ecotaxa_x.TSV", "ECOTAXA.txt"])
def test_names_in_the_wrong_case(saved, name):
    path = saved(table(), name)
    assert only(check(path), "lower case")
    assert only(check(path.parent), "lower case")


def test_a_table_of_another_name(saved):
    path = saved(table(), "labels.tsv")
    assert only(check(path), "ecotaxa*.tsv")
    assert only(check(path.parent), "no table")


def test_tables_at_any_depth(tmp_path, saved):
    path = saved(table(), "deep/er/ecotaxa_x.tsv")
    (path.parent / "a.png").write_bytes(PNG)
    assert check(tmp_path) == []


def test_at_most_2000_tables(tmp_path, saved, monkeypatch):
    assert ecotaxa_rules.MAX_FILES == 2000
    monkeypatch.setattr(ecotaxa_rules, "MAX_FILES", 1)
    saved(table())
    saved(table(object_id="o2"), "ecotaxa_y.tsv")
    assert only(check(tmp_path), "limit is 1")


def test_a_path_that_is_not_there(tmp_path):
    assert only(check(tmp_path / "ecotaxa_x.tsv"), "cannot be read")
    assert only(check(tmp_path / "x.zip"), "cannot be opened")


# --- zips


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def test_a_good_zip(tmp_path):
    members = {
        "in/ecotaxa_x.tsv": table(img_file_name="img/b.jpg"),
        "in/img/b.jpg": b"\xff\xd8\xff",
    }
    assert check(zipped(tmp_path / "x.zip", **members)) == []


def test_a_zip_without_the_image(tmp_path):
    members = {"in/ecotaxa_x.tsv": table(), "a.png": PNG}
    assert only(check(zipped(tmp_path / "x.zip", **members)), "is missing", "img_file_name", 3)


def test_a_zip_that_leads_outside(tmp_path):
    members = {"ecotaxa_x.tsv": table(), "a.png": PNG, "../b.png": PNG}
    assert only(check(zipped(tmp_path / "x.zip", **members)), "outside the zip")


def test_damaged_zips(tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(b"PK\x03\x04 not a zip")
    assert only(check(path), "cannot be opened")
    zipped(path, **{"ecotaxa_x.tsv": table() * 50, "a.png": PNG})
    raw = bytearray(path.read_bytes())
    raw[50:70] = bytes(20)
    path.write_bytes(raw)
    assert only(check(path), "cannot be read")


# --- encoding and shape


def test_utf8_needs_a_bom(saved):
    text = table(object_foc_group="é")
    assert only(check(saved(text.encode())), "without BOM", line=3)
    assert check(saved(text.encode("utf-8-sig"))) == []
    assert check(saved(text.encode("latin-1"))) == []


def test_a_bom_before_what_is_not_utf8(saved):
    assert only(check(saved(b"\xef\xbb\xbfobject_id\n\xff\xfe")), "is not UTF-8", line=2)


def test_nul_bytes(saved):
    assert only(check(saved(table(object_foc_group="a\0b"))), "NUL byte", line=3)
    assert any("UTF-16" in p.message for p in check(saved(table().encode("utf-16"))))


@pytest.mark.parametrize("content", ["", "\n\n", "  "])
def test_an_empty_file(saved, content):
    assert only(check(saved(content)), "is empty")


def test_an_empty_first_line(saved):
    assert only(check(saved("\n" + table())), "first line is empty", line=1)


def test_a_header_only(saved):
    header, types, _ = table().splitlines()
    assert only(check(saved(header)), "header only")
    assert only(check(saved(f"{header}\n{types}\n")), "no object")


@pytest.mark.parametrize("row", ["o2\ta.png\tpredicted\tx\t1\tg\tmore", "o2\ta.png\tpredicted\tx"])
def test_ragged_rows(saved, row):
    assert only(check(saved(table() + row + "\n")), "the header has 6", line=4)


def test_a_short_line_of_types(saved):
    header, types, row = table().splitlines()
    found = check(saved("\n".join([header, types[: types.rindex("\t")], row])))
    assert [p.line for p in found] == [2, 2]
    assert "5 cells" in found[0].message
    assert found[1].column == "object_foc_group"


def test_quotes(saved):
    assert check(saved(table(object_foc_group='"a\tb"'))) == []
    assert only(check(saved(table(object_foc_group='"left open'))), "tab separated")


def test_blank_lines_and_windows_line_ends(saved):
    assert check(saved(table().replace("\n", "\r\n\r\n"))) == []


def test_a_field_larger_than_csv_takes(saved):
    assert only(check(saved(table(object_foc_group="x" * 200_000))), "field larger", line=3)


# --- updates


def test_an_update_needs_no_image(saved):
    path = saved(table(without=["img_file_name"]))
    assert check(path, update=True) == []
    assert check(saved(table(img_file_name="gone.png")), update=True) == []


def test_an_updates_images_if_named_must_be_good(saved, tmp_path):
    assert only(check(saved(table(img_file_name="")), update=True), "no image")
    (tmp_path / "b.png").write_bytes(b"?")
    assert only(check(saved(table(img_file_name="b.png")), update=True), "first bytes")


def test_an_update_needs_object_id_and_a_change(saved):
    text = lines_of(["object_id"], ["[t]"], ["o1"])
    assert only(check(saved(text), update=True), "nothing to update")
    text = lines_of(["sample_id", "sample_x"], ["[t]", "[t]"], ["s", "1"])
    assert only(check(saved(text), update=True), "missing", "object_id")


def test_an_update_of_objects_that_do_not_exist(saved):
    path = saved(table())
    assert only(check(path, update=True, existing_objects={"o2"}), "no object 'o1'", "object_id", 3)
    assert check(path, update=True, existing_objects={"o1"}) == []
    assert check(path, existing_objects={"o2"}) == []


def test_an_update_has_each_object_once(saved):
    text = lines_of(["object_id", "object_x"], ["[t]", "[f]"], ["o1", "1"], ["o1", "2"])
    assert only(check(saved(text), update=True), "already in", "object_id", 4)


# --- anything, and real files


@settings(max_examples=100, deadline=None)
@given(
    content=st.one_of(
        st.binary(),
        st.text(alphabet='ab"\t\n\r\0é°[tf]0.-_').map(
            lambda s: b"object_id\timg_file_name\n[t]\t[t]\n" + s.encode()
        ),
        st.binary().map(lambda b: b"\xef\xbb\xbfobject_id\tobject_lat\n[t]\t[f]\n" + b),
    ),
    update=st.booleans(),
)
def test_any_bytes_never_raise(tmp_path_factory, content, update):
    folder = tmp_path_factory.mktemp("any")
    (folder / "ecotaxa_x.tsv").write_bytes(content)
    for path in (folder / "ecotaxa_x.tsv", folder):
        assert all(str(problem) for problem in check(path, update=update))


@settings(max_examples=100, deadline=None)
@given(place=st.integers(0, 400), junk=st.binary(min_size=1, max_size=8))
def test_any_damage_to_a_zip_never_raises(tmp_path_factory, place, junk):
    buffer = io.BytesIO()
    zipped(buffer, **{"ecotaxa_x.tsv": table(), "a.png": PNG})
    raw = bytearray(buffer.getvalue())
    raw[place : place + len(junk)] = junk
    path = tmp_path_factory.mktemp("any") / "x.zip"
    path.write_bytes(raw)
    check(path)


@pytest.mark.parametrize("update", [False, True])
def test_the_sample_import_passes(shared, update):
    assert check(shared / "data/ecotaxa-sample/zooscan-import", update=update) == []


def test_the_sample_export_cannot_be_imported_as_it_is(shared):
    found = check(shared / "data/ecotaxa-sample/zooscan-export")
    assert [(p.line, p.column) for p in found] == [(1, "objid"), (2, None)]
    assert "no line of types" in found[1].message
