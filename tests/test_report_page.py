"""The report page: one file, no script, hostile names as text, and the numbers of report.json."""

import base64
import dataclasses
import json
import re

import numpy as np
import pytest

from foc_tf.reviewing import clusters, feature_map, galleries, report_page, run_data, score_tables
from foc_tf.reviewing.markup import shown
from tests import review_run
from tests.test_markup import Reader

VOID = {"img", "input", "meta"}


class Page(Reader):
    """Also checks that every element is closed in its place, and keeps the cells of tables."""

    def __init__(self, content):
        self.open, self.rows, self.within = [], [], False
        super().__init__(content)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        super().handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "data":
            self.rows[-1:] and self.rows[-1].__setitem__(-1, dict(attrs)["value"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        super().handle_data(data)
        if self.open[-1:] != ["data"] and {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page") / "run <b>&amp; \U0001f990"
    review_run.write(folder, review_run.scored(review_run.image_set(count=90)))
    path = report_page.write_report(folder, names={0: "<i>my name</i>", 3: "two \u05d0"})
    content = path.read_text(encoding="utf-8")
    return run_data.read(folder), content, Page(content)


def test_it_has_no_script_and_fetches_nothing(made):
    _, content, page = made
    policy = [a["content"] for t, a in page.tags if "http-equiv" in a]
    assert policy == [report_page._POLICY]
    assert policy[0].startswith("default-src 'none'; img-src data:;")
    for tag, attributes in page.tags:
        assert tag not in ("script", "iframe", "object", "embed", "link", "base", "form", "use")
        assert not [key for key in attributes if key.startswith("on")]
        assert re.fullmatch(r"#[\w-]+", attributes.get("href", "#a"))
        assert attributes.get("src", "data:image/").startswith("data:image/")
    assert "url(" not in content
    assert "@import" not in content


def test_links_labels_and_pictures_are_whole(made):
    _, _, page = made
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.tags:
        for key in ("href", "aria-labelledby", "aria-describedby", "for"):
            assert attributes.get(key, ids[0]).removeprefix("#") in ids, (tag, key)
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg":
            assert {"aria-labelledby", "role", "viewbox"} <= set(attributes)
    headings = [int(t[1]) for t, _ in page.tags if re.fullmatch("h[1-6]", t)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert max(np.diff(headings)) <= 1


def test_hostile_names_are_text_wherever_they_stand(made):
    run, content, page = made
    text = "".join(page.text)
    for name in (*run.classes, run.dataset, run.licence, "<i>my name</i>", run.workdir.name):
        assert shown(name) in text
        assert name not in content or shown(name) == name and "<" not in name
    titles = [a["title"] for t, a in page.tags if t == "li" and "title" in a]
    assert shown(run.ids[0]) in "".join(titles)
    assert "--data_dir=<somewhere>" in text
    for mark in "\u202a\u202b\u202d\u202e":
        assert mark not in content


def test_scores_are_those_of_report_json(made):
    run, _, page = made
    stored = json.loads((run.workdir / "report.json").read_text())["splits"]
    rows = [row for row in page.rows if row and row[-1:] != ["Brier"] and len(row) in (8, 10)]
    for split in score_tables.split_names(run.report):
        normal = rows.pop(0)
        found, kept = [float(v) for v in (*normal[4:7], *normal[8:])], stored[split]["normal"]
        assert found == [kept[k] for k in ("macro_f1", "accuracy", "nmi", "kl", "brier")]
        assert normal[1] == str(stored[split]["count"])
        for protocol in ("train", "crossfit", "oracle"):
            row, over = rows.pop(0), stored[split]["over"]
            assert row[:2] == ["over", protocol]
            assert float(row[2]) == over[protocol]["macro_f1"]
            assert float(row[3]) == over[protocol]["accuracy"]
            assert float(row[4]) == over["nmi"]
            if over["vote_consistency"] is None:
                assert row[5] == f"– ({over['vote_consistency_reason']})"
            else:
                assert float(row[5]) == over["vote_consistency"]


def test_confusions_agree_with_the_report(made):
    run, _, _ = made
    for split, entry in run.report["splits"].items():
        images = run.images(split)
        counts = score_tables.confusion(run.reference[images], run.normal_class[images], 4)
        assert counts.sum() == entry["count"]
        for c, name in enumerate(run.classes):
            scores = entry["per_class"][name]
            assert counts[c].sum() == scores["count"]
            assert counts[c, c] == pytest.approx((scores["recall"] or 0) * scores["count"])


def test_confusion_by_hand():
    counts = score_tables.confusion(np.array([0, 0, 1]), np.array([0, -1, 0]), 2)
    assert counts.tolist() == [[1, 0, 1], [1, 0, 0]]


def test_every_shown_image_has_its_own_picture_votes_and_frame(made):
    run, content, page = made
    described = clusters.describe(run)
    picks = galleries.chosen(run, described.values())
    order = np.concatenate(
        [picks[c.number] for c in sorted(described.values(), key=lambda c: -c.size)]
    )
    images = [a for t, a in page.tags if t == "img"]
    assert len(images) == len(order) == len(run.ids)
    for attributes, image in zip(images, order):
        head, _, body = attributes["src"].partition(",")
        assert head == "data:image/png;base64"
        assert base64.b64decode(body) == run.pictures[image]
        assert attributes["alt"].startswith(shown(run.ids[image]))
    frames = [a.get("class") for t, a in page.tags if t == "li" and "title" in a]
    for frame, image in zip(frames, order):
        own = described[int(run.cluster[image])].named_class
        wrong = run.reference[image] >= 0 and own >= 0 and own != run.reference[image]
        assert frame == ("wrong" if wrong else None)
    assert frames.count("wrong") == content.count('class="differs"') > 0


def test_large_pages_show_fewer_images_and_say_so(made, monkeypatch):
    run, _, _ = made
    described = clusters.describe(run)
    sizes = run.pictures.sizes
    monkeypatch.setattr(galleries, "MAX_BYTES", int(sizes.sum() // 3))
    picks = galleries.chosen(run, described.values())
    images = np.concatenate(list(picks.values()))
    assert 0 < sizes[images].sum() <= sizes.sum() // 3
    page = report_page.page(run, {})
    assert page.count("<img ") == len(images)
    assert f"{90 - len(images)} of 90 images are not shown" in page
    for number, cluster in described.items():
        assert picks[number][0] == cluster.members[0]
        if len(picks[number]) < cluster.size:
            assert f"; {cluster.size - len(picks[number])} are not shown" in page
    monkeypatch.setattr(galleries, "MAX_IMAGES", 0)
    assert "images are not shown here" in report_page.page(run, {})


def test_runs_of_other_kinds(tmp_path):
    many = tuple(f"class {i}" for i in range(40))
    for name, scorer in {
        "supervised": review_run.scored(review_run.image_set(), over=False),
        "one cluster": review_run.scored(review_run.image_set(), num_clusters=1),
        "many classes": review_run.scored(review_run.image_set(classes=many)),
        "few images": review_run.scored(review_run.image_set(count=6)),
    }.items():
        folder = review_run.write(tmp_path / name, scorer)
        (folder / "flags.txt").unlink()
        content = report_page.write_report(folder, tmp_path / f"{name}.html").read_text()
        Page(content)
        assert ("most frequent confusions" in content) == (name == "many classes")
        assert ("no overclustering head" in content) == (name == "supervised")
    assert not list(tmp_path.glob("*.tmp"))


def test_the_map_is_the_same_every_time_and_shows_a_sample_of_many(made):
    run, _, _ = made
    images, plane = feature_map.coordinates(run.features, points=50)
    again = feature_map.coordinates(run.features, points=50)
    np.testing.assert_array_equal(images, again[0])
    np.testing.assert_array_equal(plane, again[1])
    assert len(images) == 50
    assert (np.diff(images) > 0).all()
    assert plane.min() == 0
    assert plane.max() == 1
    drawn, said = feature_map.draw(run, points=50)
    assert sum(len(re.findall("h0", a["d"])) for t, a in Reader(drawn).tags if t == "path") == 50
    assert "50 of 90" in said


def test_near_images_are_near_on_the_map():
    rng = np.random.default_rng(0)
    group = np.arange(80) % 2
    features = rng.standard_normal((80, 5)) + 40 * group[:, None]
    _, plane = feature_map.coordinates(features)
    apart = np.linalg.norm(plane[:, None] - plane[None], axis=-1) + 9 * np.eye(80)
    assert (group[apart.argmin(axis=1)] == group).all()


def test_pictures_that_are_not_there(made):
    run, _, _ = made
    from foc_tf.review_data.thumbnails import Thumbnails

    blind = dataclasses.replace(run, pictures=Thumbnails(None, 90))
    content = report_page.page(blind, {})
    assert content.count("no picture") == 90
    assert "<img" not in content
