"""The joint of two views as one matrix product against the [n, k, k] tensor that IIC builds."""

import numpy as np
import tensorflow as tf

from foc_tf import losses
from foc_tf.benchmarks.timing import Options, Row, interleaved, row


def joint(options: Options) -> list[Row]:
    """Matrix product / mean of n outer products; n = 210, k = 70, 5 sub-heads."""
    rng = np.random.default_rng(0)
    one, two = (
        tf.nn.softmax(tf.constant(rng.normal(size=(210, 5, 70)), tf.float32)) for _ in range(2)
    )

    def outer():
        q = tf.reduce_mean(one[:, :, :, None] * two[:, :, None, :], axis=0)
        return (q + tf.transpose(q, [0, 2, 1])) / 2.0

    functions = {
        "product": tf.function(lambda: losses.joint(one, two)),
        "outer": tf.function(outer),
    }
    both = [function() for function in functions.values()]
    np.testing.assert_allclose(both[0], both[1], atol=1e-6)
    # Milliseconds: many calls make a round.
    many = {
        name: lambda f=function: [f() for _ in range(20)] for name, function in functions.items()
    }
    times = interleaved(many, options.rounds)
    return [
        row("joint: one matrix product / n x k x k", times, "product", "outer", note="20 calls")
    ]
