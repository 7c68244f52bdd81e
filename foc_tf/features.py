"""A trained network's features for scikit-learn, k-NN and other people's code.

```python
import keras, numpy as np, tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
import foc_tf

images, labels = load_digits(return_X_y=True)
images = (images.reshape(-1, 8, 8, 1) * 255 / 16).astype("float32")
few, rest, test = np.split(np.random.default_rng(0).permutation(len(images)), [100, 1200])

keras.utils.set_random_seed(0)
# foc_tf.load("runs/mine") gives a trained model instead.
model = foc_tf.build_model(
    "foc", "small_resnet", k_gt=10, k=50, image_size=8, channels=1, negatives="in_batch",
    ce_views="both",
)
model.compile(keras.optimizers.Adam(1e-3))
moved = foc_tf.augment.AUGMENTATIONS["digit"]
known = tf.data.Dataset.from_tensor_slices((images[few], labels[few].astype("int32")))
known = known.repeat().shuffle(100, seed=0).batch(30)
unknown = tf.data.Dataset.from_tensor_slices(images[rest]).repeat().shuffle(1100, seed=0).batch(30)

def views(step, both):
    (of_class, label), without = both
    pixels = tf.concat([of_class, without], axis=0)
    return {
        "anchor": moved(pixels, [step, 0], 8),
        "positive": moved(pixels, [step, 1], 8),
        "label": tf.concat([label, tf.fill([30], -1)], axis=0),  # -1 = unlabelled
    }

data = tf.data.Dataset.zip((known, unknown)).enumerate().map(views)
model.fit(data, steps_per_epoch=80, verbose=0)

features = foc_tf.feature_extractor(model).predict(images, verbose=0)  # [1797, 128]
knn = KNeighborsClassifier(5)
score = knn.fit(features[few], labels[few]).score(features[test], labels[test])
flat = images.reshape(len(images), -1)
pixels = knn.fit(flat[few], labels[few]).score(flat[test], labels[test])
print(f"5 nearest neighbours of 100 labels: {pixels:.3f} by pixels, {score:.3f} by features")
```
"""

import pathlib

import keras
import tensorflow as tf

from foc_tf import build
from foc_tf.augment import AUGMENTATIONS
from foc_tf.data import pipeline


@keras.utils.register_keras_serializable("foc_tf")
class EvaluationView(keras.layers.Layer):
    """What evaluation shows the network of an image: resized, then its centre.

    [B, H, W, 3] images in 0..255 of any size to [B, image_size, image_size, channels] float32.

    Args:
      load_size: side in pixels after the resize.
      image_size: side in pixels of the centre crop.
      channels: 3, or 1 for grey.

    Raises:
      ValueError: if `channels` is another number.
    """

    def __init__(self, load_size, image_size, channels=3, **kwargs):
        """See the class."""
        super().__init__(**kwargs)
        if channels not in (1, 3):
            raise ValueError(f"channels: expected 1 or 3, found {channels}.")
        self.load_size, self.image_size, self.channels = load_size, image_size, channels

    def call(self, images):
        """Images to the network's input."""
        loaded = pipeline.resize(images, self.load_size, self.channels)
        return AUGMENTATIONS["center_crop"](loaded, tf.constant([0, 0], tf.int64), self.image_size)

    def compute_output_shape(self, input_shape):
        """[B, image_size, image_size, channels]."""
        return (input_shape[0], self.image_size, self.image_size, self.channels)

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {
            "load_size": self.load_size,
            "image_size": self.image_size,
            "channels": self.channels,
        }


def feature_extractor(model):
    """A plain keras.Model from images in 0..255 to a trained network's features.

    It shares the weights of `model`; `predict`, `save("features.keras")` and further layers on its
    output work as with any Keras model.

    Args:
      model: of `build_model` or `load`, or the workdir of a run. Of a run the result takes colour
        images of any size and resizes and crops them as evaluation does; of a model that was
        built by hand, images of the size and channels that its backbone takes.

    Returns:
      keras.Model, [B, H, W, C] float or uint8 to [B, F] float32.

    Raises:
      ValueError: if `model` is neither; a SavedModel has its features in its outputs already.
    """
    if isinstance(model, (str, pathlib.Path)):
        model = build.load(model)
    if not hasattr(model, "backbone"):
        raise ValueError(
            "model: expected a model of foc_tf.build_model or foc_tf.load, or a workdir, found "
            f"{type(model).__name__}. A SavedModel's features are in its output: "
            "loaded.signatures['serving_default'](image=images)['features']."
        )
    details = getattr(model, "details", None)
    if not details:
        image = keras.Input(model.backbone.input_shape[1:], name="image")
        seen = image
    else:
        image = keras.Input((None, None, 3), name="image")
        sizes = (details["load_size"], details["image_size"], model.recipe["channels"])
        seen = EvaluationView(*sizes, name="evaluation_view", dtype="float32")(image)
    features = keras.layers.Activation("linear", dtype="float32", name="features")(
        model.backbone(seen, training=False)
    )
    return keras.Model(image, features, name="feature_extractor")
