"""The report: one HTML page with everything in it, to be mailed, read on a phone, and printed.

No script, and nothing that is fetched: its Content-Security-Policy forbids both.
"""

import pathlib
from collections.abc import Mapping

import numpy as np

from foc_tf import files, metrics
from foc_tf.reviewing import clusters as cluster_facts
from foc_tf.reviewing import feature_map, galleries, plots, run_data, score_tables
from foc_tf.reviewing.markup import Html, element, joined, lines, name, section, table

_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)
_STYLE = pathlib.Path(__file__).with_name("report.css")


def write_report(
    workdir: pathlib.Path | str,
    path: pathlib.Path | str | None = None,
    names: Mapping[int, str] | None = None,
) -> pathlib.Path:
    """Writes the report of a finished run.

    Args:
      workdir: of the run.
      path: of the page; `<workdir>/report.html` if None.
      names: {cluster: an expert's name}, or None.

    Returns:
      pathlib.Path of the page.

    Raises:
      ValueError: if the run cannot be read; names the file and says what to do.
    """
    run = run_data.read(workdir)
    path = pathlib.Path(path) if path else run.workdir / "report.html"
    content = page(run, names or {})
    with files.replacing(path) as file:
        file.write(content.encode())
    return path


def page(run: run_data.RunData, names: Mapping[int, str]) -> Html:
    """The page's text.

    Args:
      run: `run_data.RunData`.
      names: {cluster: an expert's name}.
    """
    described = sorted(cluster_facts.describe(run).values(), key=lambda c: -c.size)
    sections = {
        "scores": ("Scores", _scores(run)),
        "confusion": ("Confusion", _confusion(run)),
        "reliability": ("Reliability", _reliability(run)),
        "clusters": ("Clusters", _clusters(run, described, names)),
        "features": ("Map of the features", _map(run)),
        "galleries": ("Images of the clusters", _galleries(run, described, names)),
        "made": ("How it was made", _made(run)),
    }
    links = [element("li", element("a", t, href=f"#{a}")) for a, (t, _) in sections.items()]
    title = f"{run.workdir.resolve().name}: report"
    body = [
        element("a", "To the content", href="#scores", class_="skip"),
        element(
            "header", element("h1", name(run.workdir.resolve().name)), _summary(run, described)
        ),
        element("nav", element("ul", links), aria_label="Sections"),
        element("main", [section(a, t, parts) for a, (t, parts) in sections.items()]),
    ]
    return joined([Html("<!DOCTYPE html>\n"), _document(title, body)])


def _document(title, body):
    head = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Html(_STYLE.read_text(encoding="utf-8"))),
    ]
    return element("html", element("head", head), element("body", body), lang="en")


def _summary(run, described):
    report = run.report
    fuzzy, labeled = int(run.fuzzy.sum()), int((run.labels >= 0).sum())
    facts = [
        ["Data set", name(run.dataset)],
        ["Method", f"{report.get('method', '?')}, seed {report.get('seed', '?')}"],
        ["Images", f"{len(run.ids):,}: {labeled:,} labelled in training, {fuzzy:,} fuzzy"],
        ["Classes", f"{len(run.classes)}"],
    ]
    if run.overclustered:
        facts.append(["Clusters", f"{len(described)} with images, of {run.num_clusters}"])
    if advice := report.get("advice"):
        facts.append(["Advice", advice])
    if run.licence:
        facts.append(["Licence of the pictures", name(run.licence)])
    return element("dl", [[element("dt", term), element("dd", value)] for term, value in facts])


def _scores(run):
    note = (
        "An image is fuzzy when its annotators disagree; the reference is the class with most "
        "votes. Clusters are named by the labelled training images (train), by the other four "
        "fifths of the scored images (crossfit), or by the scored images themselves (oracle, which "
        "flatters)."
    )
    return [score_tables.scores(run.report), element("p", note, class_="note")]


def _confusion(run):
    splits = score_tables.split_names(run.report)
    return [score_tables.confusions(run, split) for split in splits]


def _reliability(run):
    drawn = []
    for split, words in score_tables.split_names(run.report).items():
        images = run.images(split)
        correct = run.normal_class[images] == run.reference[images]
        made = plots.reliability(f"reliability-{split}", words, correct, run.normal_prob[images])
        drawn.append(made)
    note = (
        "Of the normal head's predictions with confidence p a share of p should be right: bars on "
        "the diagonal. The dots' area is the number of images."
    )
    return [element("div", drawn, class_="side-by-side"), element("p", note, class_="note")]


def _clusters(run, described, names):
    if not described:
        return element("p", "There are no images.")
    # Of images in one cluster, as every cluster's own number is.
    overall = metrics.vote_consistency(run.cluster, run.votes)
    overall = None if np.isnan(overall) else overall
    note = (
        "Vote consistency: the probability that one random annotator of each of two random images "
        "of the cluster name the same class."
    )
    if not run.overclustered:
        note += " This run has no overclustering head: its clusters are the predicted classes."
    return [
        plots.sizes("sizes", described),
        plots.consistencies("consistencies", described, overall),
        element("p", note, class_="note"),
        score_tables.clusters(run, described, names),
    ]


def _map(run):
    drawn, said = feature_map.draw(run)
    return [drawn, element("p", said, class_="note")]


def _galleries(run, described, names):
    picks = galleries.chosen(run, described)
    unshown = sum(c.size for c in described) - sum(map(len, picks.values()))
    note = (
        "The most confident image first, under each the votes of its three most voted classes. A "
        "red frame and ≠: the most voted class is not the cluster's (by the labelled training "
        "images; by its own votes where none has a label)."
    )
    if unshown:
        note += f" {unshown:,} of {len(run.ids):,} images are not shown, to keep the page small."
    made = [galleries.gallery(run, c, picks[c.number], names.get(c.number)) for c in described]
    return [element("p", note, class_="note"), made]


def _made(run):
    report = run.report
    command = "python -m foc_tf.train --flagfile=flags.txt" if run.flags else None
    parts = []
    if command:
        text = "The command, with these lines as flags.txt (the run's folder has it):"
        parts += [element("p", text), element("pre", element("code", command), tabindex=0)]
        code = element("code", lines(run.flags))
        parts.append(element("pre", code, tabindex=0, aria_label="flags.txt", role="region"))
    versions = report.get("versions") or {}
    rows = [[name(key), name(value)] for key, value in versions.items()]
    rows += [["device", name(report.get("device", "?"))]]
    if run.source:
        rows.append(["source of the data", name(run.source)])
    parts.append(table("Versions", ["what", "which"], rows))
    if stages := report.get("stages"):
        rows = [
            [name(s["name"]), *(f"{s[k]:,}" for k in ("epochs", "seconds", "images"))]
            for s in stages
        ]
        parts.append(table("Training", ["stage", "epochs", "seconds", "images passed"], rows))
    return parts
