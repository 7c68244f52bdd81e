"""EcoTaxa's import rules for columns, values and images, each broken once."""

import pytest

from foc_tf.formats import ecotaxa_columns
from foc_tf.formats.ecotaxa_rules import check
from tests.ecotaxa_tables import GOOD, PNG, lines_of, only, table

# --- header


def test_the_header_is_lower_cased_and_stripped(saved):
    text = table().replace("object_foc_prob", " Object_FOC_prob ")
    assert check(saved(text)) == []


def test_columns_found_only_by_their_exact_name(saved):
    text = table().replace("img_file_name", "IMG_file_name")
    assert only(check(saved(text)), "finds it only as", "img_file_name", 1)


@pytest.mark.parametrize("name", ["objid", "", "foo_bar", "img_width", "object_", "_id"])
def test_columns_that_are_not_prefix_name(saved, name):
    assert only(check(saved(table({name: ("[t]", "1")}))), "not prefix_name", line=1)


def test_all_predefined_columns(saved):
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
    assert check(saved(table({name: ("?", value) for name, value in row.items()}))) == []


@pytest.mark.parametrize("prefix", ["sample", "acq", "process"])
def test_a_prefix_needs_its_id(saved, prefix):
    extra = {f"{prefix}_x": ("[t]", "1")}
    assert only(check(saved(table(extra))), "missing", f"{prefix}_id", 1)
    assert check(saved(table({**extra, f"{prefix}_id": ("[t]", "1")}))) == []


@pytest.mark.parametrize("name", ["object_id", "img_file_name"])
def test_columns_that_must_be_there(saved, name):
    assert only(check(saved(table(without=[name]))), "missing", name, 1)


def test_duplicate_columns(saved):
    text = lines_of(*[line.split("\t") + [extra] for line, extra in zip(
        table().splitlines(), ["Object_Foc_Prob", "[f]", "1"])])  # fmt: skip
    assert only(check(saved(text)), "twice", "object_foc_prob", 1)


# --- types


@pytest.mark.parametrize("type_", ["[F]", "[i]", "", "f"])
def test_types_of_free_object_columns(saved, type_):
    assert only(check(saved(table({"object_x": (type_, "1")}))), "type", "object_x", 2)


def test_types_of_other_columns_are_ignored(saved):
    assert check(saved(table({"sample_id": ("?", "s"), "sample_x": ("[f]", "abc")}))) == []


def test_no_line_of_types(saved):
    header, _, row = table().splitlines()
    found = check(saved(f"{header}\n{row}\n{row.replace('o1', 'o2')}\n"))
    assert only(found, "no line of types", line=2)


def test_a_type_that_differs_between_tables(saved):
    saved(table())
    other = table(object_id="o2").replace("[f]", "[t]")
    assert only(check(saved(other, "ecotaxa_y.tsv").parent), "another table", "object_foc_prob", 2)


def free(prefix, type_, count):
    return {f"{prefix}_n{i}": (type_, "1") for i in range(count)}


@pytest.mark.parametrize(
    ("prefix", "type_", "limit"),
    [("object", "[f]", 499), ("object", "[t]", 19), ("sample", "[f]", 30)],
)
def test_the_number_of_free_columns(saved, prefix, type_, limit):
    ids = {} if prefix == "object" else {f"{prefix}_id": ("[t]", "1")}
    # GOOD has a free column of each type already.
    assert check(saved(table({**ids, **free(prefix, type_, limit)}))) == []
    assert only(
        check(saved(table({**ids, **free(prefix, type_, limit + 1)}))), "the limit is", line=2
    )


def test_free_columns_count_over_all_tables(saved):
    saved(table(free("object", "[t]", 19)))
    other = saved(table({"object_y": ("[t]", "1")}, object_id="o2"), "ecotaxa_y.tsv")
    assert only(check(other.parent), "the limit is 20", "object_y", 2)


# --- values


@pytest.mark.parametrize("value", ["", "nan", "NA", "1e-3", " 2 ", "-4.5", "inf"])
def test_numbers(saved, value):
    assert check(saved(table(object_foc_prob=value))) == []


@pytest.mark.parametrize("value", ["abc", "1,5", "-inf", "n/a", "1 2"])
def test_no_numbers(saved, value):
    assert only(check(saved(table(object_foc_prob=value))), "", "object_foc_prob", 3)


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
def test_good_values(saved, column, value):
    assert check(saved(table(**{column: value}))) == []


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
def test_bad_values(saved, column, value):
    assert only(check(saved(table(**{column: value}))), "", column, 3)


def test_an_object_without_id(saved):
    assert only(check(saved(table(object_id=" "))), "no id", "object_id", 3)


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
def test_status_and_category_come_together(saved, status, category, category_id, column):
    cells = {"status": status, "category": category, "category_id": category_id}
    values = {f"object_annotation_{k}": v for k, v in cells.items() if v is not None}
    without = {f"object_annotation_{k}" for k, v in cells.items() if v is None}
    found = check(saved(table(without=without, **values)))
    assert [p.column for p in found] == ([column] if column else [])


# --- images


def test_object_and_image_are_unique(saved, tmp_path):
    row = table().splitlines()[2]
    assert only(
        check(saved(table() + row + "\n")), "already in ecotaxa_x.tsv, line 3", "object_id", 4
    )
    (tmp_path / "b.png").write_bytes(PNG)
    assert check(saved(table() + row.replace("a.png", "b.png") + "\n")) == []
    assert check(saved(table() + row.replace("o1", "o2") + "\n")) == []


def test_object_and_image_are_unique_over_tables(saved):
    saved(table())
    assert only(check(saved(table(), "ecotaxa_y.tsv").parent), "already in ecotaxa_x.tsv, line 3")


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
def test_images_that_are_not_there(saved, image, message):
    found = [p for p in check(saved(table(img_file_name=image))) if p.column]
    assert only(found, message, "img_file_name", 3)


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
def test_kinds_of_images(saved, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    found = check(saved(table(img_file_name=name)))
    assert not found if message is None else message in found[0].message
