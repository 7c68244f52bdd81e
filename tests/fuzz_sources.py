"""Small sound sources of every format, which fuzzing edits."""

import csv
import io
import zipfile

from tests.making import png


def lines(*rows, delimiter=","):
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()


IMAGES = {"a.png": png(1), "b.png": png(90)}
VOTES = ("image", "annotator", "label")
ECOTAXA = (
    *("object_id", "img_file_name", "img_rank", "object_annotation_status"),
    *("object_annotation_category", "object_annotation_person_name", "object_annotation_date"),
)
ECOTAXA_ROW = ("o1", "a.png", "0", "validated", "egg<other", "Anna", "20200101")
DCIC_KEYS = ("name", "annotations", "image_path", "class_label", "predictions", "confidences")
DCIC = [
    {
        "name": "INVALID",
        "annotations": [{"image_path": "fold1/a.png", "class_label": c} for c in "xyx"],
    }
]
SOURCES = {
    "votes": {
        "votes.csv": (VOTES, lines(VOTES, ("a.png", "x", "cat"), ("b.png", "y", "dog")), ",")
    },
    "ecotaxa": {
        "ecotaxa_1.tsv": (
            ECOTAXA,
            lines(ECOTAXA, ["[t]"] * 7, ECOTAXA_ROW, delimiter="\t"),
            "\t",
        )
    },
    "morphocluster": {
        "index.csv": (("object_id", "path"), b"object_id,path\na,a.png\nb,b.png\n", ","),
        "nodes.csv": (
            ("node_id", "parent_id", "name"),
            b"node_id,parent_id,name\n1,,root\n2,1,egg\n",
            ",",
        ),
        "objects.csv": (("node_id", "object_id"), b"node_id,object_id\n2,a\n2,b\n", ","),
    },
}


def zipped(kind):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        sound = {name: content for name, (_, content, _) in SOURCES[kind].items()}
        for name, content in (IMAGES | sound).items():
            archive.writestr(name, content)
    return buffer.getvalue()
