"""Which value of a flag a row is compared with: the best one on validation images, at one seed.

All rows choose by the same rule, `validation_score`, and nothing but the report's `val` is read:
the images on which rows are compared must not take part.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foc_tf.comparing.cells import Cell


@dataclasses.dataclass(frozen=True)
class Decision:
    """What a row's runs of the first seed say.

    Attributes:
      made: whether all of them came to an end and one at least has a score.
      value: the chosen one; None while the choice is not made, or without a choice.
      scores: {value: validation score, None where the run failed or is missing}.
    """

    made: bool
    value: str | None = None
    scores: dict[str | None, float | None] = dataclasses.field(default_factory=dict)


def validation_score(report: dict[str, Any]) -> float:
    """Mean validation accuracy of the heads that the last stage trained, 0 to 1; higher is better.

    The rule by which training keeps its best epoch: the accuracy of the normal head and that of the
    clusters as the labelled training images name them, each where it was trained. Without any
    label it is the normal head's accuracy under the best one-to-one matching.

    Args:
      report: a run's report.json.

    Raises:
      ValueError: if the report has no validation images or does not say what was trained.
    """
    scores = report["splits"].get("val") or {}
    if not scores.get("count"):
        raise ValueError(
            "choose: the data set has no certain validation images (val) to choose on; add a "
            "splits.csv, or give each row its value."
        )
    if "trained_heads" not in report:
        raise ValueError(
            "choose: a report.json without trained_heads, by an older version; remove that run."
        )
    try:
        if not report["uses_labels"]:
            return float(scores["normal"]["hungarian_accuracy"])
        accuracy = {
            "normal": lambda: scores["normal"]["accuracy"],
            "over": lambda: scores["over"]["train"]["accuracy"],
        }
        found = [float(accuracy[head]()) for head in report["trained_heads"]]
        return sum(found) / len(found)
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        raise ValueError(
            "choose: a report.json without the validation scores of the trained heads; damaged, or "
            "by another version. Remove that run."
        ) from None


def decide(candidates: "Sequence[Cell]") -> Decision:
    """The choice among a row's runs of the first seed.

    A run that failed (its loss was not finite, say) is out of the choice; while one is missing
    there is no choice. Of equal scores the value that stands first wins.

    Args:
      candidates: list of `cells.Cell`, one for each value.

    Returns:
      `Decision`.
    """
    if [cell.value for cell in candidates] == [None]:
        return Decision(True)
    scores, ended = {}, True
    for cell in candidates:
        report = cell.report()
        scores[cell.value] = None if report is None else validation_score(report)
        ended = ended and (report is not None or cell.failed())
    known = {value: score for value, score in scores.items() if score is not None}
    if not ended or not known:
        return Decision(False, None, scores)
    return Decision(True, max(known, key=known.__getitem__), scores)
