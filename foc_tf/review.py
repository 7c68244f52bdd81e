"""Lets experts look through the clusters of a run, and gives back numbers and labels.

    python -m foc_tf.review --workdir=runs/mine
    python -m foc_tf.review --workdir=runs/mine --compare=runs/other --blind
    python -m foc_tf.review --workdir=runs/mine --compare=runs/other --scores
    python -m foc_tf.review --workdir=runs/mine --compare=runs/other --simulate=0.5
    python -m foc_tf.review --workdir=runs/mine --results=data/next
    python -m foc_tf.review --workdir=runs/mine --report=mine.html
    python -m foc_tf.review --workdir=runs/mine --ecotaxa=update.tsv --morphocluster=tree.zip

The first opens a page in the browser (pip install foc_tf[review]); every decision is in
<workdir>/review/decisions.jsonl before the page says "saved". The others need no browser: table 3's
consistency of the experts (--scores) or of a stand-in made of the votes (--simulate), a prepared
dataset for the next round of training (--results), a page to mail (--report), tables for EcoTaxa
and MorphoCluster. Names of clusters go to <workdir>/review/cluster_names.csv with any of --results,
--ecotaxa, --morphocluster, for the next export.
"""

import getpass
import os
import pathlib
import sys

from foc_tf import program

# isort: split

from absl import flags

from foc_tf import files
from foc_tf.reviewing import (
    consistency,
    decisions,
    labels,
    next_round,
    ratings,
    report_page,
    results,
    run_data,
    state,
)

FLAGS = flags.FlagValues()
LOOPBACK = ("127.0.0.1", "::1", "localhost")
PASSWORD = "FOC_TF_REVIEW_PASSWORD"


def _define(define, name, default, *rest):
    define(name, default, *rest, flag_values=FLAGS)


_define(flags.DEFINE_string, "workdir", None, "Folder of a finished run.")
_define(flags.DEFINE_list, "compare", [], "Workdirs of other runs. (blind, scores, simulate)")
_define(flags.DEFINE_list, "experts", [], "Whose decisions count; default everybody's.")
_define(flags.DEFINE_string, "host", "127.0.0.1", "Address of the page; others need --auth.")
_define(flags.DEFINE_integer, "port", 0, "Of the page; 0 for a free one.")
_define(
    flags.DEFINE_string,
    "auth",
    None,
    f"Name to log in with; the password is asked for, or read from ${PASSWORD}.",
)
_define(flags.DEFINE_bool, "open", True, "Open the page in the browser.")
_define(
    flags.DEFINE_bool,
    "blind",
    False,
    "Mix the clusters of both runs without saying which is whose; --compare names the other one.",
)
_define(flags.DEFINE_integer, "seed", 0, "Of the order. (blind)")
_define(flags.DEFINE_bool, "scores", False, "Print the experts' consistency and agreement.")
_define(
    flags.DEFINE_float,
    "simulate",
    None,
    "Print the consistency that the votes stand for: an image is consistent if at least this share "
    "of its votes is for its cluster's class.",
)
_define(
    flags.DEFINE_enum,
    "images",
    ratings.FUZZY,
    [ratings.FUZZY, ratings.ALL],
    "Images that count: those annotators disagree on, or all. (scores, simulate)",
)
_define(flags.DEFINE_string, "results", None, "Folder of the next round's data set, to be made.")
_define(
    flags.DEFINE_enum,
    "combine",
    labels.REPLACE,
    [labels.REPLACE, labels.ADD],
    "Experts' labels instead of an image's old votes, or beside them. (results)",
)
_define(flags.DEFINE_integer, "expert_votes", 1, "Votes that a label counts. (results)")
_define(
    flags.DEFINE_string,
    "data_dir",
    None,
    "Data set of the run, if it has moved. (results, ecotaxa, morphocluster)",
)
_define(flags.DEFINE_string, "report", None, "HTML page to write: scores, plots, galleries.")
_define(flags.DEFINE_string, "ecotaxa", None, "EcoTaxa's update table to write.")
_define(flags.DEFINE_string, "morphocluster", None, "MorphoCluster's tree (zip) to write.")


def main() -> None:
    """The program."""
    f = FLAGS
    if not f.workdir:
        raise ValueError("workdir: give --workdir=<folder of a training run>.")
    run = run_data.read(f.workdir)
    others = [run_data.read(folder) for folder in f.compare]
    wanted = bool(f.report)
    if f.report:
        _write_report(f, run)
    if f.scores or f.simulate is not None:
        wanted = True
        _print_scores(f, [run, *others])
    if f.results or f.ecotaxa or f.morphocluster:
        wanted = True
        _write_results(f, run)
    if not wanted:
        _serve(f, run, others)


def _found(f, run):
    """{expert: state} of those who count."""
    made, torn = decisions.read(run.workdir)
    if torn:
        program.log(f"note: {run.workdir / decisions.NAME}: the last line is torn; left out.")
    experts = state.experts(made)
    unknown = [name for name in f.experts if name not in experts]
    if unknown:
        raise ValueError(
            f"experts: {unknown[0]!r} decided nothing in {run.workdir}; found "
            f"{', '.join(experts) or 'nobody'}."
        )
    return {expert: state.replay(run, made, expert) for expert in f.experts or experts}


def _write_report(f, run):
    found, names = _found(f, run), {}
    if len(found) == 1:
        (own,) = found.values()
        names = {c: own.names[g] for c, g in enumerate(own.homes().tolist()) if g in own.names}
    elif found:
        program.log("note: no names of clusters: give one of --experts=" + " or ".join(found))
    print(f"report: {report_page.write_report(run.workdir, f.report, names)}")


def _print_scores(f, runs):
    rows, agreements = [], {}
    for run in runs:
        found = _found(f, run) if f.scores else {}
        rated = [ratings.of_expert(run, own, name, f.images) for name, own in found.items()]
        agreements[str(run.workdir)] = consistency.agreement(rated)
        if f.simulate is not None:
            rated.append(ratings.simulated(run, f.simulate, f.images))
        rows += [(str(run.workdir), r.expert, consistency.scores(r)) for r in rated]
    if not rows:
        raise ValueError(
            f"scores: nobody decided anything in {f.workdir}; review it first, or give --simulate."
        )
    print(consistency.table(rows))
    for name, found in agreements.items():
        for line in consistency.agreement_lines(found):
            print(f"{name}: {line}")
    path = pathlib.Path(f.workdir) / "review" / "consistency.json"
    table = [{"run": run, "expert": expert, **scores} for run, expert, scores in rows]
    files.write_json(path, {"images": f.images, "rows": table, "agreement": agreements})
    program.log(f"written: {path}")


def _write_results(f, run):
    found = _found(f, run)
    if not found:
        raise ValueError(f"results: nobody decided anything in {run.workdir}; review it first.")
    data_dir = f.data_dir or next_round.settings(run.flags).get("data_dir")
    if len(found) == 1:
        path = run.workdir / results.NAMES
        count = results.write_names(path, run, *found.values())
        print(f"{count} clusters named: {path}")
    else:
        program.log("note: no names of clusters: give one of --experts=" + " or ".join(found))
    if f.ecotaxa or f.morphocluster:
        if len(found) > 1:
            raise ValueError(f"experts: give one of {', '.join(found)}.")
        _write_exchange(f, run, *found.values(), data_dir)
    if f.results:
        _write_next_round(f, run, found)


def _write_exchange(f, run, found, data_dir):
    table = results.predictions(run, found, *results.objects(run, data_dir))
    for name in ("ecotaxa", "morphocluster"):
        path = getattr(f, name)
        if path:
            print(f"{results.WRITERS[name](path, table):,} rows: {path}")


def _write_next_round(f, run, found):
    new = labels.combine(run, found, f.combine, f.expert_votes)
    about = {
        "run": str(run.workdir),
        "experts": list(found),
        "combine": f.combine,
        "expert_votes": f.expert_votes,
    }
    images = next_round.image_set(run, data_dir=f.data_dir)
    count = next_round.write(f.results, images, new, about)
    extra = len(new.classes) - len(run.classes)
    print(
        f"{count:,} images, {new.labelled.sum():,} with an expert's label, {extra} new classes, "
        f"{new.left_out.sum():,} left out: {f.results}"
    )


def _serve(f, run, others):
    if f.blind != bool(others) or len(others) > 1:
        raise ValueError("blind: give --blind and one other run as --compare, or neither.")
    login = _login(f)
    try:
        from foc_tf.reviewing import app
    except ImportError as error:
        raise ValueError(
            f"review: expected Gradio, found none ({error}). Run: pip install foc_tf[review]"
        ) from None
    app.serve([run, *others], f.host, f.port, login, f.open, f.seed, program.log)


def _login(f):
    """(name, password) or None."""
    if not f.auth:
        if f.host not in LOOPBACK:
            raise ValueError(
                f"host: {f.host} can be reached by others, so a login is needed: give --auth=NAME; "
                "the password is asked for."
            )
        return None
    password = os.environ.get(PASSWORD)
    if password is None:
        if not sys.stdin.isatty():
            raise ValueError(f"auth: no terminal to ask for the password; set ${PASSWORD}.")
        password = getpass.getpass(f"password of {f.auth}: ")
    if len(password) < 8:
        raise ValueError("auth: expected a password of at least 8 characters.")
    return f.auth, password


if __name__ == "__main__":
    program.run(main, FLAGS, "all decisions are saved.")
