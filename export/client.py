"""Sends a folder of images to a served foc_tf model and writes a CSV row an image.

    python client.py --server=http://localhost:8501 --model=digits --images=photos --output=out.csv
    python client.py --server=grpc://localhost:8500 --model=digits --images=photos --output=out.csv

Needs nothing but Python for REST; tensorflow-serving-api for gRPC. Rows are written as they come.
An image that the server refuses gets a row with its reason in `error`; exit 1 if any did.
"""

import argparse
import base64
import concurrent.futures
import contextlib
import csv
import http.client
import json
import os
import pathlib
import random
import sys
import time
import urllib.error
import urllib.request

COLUMNS = ("image", "class", "class_prob", "cluster", "cluster_prob", "cluster_class", "error")
IMAGES = {".png", ".jpg", ".jpeg", ".gif", ".bmp"}
LATER = {408, 425, 429, 500, 502, 503, 504}  # what may pass by itself
_NOT_SENT = "not answered: "


class Refused(Exception):
    """The request is wrong: the same again would be refused again."""


class Unavailable(Exception):
    """No answer: the same again may be answered."""


class Rest:
    """TF Serving's REST interface.

    Args:
      server: http://host:port.
      model: name of the model.
      version: number, or None for the server's choice.
    """

    def __init__(self, server, model, version=None):
        chosen = f"/versions/{version}" if version else ""
        self.url = f"{server.rstrip('/')}/v1/models/{model}{chosen}:predict"

    def predict(self, encoded, seconds):
        """List of bytes to a list of dicts."""
        rows = [{"b64": base64.b64encode(content).decode()} for content in encoded]
        body = json.dumps({"signature_name": "image_bytes", "instances": rows}).encode()
        request = urllib.request.Request(
            self.url, body, {"Content-Type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=seconds) as reply:
                return json.load(reply)["predictions"]
        except urllib.error.HTTPError as error:
            reason = error.read().decode(errors="replace")[:500]
            kind = Unavailable if error.code in LATER else Refused
            raise kind(f"HTTP {error.code}: {reason}") from None
        except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from None


class Grpc:
    """TF Serving's PredictionService.

    Args:
      server: grpc://host:port.
      model: name of the model.
      version: number, or None for the server's choice.
    """

    def __init__(self, server, model, version=None):
        import grpc
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

        unlimited = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
        self.grpc, self.request = grpc, predict_pb2.PredictRequest
        self.model, self.version = model, version
        channel = grpc.insecure_channel(server.split("//")[1], unlimited)
        self.stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def predict(self, encoded, seconds):
        """List of bytes to a list of dicts."""
        request = self.request()
        request.model_spec.name, request.model_spec.signature_name = self.model, "image_bytes"
        if self.version:
            request.model_spec.version.value = self.version
        tensor = request.inputs["image_bytes"]
        tensor.dtype = 7  # DT_STRING
        tensor.tensor_shape.dim.add().size = len(encoded)
        tensor.string_val.extend(encoded)
        code = self.grpc.StatusCode
        later = (code.UNAVAILABLE, code.DEADLINE_EXCEEDED, code.RESOURCE_EXHAUSTED, code.ABORTED)
        try:
            reply = self.stub.Predict(request, seconds)
        except self.grpc.RpcError as error:
            kind = Unavailable if error.code() in later else Refused
            raise kind(f"{error.code().name}: {error.details()}") from None
        from tensorflow import make_ndarray

        columns = {name: make_ndarray(value).tolist() for name, value in reply.outputs.items()}
        return [dict(zip(columns, row)) for row in zip(*columns.values())]


def connect(server, model, version=None):
    """The interface that the address asks for: http://, https:// or grpc://."""
    return (Grpc if server.startswith("grpc://") else Rest)(server, model, version)


def predict(service, encoded, deadline, retries):
    """Sends images until they are answered, refused, or there is no time left.

    Args:
      service: of `connect`.
      encoded: list of bytes.
      deadline: seconds for all attempts together.
      retries: attempts after the first.

    Returns:
      List of dicts: the outputs, or {"error": reason}. What is refused is halved until the bad
      images stand alone, so that the good ones of a batch get their answer.
    """
    ends = time.monotonic() + deadline
    for attempt in range(retries + 1):
        try:
            return service.predict(encoded, max(ends - time.monotonic(), 0.001))
        except Refused as error:
            if len(encoded) == 1:
                return [{"error": str(error)}]
            half = len(encoded) // 2
            parts = encoded[:half], encoded[half:]
            return [row for part in parts for row in predict(service, part, deadline, retries)]
        except Unavailable as error:
            reason = str(error)
        # Random, so that many clients do not all come back at once.
        pause = min(0.1 * 2**attempt, 5.0) * random.uniform(0.5, 1.5)
        if attempt == retries or time.monotonic() + pause >= ends:
            break
        time.sleep(pause)
    return [{"error": _NOT_SENT + reason}] * len(encoded)


def as_row(image, answer, classes):
    """The CSV row of an answer.

    Args:
      image: name of the file.
      answer: dict of outputs, or {"error": reason}.
      classes: names of the classes; [] writes their numbers.
    """
    if "error" in answer:
        return {"image": image, "error": answer["error"]}
    named = {-1: ""} | dict(enumerate(classes))
    probs = answer["class_probs"]
    best = max(range(len(probs)), key=probs.__getitem__)
    row = {"image": image, "class": named.get(best, best), "class_prob": f"{probs[best]:.6g}"}
    if "cluster" in answer:
        cluster, number = answer["cluster"], answer["cluster_class"]
        row |= {
            "cluster": cluster,
            "cluster_prob": f"{answer['cluster_probs'][cluster]:.6g}",
            "cluster_class": named.get(number, number),
        }
    return row


def answers(service, paths, args):
    """Yields (path, answer) in order; `workers` batches are on their way at once."""

    def send(batch):
        contents, found = {}, {}
        for path in batch:
            try:
                contents[path] = path.read_bytes()
            except OSError as error:
                found[path] = {"error": f"not read: {error}"}
        if contents:
            sent = predict(service, list(contents.values()), args.deadline, args.retries)
            found |= zip(contents, sent)
        return [(path, found[path]) for path in batch]

    batches = [paths[i : i + args.batch] for i in range(0, len(paths), args.batch)]
    with concurrent.futures.ThreadPoolExecutor(args.workers) as pool:
        waiting = []
        for batch in batches:
            waiting.append(pool.submit(send, batch))
            if len(waiting) > 2 * args.workers:
                yield from waiting.pop(0).result()
        for future in waiting:
            yield from future.result()


def arguments(argv):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", required=True, help="http://host:port or grpc://host:port")
    parser.add_argument("--model", required=True, help="name of the model")
    parser.add_argument("--version", type=int, help="default: the server's newest")
    parser.add_argument("--images", required=True, type=pathlib.Path, help="folder, or one image")
    parser.add_argument(
        "--output",
        required=True,
        type=pathlib.Path,
        help="CSV to write; <output>.partial until then",
    )
    parser.add_argument("--classes", type=pathlib.Path, help="assets/classes.txt of the model")
    parser.add_argument("--batch", type=int, default=32, help="images of a request")
    parser.add_argument("--workers", type=int, default=2, help="requests at once")
    parser.add_argument("--deadline", type=float, default=60, help="seconds for a request")
    parser.add_argument("--retries", type=int, default=6, help="attempts after the first")
    args = parser.parse_args(argv)
    for name in ("batch", "workers"):
        if getattr(args, name) < 1:
            parser.error(f"--{name}: expected 1 or more, found {getattr(args, name)}")
    return args


def find(folder):
    """The images under a folder, in order."""
    if folder.is_file():
        return [folder]
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGES and not p.is_dir())


def safe(text):
    """Text that a spreadsheet would compute gets an apostrophe in front."""
    return (
        "'" + text if text.lstrip("'").startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text
    )


@contextlib.contextmanager
def growing(path):
    """A text file `<path>.partial`, which gets its name when all is written."""
    partial = path.with_name(f"{path.name}.partial")
    with open(partial, "w", encoding="utf-8", newline="") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def main(argv=None):
    """The program: 0 all answered, 1 some refused or not answered, 2 the call is wrong."""
    args = arguments(argv)
    paths = find(args.images)
    if not paths:
        print(f"error: --images: no {' '.join(sorted(IMAGES))} in {args.images}", file=sys.stderr)
        return 2
    classes = args.classes.read_text(encoding="utf-8").splitlines() if args.classes else []
    service, failed, begun = connect(args.server, args.model, args.version), 0, time.monotonic()
    with growing(args.output) as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for done, (path, answer) in enumerate(answers(service, paths, args), start=1):
            inside = args.images.is_dir()
            name = str(path.relative_to(args.images)) if inside else path.name
            row = as_row(name, answer, classes)
            writer.writerow({k: safe(v) if isinstance(v, str) else v for k, v in row.items()})
            failed += "error" in answer
            if done % args.batch == 0 or done == len(paths):
                file.flush()
                rate = done / (time.monotonic() - begun)
                left = (len(paths) - done) / rate
                text = f"{done:,} of {len(paths):,} images, {rate:.0f} a second, {left:.0f} s left"
                print(f"\r{text}", end="", file=sys.stderr, flush=True)
    print(f"\n{failed:,} without an answer: {args.output}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
