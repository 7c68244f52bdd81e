"""When training cannot go on: a loss that is not finite, or all images in one cluster."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

# Mean share of a batch in the largest cluster of the best-spread copy that counts as a collapse.
_COLLAPSED = 0.999


class TrainingFailed(RuntimeError):
    """Training cannot go on (not finite, collapsed); the message says what to try."""


def check_finite(logs: Mapping[str, float], when: str, kept: str | pathlib.Path) -> None:
    """Raises TrainingFailed if a value is not finite.

    Args:
      logs: {name: number}.
      when: words for the message, "step 12 of epoch 3 (pretext)".
      kept: folder of the checkpoints.
    """
    for name, value in logs.items():
        if not math.isfinite(value):
            raise TrainingFailed(
                f"{name} is {value} in {when}. Try a smaller --learning_rate, or float32 "
                f"(--mixed_precision=none). The last good checkpoint stays in {kept}."
            )


def of_batch(feed: Any, block: Any, step: int) -> str:
    """Words on batch `step` of a run: whether its pixels are to blame for a loss.

    Args:
      feed: `feeding.Feed`; its batches can be made again.
      block: the `stages.Block`.
      step: batch, counted over the run.
    """
    images = feed.not_finite(block, step)
    if not images:
        return f"batch {step} of the run, whose pixels are numbers"
    more = f" and {len(images) - 5} more" if len(images) > 5 else ""
    return f"batch {step} of the run, pixels that are no numbers: {', '.join(images[:5])}{more}"


def check_spread(
    logs: Mapping[str, float], heads: Sequence[str], when: str, kept: str | pathlib.Path
) -> None:
    """Raises TrainingFailed if a trained head has put all images into one cluster.

    Args:
      logs: {name: number}, with "<head>_largest".
      heads: names of the heads that were trained.
      when: words for the message.
      kept: folder of the checkpoints.
    """
    for head in heads:
        share = float(logs.get(f"{head}_largest", 0.0))
        if share >= _COLLAPSED:
            raise TrainingFailed(
                f"collapse in {when}: every copy of the {head} head puts {share:.1%} of the "
                "images into one cluster. Try a smaller --learning_rate, a larger --batch_size (2 "
                "to 3 times k times repetitions), weaker augmentation, or, where the method has "
                "mutual information, --lambda_u=1 or more. "
                f"The last good checkpoint stays in {kept}."
            )
