"""From a source to a prepared dataset, and what it holds in numbers."""

import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from foc_tf import annotations
from foc_tf.formats import merging, writing

if TYPE_CHECKING:
    import scipy.sparse

    from foc_tf.formats.collection import Collection
    from foc_tf.formats.listing import Listing
    from foc_tf.formats.tree import Tree


def prepare(
    source: "Tree | Listing",
    output: pathlib.Path | str,
    read: "Callable[..., Collection]",
    placing: str = "copy",
    merge: pathlib.Path | str | None = None,
    threshold: float | None = None,
    min_annotators: int = 0,
    **rest: Any,
) -> dict[str, Any]:
    """Writes a prepared dataset.

    Args:
      source: `formats.tree.Tree`.
      output: folder that does not exist yet.
      read: function of the tree -> `formats.collection.Collection`.
      placing: of the images, as in `writing.images`.
      merge: path of a table from,to of classes, or None.
      threshold: share that makes an image certain; None for the source's own, else 1.
      min_annotators: images with fewer votes are used without a label.
      **rest: of `_write`.

    Returns:
      Dict of the summary.

    Raises:
      ValueError: if the source cannot be used; names file and line.
    """
    collection = read(source)
    mapping = merging.read_mapping(merge) if merge else {}
    classes, new_ids = merging.merged_classes(collection.classes, mapping)
    collection.originals = {i: mapping.get(c, c) for i, c in collection.originals.items()}
    votes = merging.vote_table(collection, new_ids, len(classes), min_annotators)
    threshold = collection.info.get("certain_threshold", 1.0) if threshold is None else threshold
    if not 0.5 < threshold <= 1:
        raise ValueError(f"certain_threshold: expected above 0.5 to 1, found {threshold}.")
    with writing.new_folder(output) as folder:
        return _write(collection, folder, votes, classes, threshold, placing, **rest)


def _write(
    collection,
    folder,
    votes,
    classes,
    threshold,
    placing,
    ignored=(),
    info=None,
    seed=0,
    val_share=0.2,
    max_pixels=10**8,
    progress=None,
):
    collection.info |= info or {}
    ignored = list(ignored) or collection.info.get("ignored_classes", [])
    unknown = sorted(set(ignored) - set(classes))
    if unknown:
        raise ValueError(
            f"ignored_classes: {unknown[0]!r:.200} is not one of {', '.join(classes[:20])}."
        )
    if not 0 <= val_share < 1:
        raise ValueError(f"val_share: expected 0 to below 1, found {val_share}.")
    written = writing.images(collection, folder, placing, max_pixels, progress)
    splits = writing.tables(
        collection, folder, written, votes, classes, threshold, ignored, seed, val_share
    )
    return summary(collection, written, votes[written.kept], classes, threshold, splits)


def summary(
    collection: "Collection",
    written: writing.Written,
    votes: "scipy.sparse.csr_array",
    classes: Sequence[str],
    threshold: float,
    splits: np.ndarray,
) -> dict[str, Any]:
    """What was prepared, in numbers: JSON-able dict."""
    total, most, reference = merging.most_voted(votes)
    certain = annotations.is_certain(most, total, threshold)
    voted = total[total > 0]
    kappa = annotations.fleiss_kappa(votes)
    return {
        "images": len(written.names),
        "classes": len(classes),
        "named_annotators": collection.annotators(),
        "votes_per_image": {
            "least": int(voted.min()) if len(voted) else 0,
            "median": float(np.median(voted)) if len(voted) else 0.0,
            "most": int(voted.max(initial=0)),
        },
        "certain": int(certain.sum()),
        "fuzzy": int((~certain & (total > 0)).sum()),
        "without_votes": int((total == 0).sum()),
        "fleiss_kappa": kappa,
        "fleiss_kappa_reason": ""
        if kappa is not None
        else "no image has two votes, or all votes are for one class",
        "splits": {name: int((splits == name).sum()) for name in ("train", "val", "test")},
        "left_out": len(collection.skipped),
        "repeated_votes": _repeated(collection.votes()),
        "duplicates": len(written.hashes) - len(set(written.hashes)),
        "changed": written.changed,
        "outside": len(collection.tree.outside),
        "per_class": _per_class(votes, certain, reference, classes),
        "notes": collection.notes,
    }


def _repeated(raw):
    """Number of further votes by named annotators on images that they have voted on."""
    named = raw["annotator"] >= 0
    pairs = np.stack([raw["item"][named], raw["annotator"][named]], axis=1)
    return len(pairs) - len(np.unique(pairs, axis=0))


def _per_class(votes, certain, reference, classes):
    """{class: {"votes", "certain", "fuzzy"}}, images by their most-voted class."""
    fuzzy = ~certain & (reference >= 0)
    counts = [np.bincount(reference[rows], minlength=len(classes)) for rows in (certain, fuzzy)]
    columns = (votes.sum(axis=0), *counts)
    return {
        name: dict(zip(("votes", "certain", "fuzzy"), map(int, values)))
        for name, *values in zip(classes, *columns)
    }


def table(result: dict[str, Any]) -> str:
    """The summary as text."""
    votes, kappa = result["votes_per_image"], result["fleiss_kappa"]
    agreement = f"{kappa:.3f}" if kappa is not None else result["fleiss_kappa_reason"]
    changed = ", ".join(f"{count} {what}" for what, count in result["changed"].items())
    rows = [
        ("images", f"{result['images']:,}"),
        ("  certain / fuzzy", f"{result['certain']:,} / {result['fuzzy']:,}"),
        ("  without votes", f"{result['without_votes']:,}"),
        ("  left out", f"{result['left_out']:,}" + (" (skipped.csv)" * (result["left_out"] > 0))),
        ("  of equal content", f"{result['duplicates']:,}"),
        ("  changed to PNG", changed or "0"),
        ("  links out of the source", f"{result['outside']:,}, not followed"),
        ("classes", f"{result['classes']:,}"),
        ("votes an image", "{least} to {most}, median {median:g}".format(**votes)),
        ("  by somebody again", f"{result['repeated_votes']:,} (all count)"),
        ("Fleiss' kappa", agreement),
        ("train / val / test", " / ".join(f"{n:,}" for n in result["splits"].values())),
    ]
    lines = [f"{name:<26}{value}" for name, value in rows]
    lines += ["", f"{'class':<32}{'votes':>8}{'certain':>9}{'fuzzy':>8}"]
    for name, row in list(result["per_class"].items())[:60]:
        lines.append(f"{name:<32}{row['votes']:>8}{row['certain']:>9}{row['fuzzy']:>8}")
    if result["classes"] > 60:
        lines.append(f"... and {result['classes'] - 60:,} more")
    return "\n".join(lines)
