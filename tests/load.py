"""A load on a served model: good and bad requests of many clients, every answer checked.

    python -m tests.load --requests=20000 --clients=16 --batch=1 --protocol=grpc

Prints one JSON object: requests, lost and wrong answers (0 expected of both), seconds at the median
and at the 99th percentile, images answered a second, and that as a ratio to `model.predict` alone.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import itertools
import json
import pathlib
import tempfile
import threading
import time

import numpy as np

from foc_tf.serving import saved_model
from tests import served_model
from tests.served_rest import client
from tests.served_rest import serving as rest_serving

BAD_EVERY = 10
NEW = 9  # the class of all clusters in version 2, so that its answers are known from version 1's


class Load:
    """Requests whose answers are known.

    Args:
      model: the network that is served.
      best: its best sub-heads.
      batch: images of a request.
      pool: different images to send.
    """

    def __init__(self, model, best, batch, pool=40):
        self.images = [
            served_model.encode(
                served_model.colours(24, 20 + i, seed=i), "PNG" if i % 2 else "JPEG"
            )
            for i in range(pool)
        ]
        self.wanted = served_model.expected(model, self.images, best)
        self.batch = batch

    def rows(self, index):
        """Numbers of the images of request `index`; every tenth request holds a damaged one."""
        return [(index * self.batch + i) % len(self.images) for i in range(self.batch)]

    def ask(self, service, index):
        """(what came of request `index`: "right", "wrong" or "lost", seconds, by version 2)."""
        encoded = [self.images[row] for row in self.rows(index)]
        bad = index % BAD_EVERY == 0
        if bad:
            encoded[-1] = encoded[-1][:40]
        begun, new = time.perf_counter(), False
        try:
            answers = service.predict(encoded, 60)
            right = not bad and self.is_right(answers, index)
        except client.Refused as refused:
            right = bad and f"row, from 0:] [{self.batch - 1}]" in str(refused)
        except client.Unavailable:
            return "lost", time.perf_counter() - begun, new
        else:
            new = all(answer.get("cluster_class") == NEW for answer in answers)
        return "right" if right else "wrong", time.perf_counter() - begun, new

    def is_right(self, answers, index):
        """Whether every output of every row is that of `model.predict`."""
        rows = self.rows(index)
        return len(answers) == len(rows) and all(
            np.allclose(answer[name], values[row], atol=1e-4)
            for answer, row in zip(answers, rows)
            for name, values in self.wanted.items()
        )


def run(load, connect, requests, clients, halfway=lambda: None):
    """Sends requests from `clients` threads, each with a connection of its own.

    Args:
      load: `Load`.
      connect: function that gives a client's connection.
      requests: how many; more while `halfway` takes its time.
      clients: at once.
      halfway: called once, in the middle, while the other clients go on.

    Returns:
      Dict of figures.
    """
    results, indices, begun, over = [], [], time.perf_counter(), threading.Event()

    def work(first):
        service = connect()
        for index in itertools.count(first, clients):
            if index >= requests and over.is_set():
                return
            results.append(load.ask(service, index))
            indices.append(index)
            if index == requests // 2:
                halfway()
                over.set()

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(work, first) for first in range(clients)]:
            done.result()
    seconds = time.perf_counter() - begun
    counts = collections.Counter(kind for kind, *_ in results)
    # What was refused did not pass the network.
    answered = len(results) - len([i for i in indices if i % BAD_EVERY == 0])
    times = [passed for _, passed, _ in results]
    return {
        "requests": len(results),
        "right": counts["right"],
        "wrong": counts["wrong"],
        "lost": counts["lost"],
        "by_new_version": sum(new for *_, new in results),
        "p50_seconds": float(np.percentile(times, 50)),
        "p99_seconds": float(np.percentile(times, 99)),
        "images_per_second": answered * load.batch / seconds,
    }


def bare_rate(model, batch, seconds=5.0):
    """Images a second of `model.predict` in batches of that size, nothing decoded or sent."""
    steps = max(1, 512 // batch)
    shape = (steps * batch, *model.backbone.input_shape[1:])
    images = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    model.predict(images, batch_size=batch, verbose=0)
    begun, passed = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        model.predict(images, batch_size=batch, verbose=0)
        passed += len(images)
    return passed / (time.perf_counter() - begun)


@contextlib.contextmanager
def served(protocol, folder):
    """Yields (address, function that makes version 2 the served one)."""
    if protocol == "rest":
        with rest_serving(folder, folder.parent / "log") as (address, _):

            def appear():
                (folder / ".2").rename(folder / "2")
                # The server looks for versions once a second.
                image = served_model.encode(served_model.colours(), "PNG")
                service, ends = client.connect(address, folder.name), time.monotonic() + 120
                while service.predict([image], 60)[0]["cluster_class"] != NEW:
                    assert time.monotonic() < ends
                    time.sleep(0.1)

            yield address, appear
        return
    from tests import prediction_service

    with prediction_service.serving(folder) as (address, service):

        def switch():
            (folder / ".2").rename(folder / "2")
            service.load(2)
            service.unload(1)

        yield address, switch


def prepared(root, backbone="small_resnet", side=served_model.SIDE):
    """(network, best sub-heads, folder with version 1 and a version 2 that is still hidden)."""
    model = served_model.network(backbone=backbone, side=side)
    scorer, folder = served_model.scorer(model), root / "digits"
    names = root / "names.csv"
    names.write_text("cluster,name,class\n" + "".join(f"{c},x,{NEW}\n" for c in range(20)))
    for options in (saved_model.Options(), saved_model.Options(names=names)):
        saved_model.write(folder, model, scorer, {"splits": {}}, options)
    (folder / "2").rename(folder / ".2")
    return model, scorer.best, folder


def main():
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--protocol", choices=["rest", "grpc"], default="grpc")
    parser.add_argument("--backbone", default="small_resnet")
    parser.add_argument("--side", type=int, default=served_model.SIDE)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        model, best, folder = prepared(pathlib.Path(root), args.backbone, args.side)
        load = Load(model, best, args.batch)
        before = bare_rate(model, args.batch)
        with served(args.protocol, folder) as (address, switch):
            figures = run(
                load,
                lambda: client.connect(address, "digits"),
                args.requests,
                args.clients,
                switch,
            )
        bare = (before + bare_rate(model, args.batch)) / 2
    figures |= {"ratio_to_predict": figures["images_per_second"] / bare}
    print(json.dumps(vars(args) | figures, indent=1))


if __name__ == "__main__":
    main()
