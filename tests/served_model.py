"""An untrained network, exported as any other, and images of all kinds to send to it."""

import atexit
import functools
import io
import pathlib
import tempfile

import numpy as np
from PIL import Image

import foc_tf
from foc_tf import report
from foc_tf.data import decoding, digits
from foc_tf.serving import write

SIDE = 16


def network(channels=3, backbone="small_resnet", side=SIDE, **changed):
    """A network whose outputs differ from image to image as a trained one's do."""
    model = foc_tf.build_model("foc", backbone, 10, side, channels, k=20, num_sub_heads=2)
    _spread(model, side, channels)
    model.details = {
        **dict.fromkeys(("dataset", "licence", "method", "seed", "versions"), ""),
        **{"classes": [str(c) for c in range(10)], "load_size": side, "image_size": side},
        **changed,
    }
    return model


def _spread(model, side, channels):
    """Centres and widens the heads: an untrained network says nearly the same of all images."""
    rng = np.random.default_rng(0)
    shades = rng.uniform(0, 255, (60, 1, 1, channels)) + rng.normal(0, 30, (60, side, side, 1))
    features = model.extract(np.clip(shades, 0, 255).astype(np.float32)).numpy()
    for head in (model.normal_head, model.over_head):
        kernel, bias = head.get_weights()
        logits = np.einsum("bf,sfk->bsk", features, kernel)
        kernel = kernel * 2 / logits.std(0)[:, None]
        head.set_weights([kernel, bias - np.einsum("f,sfk->sk", features.mean(0), kernel)])


def scorer(model):
    """Scores of made-up outputs on the digits: only best sub-heads and clusters come of it."""
    image_set, rng = digits.read(), np.random.default_rng(0)
    outputs = {
        f"{head}_probs": rng.dirichlet(np.ones(width), (len(image_set.ids), 2))
        for head, width in (("normal", 10), ("over", 20))
    }
    return report.Scorer(image_set, image_set.training_labels(), outputs)


@functools.cache
def exported():
    """(folder of version 1 of "digits", network, scorer), made once: an export takes seconds."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    model = network()
    made = scorer(model)
    path = write(pathlib.Path(folder.name) / "digits", model, made, {"splits": {}})
    return path, model, made


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def colours(height=30, width=40, seed=0):
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3))
    return Image.fromarray(values.astype(np.uint8))


def good_images():
    """{name: bytes}: what cameras, microscopes and old tools write."""
    image, small = colours(), colours(1, 1)
    deep = np.random.default_rng(1).integers(0, 65536, (30, 40)).astype(np.uint16)
    frames = [colours(seed=s).convert("P") for s in range(4)]
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "png": encode(image, "PNG"),
        "grey png": encode(image.convert("L"), "PNG"),
        "palette png": encode(image.convert("P"), "PNG"),
        "rgba png": encode(image.convert("RGBA"), "PNG"),
        "16 bit png": encode(Image.fromarray(deep), "PNG"),
        "jpeg": encode(image, "JPEG"),
        "progressive jpeg": encode(image, "JPEG", progressive=True),
        "grey jpeg": encode(image.convert("L"), "JPEG"),
        "cmyk jpeg": encode(image.convert("CMYK"), "JPEG"),
        "jpeg with exif": encode(image, "JPEG", exif=exif, comment=b"\xff\xd8" * 99),
        "gif": encode(image.convert("P"), "GIF"),
        "animated gif": encode(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "bmp": encode(image, "BMP"),
        "one pixel": encode(small, "PNG"),
        "one pixel jpeg": encode(small, "JPEG"),
        "wide": encode(colours(3, 900), "PNG"),
    }


def damaged_images():
    """{name: bytes} that no decoder takes."""
    good = good_images()
    return {
        "empty": b"",
        "text": b"no image",
        "tiff": encode(colours(), "TIFF"),
        "half a png": good["png"][: len(good["png"]) // 2],
        "start of a png": good["png"][:8],
        "start of a jpeg": good["jpeg"][:3],
        "jpeg without its image": good["jpeg"][:300],
        "start of a gif": good["gif"][:13],
        "start of a bmp": good["bmp"][:26],
        "png with a wrong byte": good["png"][:60] + b"\x00\x01" + good["png"][62:],
    }


def expected(model, encoded, best):
    """What `model.predict` says of encoded images that evaluation's decoder has read."""
    side, channels = model.recipe["image_size"], model.recipe["channels"]
    loaded = np.stack([decoding.decode(e, side, channels).numpy() for e in encoded])
    outputs = model.predict(loaded.astype(np.float32), verbose=0)
    over = outputs["over_probs"][:, best["over"]]
    return {
        "class_probs": outputs["normal_probs"][:, best["normal"]],
        "features": outputs["features"],
        "cluster_probs": over,
        "cluster": over.argmax(1),
    }


def assert_same(found, wanted, tolerance=1e-4):
    """At most `tolerance` apart in every output."""
    assert set(wanted) <= set(found)
    for name, value in wanted.items():
        np.testing.assert_allclose(np.asarray(found[name]), value, atol=tolerance, err_msg=name)
