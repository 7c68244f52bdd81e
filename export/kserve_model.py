"""Serves <folder>/<version>/ with KServe's own server in TF Serving's REST form.

    python export/kserve_model.py --model_folder=export/models/digits --http_port=8501

POST /v1/models/<name>:predict with {"signature_name": "image_bytes", "instances": [{"b64": "..."}]}
or {"instances": [[[[r, g, b], ...], ...]]}. The highest version is served; a newer one that appears
is loaded and warmed up beside it, then takes over between two requests.
"""

import argparse
import asyncio
import base64
import binascii
import pathlib
import re
import threading

import kserve
import numpy as np
import tensorflow as tf
from kserve.errors import InvalidInput

POLL_SECONDS = 1.0


class FocModel(kserve.Model):
    """Answers V1 requests with a SavedModel of foc_tf.

    Args:
      folder: `<name>/` with the versions.
    """

    def __init__(self, folder):
        super().__init__(pathlib.Path(folder).absolute().name)
        self.folder, self.version, self._loaded = pathlib.Path(folder), 0, None

    def load(self):
        """Loads the highest version if it is not the one served; True when there is one."""
        numbers = [int(p.name) for p in self.folder.iterdir() if p.name.isdecimal()]
        newest = max(numbers, default=0)
        if newest > self.version:
            loaded = tf.saved_model.load(str(self.folder / str(newest)))
            # The first request of a signature costs seconds: it is paid here.
            image = tf.io.encode_png(tf.zeros((8, 8, 3), tf.uint8))
            loaded.signatures["image_bytes"](image_bytes=image[None])
            loaded.signatures["serving_default"](image=tf.zeros((1, 8, 8, 3)))
            self._loaded, self.version = loaded, newest
        self.ready = self._loaded is not None
        return self.ready

    def watch(self):
        """Looks for newer versions until the process ends; one that cannot be loaded is left."""
        while True:
            threading.Event().wait(POLL_SECONDS)
            try:
                self.load()
            except (OSError, ValueError, tf.errors.OpError) as error:
                kserve.logging.logger.error("version not loaded: %s", error)

    async def predict(self, payload, headers=None):
        """One V1 request in a thread of its own: the event loop stays free."""
        return await asyncio.to_thread(self.answer, payload)

    def answer(self, payload):
        """{"instances": N rows} to {"predictions": N dicts}; InvalidInput (400) names the row."""
        loaded = self._loaded  # one version from the first line to the last
        if not isinstance(payload, dict) or not isinstance(payload.get("instances"), list):
            raise InvalidInput('expected {"instances": [...]}')
        name = payload.get("signature_name", "serving_default")
        if name not in loaded.signatures:
            raise InvalidInput(f"signature_name: expected one of {', '.join(loaded.signatures)}")
        read, argument = READERS[name]
        value = read([_named(row, argument) for row in payload["instances"]])
        try:
            outputs = loaded.signatures[name](**{argument: value})
        except tf.errors.InvalidArgumentError as error:
            found = re.search(r"assertion failed: (.*)", error.message)
            raise InvalidInput(found[1] if found else error.message) from None
        columns = {key: output.numpy().tolist() for key, output in outputs.items()}
        rows = zip(*columns.values())
        return {"predictions": [dict(zip(columns, row)) for row in rows]}


def _named(row, argument):
    return row[argument] if isinstance(row, dict) and set(row) == {argument} else row


def _bytes(rows):
    decoded = []
    for index, row in enumerate(rows):
        try:
            if set(row) != {"b64"}:
                raise ValueError
            decoded.append(base64.b64decode(row["b64"], validate=True))
        except (TypeError, ValueError, binascii.Error):
            raise InvalidInput(f'row {index}: expected {{"b64": "standard base64"}}') from None
    return tf.constant(decoded, tf.string)


def _pixels(rows):
    images = []
    for index, row in enumerate(rows):
        try:
            images.append(np.asarray(row, np.float32))
        except (TypeError, ValueError):
            raise InvalidInput(f"row {index}: expected numbers [height][width][3]") from None
        if images[index].ndim != 3 or images[index].shape[2] != 3:
            raise InvalidInput(
                f"row {index}: expected [height][width][3], found shape {images[index].shape}"
            )
        if images[index].shape != images[0].shape:
            raise InvalidInput(f"row {index}: images of one request must be of one size")
    return tf.constant(np.stack(images) if images else np.zeros((0, 1, 1, 3), np.float32))


READERS = {"image_bytes": (_bytes, "image_bytes"), "serving_default": (_pixels, "image")}


def main():
    """The program."""
    parser = argparse.ArgumentParser(
        parents=[kserve.model_server.parser], conflict_handler="resolve"
    )
    parser.add_argument("--model_folder", required=True, help="<name>/ with the versions in it")
    args = parser.parse_args()
    model = FocModel(args.model_folder)
    if not model.load():
        raise SystemExit(f"{args.model_folder}: no version; expected folders named 1, 2, ...")
    threading.Thread(target=model.watch, daemon=True).start()
    kserve.ModelServer(http_port=args.http_port, workers=1, enable_grpc=False).start([model])


if __name__ == "__main__":
    main()
