"""Table 3's numbers: how many images are consistent with their clusters; do experts agree."""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from foc_tf import annotations

if TYPE_CHECKING:
    from foc_tf.reviewing.ratings import Rating


def scores(rating: "Rating") -> dict[str, dict[str, Any]]:
    """Consistency of one rating.

    Schmarje et al. (2020), table 3: overall, and mean and standard deviation over the clusters, all
    of them and without those of an ignored class (no-fit). The deviation is that of the clusters
    themselves, not of a sample (divided by their number).

    Args:
      rating: `ratings.Rating`.

    Returns:
      {"all" and "without_ignored": {"images", "clusters", "overall", "per_cluster_mean",
      "per_cluster_sd"}}; shares 0 to 1, higher is more alike, None without images.
    """
    kept = rating.rated & ~rating.ignored[rating.cluster]
    return {"all": _shares(rating, rating.rated), "without_ignored": _shares(rating, kept)}


def _shares(rating, counted):
    own, fits = rating.cluster[counted], rating.consistent[counted]
    size = np.bincount(own, minlength=1)
    share = np.bincount(own, weights=fits, minlength=1)[size > 0] / size[size > 0]
    some = len(own) > 0
    return {
        "images": len(own),
        "clusters": len(share),
        "overall": float(fits.mean()) if some else None,
        "per_cluster_mean": float(share.mean()) if some else None,
        "per_cluster_sd": float(share.std()) if some else None,
    }


def agreement(ratings: "Sequence[Rating]") -> dict[str, Any]:
    """Whether experts agree on which images are consistent, beyond chance.

    Args:
      ratings: list of `ratings.Rating` of one run, of real experts.

    Returns:
      {"cohen": [{"experts": [a, b], "images", "kappa"}] of all pairs over the images that both
      rated (Cohen 1960), "fleiss": {"images", "kappa"} over the images that at least two rated
      (Fleiss 1971)}; kappa 1 = all agree, 0 = as by chance, None if no image was rated twice or all
      ratings are the same, which says nothing of chance.
    """
    pairs = [_cohen(a, b) for a, b in itertools.combinations(ratings, 2)]
    if not ratings:
        return {"cohen": [], "fleiss": {"images": 0, "kappa": None}}
    fits = np.sum([r.rated & r.consistent for r in ratings], axis=0, dtype=np.int64)
    rated = np.sum([r.rated for r in ratings], axis=0, dtype=np.int64)
    kappa = annotations.fleiss_kappa(np.stack([fits, rated - fits], axis=1))
    return {"cohen": pairs, "fleiss": {"images": int((rated > 1).sum()), "kappa": kappa}}


def _cohen(a, b):
    # Loads scikit-learn, which only this needs.
    from sklearn.metrics import cohen_kappa_score

    both = a.rated & b.rated
    first, second = a.consistent[both], b.consistent[both]
    varied = len(first) and not (np.all(first) and np.all(second))
    varied = varied and not (np.all(~first) and np.all(~second))
    kappa = float(cohen_kappa_score(first, second)) if varied else None
    kappa = None if kappa is None or math.isnan(kappa) else kappa
    return {"experts": [a.expert, b.expert], "images": len(first), "kappa": kappa}


def table(rows: Iterable[tuple[str, str, dict[str, Any]]]) -> str:
    """Table 3 as Markdown, shares in percent.

    Args:
      rows: list of (name of the run, expert, `scores`).
    """
    lines = [
        "| run | expert | images | clusters | overall | overall, without ignored | per cluster | "
        "per cluster, without ignored |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for run, expert, found in rows:
        both = found["all"], found["without_ignored"]
        overall = [_percent(part["overall"]) for part in both]
        spread = [
            f"{_percent(p['per_cluster_mean'])} ± {_percent(p['per_cluster_sd'])}" for p in both
        ]
        counts = [f"{both[0]['images']:,}", f"{both[0]['clusters']}"]
        cells = [run, expert, *counts, *overall, *spread]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def agreement_lines(found: dict[str, Any]) -> list[str]:
    """Lines of text of `agreement`; none for a single expert."""
    lines = [
        f"Cohen's kappa of {' and '.join(pair['experts'])}: {_number(pair['kappa'])} "
        f"({pair['images']:,} images)"
        for pair in found["cohen"]
    ]
    if lines:
        fleiss = found["fleiss"]
        lines.append(
            f"Fleiss' kappa of all: {_number(fleiss['kappa'])} ({fleiss['images']:,} images)"
        )
    return lines


def _percent(share):
    return "-" if share is None else f"{100 * share:.2f}"


def _number(kappa):
    return "-" if kappa is None else f"{kappa:.3f}"
