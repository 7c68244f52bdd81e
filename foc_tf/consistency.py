"""What images without labels are learned from: targets and distances, as pure functions.

All work on all S sub-heads at once, in float32; each sub-head has targets of its own.
"""

import tensorflow as tf

from foc_tf.losses import soft_cross_entropy


def squared_difference(probs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean over the classes of (p - t)^2; no gradient into the target.

    Args:
      probs: [B, S, C] float.
      target: [B, S, C] float.

    Returns:
      [B, S] float32, 0 to 2 / C. Minimise it.
    """
    difference = tf.cast(probs, tf.float32) - tf.stop_gradient(tf.cast(target, tf.float32))
    return tf.reduce_mean(tf.square(difference), axis=-1)


def sharpen(probs: tf.Tensor, temperature: float) -> tf.Tensor:
    """p^(1/T) / sum_c p^(1/T): Eq. 7 of Berthelot et al. (2019), MixMatch.

    Args:
      probs: [..., C] float, rows sum to 1.
      temperature: T > 0; 1 changes nothing, towards 0 the largest class takes all.

    Returns:
      [..., C] float32, rows sum to 1.
    """
    # Relative to the largest, so that no power of small numbers vanishes in all classes.
    probs = tf.cast(probs, tf.float32)
    powers = tf.pow(probs / tf.reduce_max(probs, axis=-1, keepdims=True), 1.0 / temperature)
    return powers / tf.reduce_sum(powers, axis=-1, keepdims=True)


def confident_cross_entropy(
    probs: tf.Tensor, guess: tf.Tensor, threshold: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """1[max g >= threshold] CE(argmax g, p): the pseudo-label loss of each row and sub-head.

    Args:
      probs: [B, S, C] float, what learns.
      guess: [B, S, C] float, what the pseudo-labels are read from, without gradient.
      threshold: smallest probability that counts as confident, 0 to 1.

    Returns:
      ([B, S] float32 in nats, 0 where not confident: minimise it; [B, S] float32 1 or 0, confident
      or not).
    """
    guess = tf.stop_gradient(guess)
    # One decision for each row and sub-head: a mask that kept the classes' axis would broadcast to
    # [B, B] and only scale the loss.
    confident = tf.cast(tf.reduce_max(guess, axis=-1) >= threshold, tf.float32)
    target = tf.one_hot(tf.argmax(guess, axis=-1), guess.shape[-1])
    return confident * soft_cross_entropy(probs, target), confident


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raises ValueError if a number is not from `low` to `high`; names it."""
    if not low <= value <= high:
        raise ValueError(f"{name}: expected {low:g} to {high:g}, found {value}.")


def check_weight(lambda_u: float, ramp_up: float) -> None:
    """Raises ValueError if the weight of an unlabelled loss or its ramp is out of range."""
    check_range("lambda_u", lambda_u, 0, float("inf"))
    check_range("ramp_up", ramp_up, 0, 1)
