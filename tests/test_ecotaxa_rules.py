"""EcoTaxa's import rules, each broken once."""

import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foc_tf.formats import ecotaxa_columns, ecotaxa_rules
from foc_tf.formats.ecotaxa_rules import Problem, check

PNG = b"\x89PNG\r\n\x1a\n"
GOOD = {
    "object_id": ("[t]", "o1"),
    "img_file_name": ("[t]", "a.png"),
    "object_annotation_status": ("[t]", "predicted"),
    "object_annotation_category": ("[t]", "Copepoda"),
    "object_foc_prob": ("[f]", "0.5"),
    "object_foc_group": ("[t]", "g1"),
}


def table(extra=(), without=(), **changed):
    """A good table of one object as text, with some columns changed, added or left out."""
    cells = {**GOOD, **dict(extra)}
    cells.update({name: (GOOD.get(name, ("[t]",))[0], value) for name, value in changed.items()})
    kept = [name for name in cells if name not in without]
    lines = [kept, [cells[name][0] for name in kept], [cells[name][1] for name in kept]]
    return "\n".join("\t".join(line) for line in lines) + "\n"


def lines_of(*rows):
    return "".join("\t".join(row) + "\n" for row in rows)


@pytest.fixture
def write(tmp_path):
    """Writes a table beside an image a.png; returns its path."""

    def write_(content, name="ecotaxa_x.tsv"):
        (tmp_path / "a.png").write_bytes(PNG)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("latin-1"))
        return path

    return write_


def only(problems, message, column=None, line=None):
    """The one problem there is, which must say this."""
    assert len(problems) == 1, [str(p) for p in problems]
    assert message in problems[0].message
    assert column is None or problems[0].column == column
    assert line is None or problems[0].line == line


def test_a_good_table_passes(write):
    assert check(write(table())) == []


def test_a_problem_is_readable():
    assert str(Problem("e.tsv", 3, "object_lat", "no")) == "e.tsv, line 3, object_lat: no"
    assert str(Problem("e.tsv", None, None, "no")) == "e.tsv: no"


# --- files


@pytest.mark.parametrize("name", ["ecotaxa.tsv", "ecotaxa_x.txt", "ecotaxa-1.2.tsv"])
def test_names_ecotaxa_finds(write, name):
    path = write(table(), name)
    assert check(path) == []
    assert check(path.parent) == []


@pytest.mark.parametrize("name", ["Ecotaxa_x.tsv", "ecotaxa_x.TSV", "ECOTAXA.txt"])
def test_names_in_the_wrong_case(write, name):
    path = write(table(), name)
    only(check(path), "lower case")
    only(check(path.parent), "lower case")


def test_a_table_of_another_name(write):
    path = write(table(), "labels.tsv")
    only(check(path), "ecotaxa*.tsv")
    only(check(path.parent), "no table")


def test_tables_at_any_depth(tmp_path, write):
    path = write(table(), "deep/er/ecotaxa_x.tsv")
    (path.parent / "a.png").write_bytes(PNG)
    assert check(tmp_path) == []


def test_at_most_2000_tables(tmp_path, write, monkeypatch):
    assert ecotaxa_rules.MAX_FILES == 2000
    monkeypatch.setattr(ecotaxa_rules, "MAX_FILES", 1)
    write(table())
    write(table(object_id="o2"), "ecotaxa_y.tsv")
    only(check(tmp_path), "limit is 1")


def test_a_path_that_is_not_there(tmp_path):
    only(check(tmp_path / "ecotaxa_x.tsv"), "cannot be read")
    only(check(tmp_path / "x.zip"), "cannot be opened")


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
    only(check(zipped(tmp_path / "x.zip", **members)), "is missing", "img_file_name", 3)


def test_a_zip_that_leads_outside(tmp_path):
    members = {"ecotaxa_x.tsv": table(), "a.png": PNG, "../b.png": PNG}
    only(check(zipped(tmp_path / "x.zip", **members)), "outside the zip")


def test_damaged_zips(tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(b"PK\x03\x04 not a zip")
    only(check(path), "cannot be opened")
    zipped(path, **{"ecotaxa_x.tsv": table() * 50, "a.png": PNG})
    raw = bytearray(path.read_bytes())
    raw[50:70] = bytes(20)
    path.write_bytes(raw)
    only(check(path), "cannot be read")


# --- encoding and shape


def test_utf8_needs_a_bom(write):
    text = table(object_foc_group="é")
    only(check(write(text.encode())), "without BOM", line=3)
    assert check(write(text.encode("utf-8-sig"))) == []
    assert check(write(text.encode("latin-1"))) == []


def test_a_bom_before_what_is_not_utf8(write):
    only(check(write(b"\xef\xbb\xbfobject_id\n\xff\xfe")), "is not UTF-8", line=2)


def test_nul_bytes(write):
    only(check(write(table(object_foc_group="a\0b"))), "NUL byte", line=3)
    assert any("UTF-16" in p.message for p in check(write(table().encode("utf-16"))))


@pytest.mark.parametrize("content", ["", "\n\n", "  "])
def test_an_empty_file(write, content):
    only(check(write(content)), "is empty")


def test_an_empty_first_line(write):
    only(check(write("\n" + table())), "first line is empty", line=1)


def test_a_header_only(write):
    header, types, _ = table().splitlines()
    only(check(write(header)), "header only")
    only(check(write(f"{header}\n{types}\n")), "no object")


@pytest.mark.parametrize("row", ["o2\ta.png\tpredicted\tx\t1\tg\tmore", "o2\ta.png\tpredicted\tx"])
def test_ragged_rows(write, row):
    only(check(write(table() + row + "\n")), "the header has 6", line=4)


def test_a_short_line_of_types(write):
    header, types, row = table().splitlines()
    found = check(write("\n".join([header, types[: types.rindex("\t")], row])))
    assert [p.line for p in found] == [2, 2]
    assert "5 cells" in found[0].message
    assert found[1].column == "object_foc_group"


def test_quotes(write):
    assert check(write(table(object_foc_group='"a\tb"'))) == []
    only(check(write(table(object_foc_group='"left open'))), "tab separated")


def test_blank_lines_and_windows_line_ends(write):
    assert check(write(table().replace("\n", "\r\n\r\n"))) == []


def test_a_field_larger_than_csv_takes(write):
    only(check(write(table(object_foc_group="x" * 200_000))), "field larger", line=3)


# --- header


def test_the_header_is_lower_cased_and_stripped(write):
    text = table().replace("object_foc_prob", " Object_FOC_prob ")
    assert check(write(text)) == []


def test_columns_found_only_by_their_exact_name(write):
    text = table().replace("img_file_name", "IMG_file_name")
    only(check(write(text)), "finds it only as", "img_file_name", 1)


@pytest.mark.parametrize("name", ["objid", "", "foo_bar", "img_width", "object_", "_id"])
def test_columns_that_are_not_prefix_name(write, name):
    only(check(write(table({name: ("[t]", "1")}))), "not prefix_name", line=1)


def test_all_predefined_columns(write):
    row = {
        "object_lat": "12.5",
        "object_lon": "-179.9",
        "object_date": "20140420",
        "object_time": "420",
        "object_link": "http://x",
        "object_depth_min": "0",
        "object_depth_max": "nan",
        "object_annotation_category_id": "45072",
        "object_annotation_date": "2020-02-29",
        "object_annotation_time": "12:30:59",
        "object_annotation_person_name": "A B",
        "object_annotation_person_email": "a@b.c",
        "img_rank": "0",
        "sample_id": "s",
        "sample_dataportal_descriptor": "d",
        "acq_id": "a",
        "acq_instrument": "i",
        "process_id": "p",
        "complement_info": "part of it",
    }
    assert set(row) | set(GOOD) >= set(ecotaxa_columns.PREDEFINED)
    # Line 2 counts for free object columns only: anything will do here.
    assert check(write(table({name: ("?", value) for name, value in row.items()}))) == []


@pytest.mark.parametrize("prefix", ["sample", "acq", "process"])
def test_a_prefix_needs_its_id(write, prefix):
    extra = {f"{prefix}_x": ("[t]", "1")}
    only(check(write(table(extra))), "missing", f"{prefix}_id", 1)
    assert check(write(table({**extra, f"{prefix}_id": ("[t]", "1")}))) == []


@pytest.mark.parametrize("name", ["object_id", "img_file_name"])
def test_columns_that_must_be_there(write, name):
    only(check(write(table(without=[name]))), "missing", name, 1)


def test_duplicate_columns(write):
    text = lines_of(*[line.split("\t") + [extra] for line, extra in zip(
        table().splitlines(), ["Object_Foc_Prob", "[f]", "1"])])  # fmt: skip
    only(check(write(text)), "twice", "object_foc_prob", 1)


# --- types


@pytest.mark.parametrize("type_", ["[F]", "[i]", "", "f"])
def test_types_of_free_object_columns(write, type_):
    only(check(write(table({"object_x": (type_, "1")}))), "type", "object_x", 2)


def test_types_of_other_columns_are_ignored(write):
    assert check(write(table({"sample_id": ("?", "s"), "sample_x": ("[f]", "abc")}))) == []


def test_no_line_of_types(write):
    header, _, row = table().splitlines()
    found = check(write(f"{header}\n{row}\n{row.replace('o1', 'o2')}\n"))
    only(found, "no line of types", line=2)


def test_a_type_that_differs_between_tables(write):
    write(table())
    other = table(object_id="o2").replace("[f]", "[t]")
    only(check(write(other, "ecotaxa_y.tsv").parent), "another table", "object_foc_prob", 2)


def free(prefix, type_, count):
    return {f"{prefix}_n{i}": (type_, "1") for i in range(count)}


@pytest.mark.parametrize(
    ("prefix", "type_", "limit"),
    [("object", "[f]", 499), ("object", "[t]", 19), ("sample", "[f]", 30)],
)
def test_the_number_of_free_columns(write, prefix, type_, limit):
    ids = {} if prefix == "object" else {f"{prefix}_id": ("[t]", "1")}
    # GOOD has a free column of each type already.
    assert check(write(table({**ids, **free(prefix, type_, limit)}))) == []
    only(check(write(table({**ids, **free(prefix, type_, limit + 1)}))), "the limit is", line=2)


def test_free_columns_count_over_all_tables(write):
    write(table(free("object", "[t]", 19)))
    other = write(table({"object_y": ("[t]", "1")}, object_id="o2"), "ecotaxa_y.tsv")
    only(check(other.parent), "the limit is 20", "object_y", 2)


# --- values


@pytest.mark.parametrize("value", ["", "nan", "NA", "1e-3", " 2 ", "-4.5", "inf"])
def test_numbers(write, value):
    assert check(write(table(object_foc_prob=value))) == []


@pytest.mark.parametrize("value", ["abc", "1,5", "-inf", "n/a", "1 2"])
def test_no_numbers(write, value):
    only(check(write(table(object_foc_prob=value))), "", "object_foc_prob", 3)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("object_lat", "-90"),
        ("object_lat", "45°30 15"),
        ("object_lat", "NaN"),
        ("object_lon", "180"),
        ("object_lon", "-24°25 0"),
        ("object_date", "2014-04-20"),
        ("object_time", "04:20:00"),
        ("object_time", "2359"),
        ("object_time", "235959"),
        ("object_time", "5"),
        ("img_rank", "1.0"),
        ("img_rank", ""),
        ("object_annotation_status", "Validated"),
        ("object_annotation_status", "dubious"),
        ("object_annotation_status", "discarded"),
        ("object_foc_group", "x" * 250),
        ("object_link", "x" * 255),
    ],
)
def test_good_values(write, column, value):
    assert check(write(table(**{column: value}))) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("object_lat", "90.1"),
        ("object_lat", "91°0 0"),
        ("object_lat", "north"),
        ("object_lat", "+nan"),
        ("object_lon", "-180.5"),
        ("object_lon", "181°0 0"),
        ("object_depth_min", "deep"),
        ("object_date", "20140431"),
        ("object_date", "20/04/2014"),
        ("object_date", "2014-4-20"),
        ("object_annotation_date", "201404"),
        ("object_time", "2460"),
        ("object_time", "24:00:00"),
        ("object_time", "noon"),
        ("object_time", "1234567"),
        ("object_annotation_time", "-1"),
        ("img_rank", "1.5"),
        ("img_rank", "first"),
        ("img_rank", "inf"),
        ("object_annotation_category_id", "abc"),
        ("object_annotation_status", "unknown"),
        ("object_foc_group", "x" * 251),
        ("object_link", "x" * 256),
        ("object_id", "x" * 256),
    ],
)
def test_bad_values(write, column, value):
    only(check(write(table(**{column: value}))), "", column, 3)


def test_an_object_without_id(write):
    only(check(write(table(object_id=" "))), "no id", "object_id", 3)


# --- annotations


@pytest.mark.parametrize(
    ("status", "category", "category_id", "column"),
    [
        ("", "", "", None),
        ("predicted", "Copepoda", "", None),
        ("predicted", "Copepoda", "12", None),
        ("predicted", None, "12", None),
        ("predicted", "", "", "object_annotation_category"),
        ("predicted", "", "12", "object_annotation_category"),
        ("predicted", None, "", "object_annotation_category"),
        ("", "Copepoda", "", "object_annotation_status"),
        ("", "", "12", "object_annotation_status"),
        ("", None, "12", "object_annotation_status"),
        (None, "Copepoda", "", "object_annotation_status"),
    ],
)
def test_status_and_category_come_together(write, status, category, category_id, column):
    cells = {"status": status, "category": category, "category_id": category_id}
    values = {f"object_annotation_{k}": v for k, v in cells.items() if v is not None}
    without = {f"object_annotation_{k}" for k, v in cells.items() if v is None}
    found = check(write(table(without=without, **values)))
    assert [p.column for p in found] == ([column] if column else [])


# --- images


def test_object_and_image_are_unique(write, tmp_path):
    row = table().splitlines()[2]
    only(check(write(table() + row + "\n")), "already in ecotaxa_x.tsv, line 3", "object_id", 4)
    (tmp_path / "b.png").write_bytes(PNG)
    assert check(write(table() + row.replace("a.png", "b.png") + "\n")) == []
    assert check(write(table() + row.replace("o1", "o2") + "\n")) == []


def test_object_and_image_are_unique_over_tables(write):
    write(table())
    only(check(write(table(), "ecotaxa_y.tsv").parent), "already in ecotaxa_x.tsv, line 3")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("b.png", "is missing"),
        ("", "no image"),
        ("../a.png", "outside"),
        ("in/../../a.png", "outside"),
        ("/etc/passwd", "outside"),
        (".", "cannot be read"),
        ("a\0.png", "is missing"),
    ],
)
def test_images_that_are_not_there(write, image, message):
    found = [p for p in check(write(table(img_file_name=image))) if p.column]
    only(found, message, "img_file_name", 3)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("b.tif", b"II*\0", "is not called"),
        ("b.png", b"II*\0", "first bytes"),
        ("b.jpg", b"", "first bytes"),
        ("b.gif", b"GIF89a", None),
        ("b.JPEG", b"\xff\xd8\xff\xe0", None),
    ],
)
def test_kinds_of_images(write, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    found = check(write(table(img_file_name=name)))
    assert not found if message is None else message in found[0].message


# --- updates


def test_an_update_needs_no_image(write):
    path = write(table(without=["img_file_name"]))
    assert check(path, update=True) == []
    assert check(write(table(img_file_name="gone.png")), update=True) == []


def test_an_updates_images_if_named_must_be_good(write, tmp_path):
    only(check(write(table(img_file_name="")), update=True), "no image")
    (tmp_path / "b.png").write_bytes(b"?")
    only(check(write(table(img_file_name="b.png")), update=True), "first bytes")


def test_an_update_needs_object_id_and_a_change(write):
    text = lines_of(["object_id"], ["[t]"], ["o1"])
    only(check(write(text), update=True), "nothing to update")
    text = lines_of(["sample_id", "sample_x"], ["[t]", "[t]"], ["s", "1"])
    only(check(write(text), update=True), "missing", "object_id")


def test_an_update_of_objects_that_do_not_exist(write):
    path = write(table())
    only(check(path, update=True, existing_objects={"o2"}), "no object 'o1'", "object_id", 3)
    assert check(path, update=True, existing_objects={"o1"}) == []
    assert check(path, existing_objects={"o2"}) == []


def test_an_update_has_each_object_once(write):
    text = lines_of(["object_id", "object_x"], ["[t]", "[f]"], ["o1", "1"], ["o1", "2"])
    only(check(write(text), update=True), "already in", "object_id", 4)


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
