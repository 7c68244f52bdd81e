"""What a review gives to other programs: names of clusters, tables of labels, a tree."""

import csv
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from foc_tf import files
from foc_tf.formats.predictions import Predictions, write_ecotaxa, write_morphocluster
from foc_tf.reviewing import clusters, labels

if TYPE_CHECKING:
    from foc_tf.reviewing.run_data import RunData
    from foc_tf.reviewing.state import State

NAMES = pathlib.Path("review") / "cluster_names.csv"
WRITERS = {"ecotaxa": write_ecotaxa, "morphocluster": write_morphocluster}


def write_names(path: pathlib.Path | str, run: "RunData", found: "State") -> int:
    """Writes the table `cluster,name,class` that `export` reads.

    A cluster has the name of the group that it is now, and the class accepted for it, else the
    run's; none where it was sent away. Clusters that nothing was decided about are not in it.

    Args:
      path: of the file, `NAMES` in the workdir for the next export.
      run: `run_data.RunData`.
      found: one expert's `state.State`.

    Returns:
      Number of rows.
    """
    known = dict(zip(run.cluster.tolist(), run.cluster_class.tolist()))
    rows = []
    for cluster, home in enumerate(found.homes().tolist()):
        if not (home in found.names or home in found.accepted or home in found.sent):
            continue
        own = known.get(cluster, -1)
        label = found.accepted.get(home) or (run.classes[own] if own >= 0 else "")
        rows.append((cluster, found.names.get(home, ""), "" if home in found.sent else label))
    with files.replacing(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("cluster", "name", "class"))
        writer.writerows(rows)
    return len(rows)


def objects(
    run: "RunData", data_dir: pathlib.Path | str | None
) -> tuple[list[str], dict[str, Any]]:
    """What a prepared dataset knows of its images' objects.

    Args:
      run: `run_data.RunData`.
      data_dir: folder of the data set, or None.

    Returns:
      ([N] ids by sources.csv, "" where unknown; {class: EcoTaxa's number} by dataset.json).
    """
    folder = pathlib.Path(data_dir or "")
    path, info = folder / "sources.csv", folder / "dataset.json"
    if data_dir is None or not path.exists():
        return [""] * len(run.ids), {}
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    if not {"image", "object_id"} <= set(table.columns):
        raise ValueError(f"{path}: expected the columns image,source,object_id.")
    known = dict(zip(table["image"], table["object_id"]))
    numbers = files.read_json(info).get("category_ids", {}) if info.exists() else {}
    return [known.get(name, "") for name in run.ids], numbers


def predictions(
    run: "RunData", found: "State", object_ids: list[str], category_ids: dict[str, Any]
) -> Predictions:
    """The images by an expert's groups, for the writers of `formats.predictions`.

    An image with a label has it with probability 1 and entropy 0, all others what the run says;
    the cluster is the expert's group.

    Args:
      run: `run_data.RunData`.
      found: one expert's `state.State`.
      object_ids: [N] str.
      category_ids: {class: EcoTaxa's number of it}.

    Returns:
      `formats.predictions.Predictions`.
    """
    new = labels.combine(run, {"": found}, may=~run.certain)
    label = np.where(new.labelled, new.votes.argmax(axis=1), -1)
    probs = np.pad(run.class_probs, ((0, 0), (0, len(new.classes) - len(run.classes))))
    probs[new.labelled] = np.eye(len(new.classes))[label[new.labelled]]
    existing = found.existing()
    place = {group: index for index, group in enumerate(existing)}
    groups = np.array([place[group] for group in found.groups.tolist()])
    shares = np.zeros((len(run.ids), len(existing)), np.float32)
    shares[np.arange(len(groups)), groups] = np.maximum(run.cluster_prob, 1e-6)
    return Predictions(
        images=[str(name) for name in run.ids],
        objects=object_ids,
        splits=[str(split) for split in run.split],
        labelled=run.certain,
        class_probs=probs,
        cluster_probs=shares,
        classes=list(new.classes),
        cluster_classes=_group_classes(run, found, new.classes, existing),
        cluster_names=[found.names.get(group, "") for group in existing],
        category_ids=category_ids,
    )


def _group_classes(run, found, classes, existing):
    """[G] int: class of each group by its expert, else by the votes on its images, -1 = none."""
    given = labels.of_groups(found, run.classes)
    result = np.full(len(existing), -1, np.int64)
    for index, group in enumerate(existing):
        if group in given:
            result[index] = classes.index(given[group])
        elif group not in found.sent:
            result[index] = clusters.of_votes(run.votes[found.groups == group])["voted_class"]
    return result
