"""Labels back: the next data set, names of clusters, EcoTaxa's and MorphoCluster's files."""

import csv
import json
import zipfile

import numpy as np
import pytest

from foc_tf.data import prepared
from foc_tf.formats import ecotaxa_rules
from foc_tf.reviewing import labels, next_round, results, run_data, state
from foc_tf.reviewing.decisions import Log
from foc_tf.serving import cluster_names
from tests import review_run
from tests.small_run import read_report, run

CLASSES = ("ant", "bee", "no-fit")


@pytest.fixture
def reviewed(tmp_path):
    """(run, function of decisions -> state)."""
    images = review_run.image_set(60, CLASSES)
    folder = review_run.write(tmp_path / "run", review_run.scored(images, 5))
    found = run_data.read(folder)

    def decided(*steps):
        own = state.start(found)
        for action, arguments in steps:
            own = state.apply(own, action, arguments)
        return own

    return found, decided, images


def test_accepted_images_get_the_label(reviewed):
    run, decided, _ = reviewed
    members = np.flatnonzero((run.cluster == 2) & labels.open_images(run))
    misfit = str(run.ids[members[0]])
    mark = ("mark", {"images": [misfit], "fits": False})
    new = labels.combine(run, {"anna": decided(("accept", {"group": 2, "class": "bee"}), mark)})
    assert np.flatnonzero(new.labelled).tolist() == members[1:].tolist()
    assert (new.votes[members[1:]] == [0, 1, 0]).all()
    rest = ~new.labelled
    assert np.array_equal(new.votes[rest], run.votes[rest])
    assert not new.left_out.any()
    # Those that the annotators agree on, and the test images, are as they were.
    assert not (new.labelled & (run.certain | (run.split == "test"))).any()


def test_labels_beside_the_old_votes(reviewed):
    run, decided, _ = reviewed
    accept = decided(("accept", {"group": 2, "class": "bee"}))
    new = labels.combine(run, {"anna": accept}, labels.ADD, 3)
    assert new.labelled.any()
    assert np.array_equal(new.votes - run.votes, 3 * np.outer(new.labelled, [0, 1, 0]))
    for how, weight in (("both", 1), ("add", 0)):
        with pytest.raises(ValueError, match="combine|expert_votes"):
            labels.combine(run, {"anna": accept}, how, weight)


def test_experts_who_differ_make_it_fuzzy_again(reviewed):
    run, decided, _ = reviewed
    bee, ant = (decided(("accept", {"group": 2, "class": name})) for name in ("bee", "ant"))
    away = decided(("send", {"group": 2, "to": "ignore"}))
    new = labels.combine(run, {"a": bee, "b": ant, "c": away})
    assert (new.votes[new.labelled] == [1, 1, 0]).all()
    assert not new.left_out.any()  # who labels wins over who ignores
    gone = labels.combine(run, {"c": away}).left_out
    assert np.array_equal(gone, (run.cluster == 2) & labels.open_images(run))


def test_a_new_class_has_the_name_of_its_cluster(reviewed):
    run, decided, _ = reviewed
    send = ("send", {"group": 1, "to": "new_class"})
    new = labels.combine(run, {"a": decided(send, ("name", {"group": 1, "name": "wasp\n x"}))})
    assert new.classes == (*CLASSES, "wasp x")
    assert (new.votes[new.labelled] == [0, 0, 0, 1]).all()
    with pytest.raises(ValueError, match="cluster 1 .* has no name"):
        labels.combine(run, {"a": decided(send)})
    with pytest.raises(ValueError, match="name of an old one"):
        labels.combine(run, {"a": decided(send, ("name", {"group": 1, "name": "ant"}))})


def test_the_next_data_set_is_read(reviewed, tmp_path):
    run, decided, images = reviewed
    own = decided(
        ("accept", {"group": 2, "class": "bee"}),
        ("send", {"group": 1, "to": "ignore"}),
        ("send", {"group": 0, "to": "new_class"}),
        ("name", {"group": 0, "name": "🐝, \"the\" 'other'"}),
    )
    new = labels.combine(run, {"anna": own})
    count = next_round.write(tmp_path / "next", images, new, {"experts": ["anna"]})
    again = prepared.read(tmp_path / "next")
    kept = np.flatnonzero(~new.left_out)
    assert count == len(again.ids) == len(kept)
    order = [list(again.ids).index(name) for name in images.ids[kept]]
    assert np.array_equal(again.votes[order], new.votes[kept])
    assert again.classes == new.classes
    assert again.ignored_classes == ("no-fit",)
    splits = np.where(new.labelled, "train", images.splits)[kept]
    voted = new.votes[kept].any(axis=1)
    assert np.array_equal(again.splits[order][voted], splits[voted])
    for index, source in zip(kept[:5], again.sources[order][:5]):
        with open(source, "rb") as file:
            assert file.read() == images.sources[index]
    info = json.loads((tmp_path / "next" / "dataset.json").read_text())
    assert info["review"] == {"experts": ["anna"]}
    with pytest.raises(ValueError, match="is there already"):
        next_round.write(tmp_path / "next", images, new, {})


def test_names_go_into_the_next_export(reviewed):
    run, decided, _ = reviewed
    own = decided(
        ("name", {"group": 3, "name": "small, round"}),
        ("merge", {"group": 1, "into": 3}),
        ("accept", {"group": 2, "class": "bee"}),
        ("send", {"group": 0, "to": "ignore"}),
    )
    path = run.workdir / results.NAMES
    assert results.write_names(path, run, own) == 4
    assert cluster_names.find(None, run.workdir) == path
    names, given = cluster_names.read(path, 5, list(CLASSES))
    assert names == ["", "small, round", "", "small, round", ""]
    assert (given[0], given[2]) == (-1, 1)
    assert set(given) == {0, 1, 2, 3}


def test_tables_for_ecotaxa_and_morphocluster(reviewed, tmp_path):
    run, decided, _ = reviewed
    split = [str(name) for name in run.ids[run.cluster == 2][:2]]
    own = decided(
        ("accept", {"group": 1, "class": "bee"}),
        ("split", {"group": 2, "images": split, "into": 5}),
        ("name", {"group": 5, "name": "wasp"}),
        ("send", {"group": 5, "to": "new_class"}),
        ("merge", {"group": 3, "into": 4}),
    )
    with open(tmp_path / "sources.csv", "w", newline="") as file:
        rows = ((name, name, f"obj_{i}") for i, name in enumerate(run.ids))
        csv.writer(file).writerows([("image", "source", "object_id"), *rows])
    table = results.predictions(run, own, *results.objects(run, tmp_path))
    results.WRITERS["ecotaxa"](tmp_path / "ecotaxa_update.tsv", table)
    assert ecotaxa_rules.check(tmp_path / "ecotaxa_update.tsv", update=True) == []
    with open(tmp_path / "ecotaxa_update.tsv", encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))[1:]
    assert len(lines) == (~run.certain).sum()
    for line in lines:
        index = int(line["object_id"].removeprefix("obj_"))
        if own.groups[index] == 1:
            assert line["object_annotation_category"] == "bee"
            assert float(line["object_foc_prob"]) == 1.0
        if own.groups[index] == 5:
            assert line["object_annotation_category"] == "wasp"
            assert line["object_foc_group"] == "wasp"
    assert results.WRITERS["morphocluster"](tmp_path / "tree.zip", table) == 60
    with zipfile.ZipFile(tmp_path / "tree.zip") as archive:
        nodes = archive.read("nodes.csv").decode()
        assert archive.read("objects.csv").decode().count("obj_") == 60
    assert "wasp" in nodes
    nothing = results.predictions(run, own, *results.objects(run, None))
    with pytest.raises(ValueError, match="ids of the objects"):
        results.WRITERS["morphocluster"](tmp_path / "no.zip", nothing)


def test_train_review_train(trained, tmp_path):
    workdir = trained[0]
    before = read_report(workdir)
    found = run_data.read(workdir)
    cluster = int(np.bincount(found.cluster[labels.open_images(found)]).argmax())
    log = Log(workdir)
    log.append("anna", "name", {"group": cluster, "name": "the largest"})
    log.append("anna", "accept", {"group": cluster, "class": "3"})
    log.close()
    try:
        done = run("review", f"--workdir={workdir}", f"--results={tmp_path / 'next'}")
        assert done.returncode == 0, done.stderr
        count = int((labels.open_images(found) & (found.cluster == cluster)).sum())
        assert f"1,797 images, {count} with an expert's label, 0 new classes, 0 left" in done.stdout
        assert "1 clusters named" in done.stdout
        flags = [f"--flagfile={workdir / 'flags.txt'}", f"--data_dir={tmp_path / 'next'}"]
        flags += ["--dataset=prepared", "--labels_per_class=0", f"--workdir={tmp_path / 'again'}"]
        flags += [f"--export_dir={tmp_path / 'model'}", "--pretext_epochs=0"]
        done = run("train", *flags, "--heads_only_epochs=0", "--fine_tune_epochs=1")
        assert done.returncode == 0, done.stderr
        after = read_report(tmp_path / "again")
        certain = before["splits"]["fuzzy"]["count"] - after["splits"]["fuzzy"]["count"]
        assert certain == count  # what the expert accepted is fuzzy no more
        done = run("review", f"--workdir={workdir}", "--scores", "--simulate=0.5")
        assert done.returncode == 0, done.stderr
        assert "| anna |" in done.stdout
        assert "votes >= 0.5" in done.stdout
    finally:
        for path in (workdir / "review").iterdir():
            path.unlink()
