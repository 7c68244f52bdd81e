"""A real server on loopback, driven by the client that users get."""

import base64
import csv
import http.server
import itertools
import json
import threading

import numpy as np
import pytest
import tensorflow as tf

from tests import served_model
from tests.served_rest import client, post, serving

pytest.importorskip("kserve", reason="needs foc_tf[serve]")
GOOD = served_model.good_images()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """(address, process, version's folder, what model.predict says of GOOD)."""
    path, model, scorer = served_model.exported()
    wanted = served_model.expected(model, list(GOOD.values()), scorer.best)
    log = tmp_path_factory.mktemp("kserve") / "log"
    with serving(path.parent, log) as (address, process):
        yield address, process, path, wanted


@pytest.fixture
def url(server):
    return f"{server[0]}/v1/models/digits:predict"


@pytest.fixture
def folder(tmp_path):
    """A folder of all good images, two damaged ones and a file that is none."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name, content in GOOD.items():
        (tmp_path / "in" / "deep" / f"{name}.png").write_bytes(content)
    (tmp_path / "in" / "bad.png").write_bytes(b"no image")
    (tmp_path / "in" / "half.JPG").write_bytes(GOOD["png"][:99])
    (tmp_path / "in" / "note.txt").write_text("x")
    (tmp_path / "in" / "gone.png").symlink_to(tmp_path / "nowhere")
    return tmp_path / "in"


def b64(content):
    return {"b64": base64.b64encode(content).decode()}


def test_the_client_writes_what_predict_says(server, folder, tmp_path):
    address, _, path, wanted = server
    classes = path / "assets" / "classes.txt"
    arguments = [f"--images={folder}", f"--output={tmp_path / 'o.csv'}", f"--classes={classes}"]
    assert client.main([f"--server={address}", "--model=digits", "--batch=5", *arguments]) == 1
    with open(tmp_path / "o.csv", newline="", encoding="utf-8") as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    assert len(rows) == len(GOOD) + 3
    assert rows["gone.png"]["error"].startswith("not read: ")
    for index, name in enumerate(GOOD):
        row = rows[f"deep/{name}.png"]
        assert row["error"] == ""
        assert int(row["class"]) == wanted["class_probs"][index].argmax()
        assert float(row["class_prob"]) == pytest.approx(
            wanted["class_probs"][index].max(), abs=1e-4
        )
        assert int(row["cluster"]) == wanted["cluster"][index]
    for name in ("bad.png", "half.JPG"):
        assert "not a PNG, JPEG, GIF or BMP image" in rows[name]["error"]


def test_rest_answers_are_those_of_predict(server, url):
    rows = [b64(content) for content in GOOD.values()]
    named = [{"image_bytes": row} for row in rows]
    for instances in (rows, named):
        body = {"signature_name": "image_bytes", "instances": instances}
        status, reply = post(url, body)
        assert status == 200
        found = {key: [row[key] for row in reply["predictions"]] for key in server[3]}
        served_model.assert_same(found, server[3])
    pixels = tf.io.decode_image(GOOD["png"]).numpy().tolist()
    status, reply = post(url, {"instances": [pixels, pixels]})
    assert status == 200
    for row in reply["predictions"]:
        served_model.assert_same(row, {key: value[0] for key, value in server[3].items()})
    assert post(url, {"instances": []}) == (200, {"predictions": []})


SMALL = [[[1, 2, 3]]]
WRONG = {
    "no json": (b"{", ""),
    "no rows": ({"images": []}, "instances"),
    "a list": ([1], ""),
    "nan": (b'{"instances": [[[[NaN, 1, 2]]]]}', ""),
    "wrong base64": (
        {"signature_name": "image_bytes", "instances": [{"b64": "AA=="}, {"b64": "-_"}]},
        "row 1",
    ),
    "no base64": ({"signature_name": "image_bytes", "instances": ["text"]}, "row 0"),
    "no signature": ({"signature_name": "x", "instances": []}, "signature_name: expected one of"),
    "wrong rank": ({"instances": [SMALL, [1, 2]]}, "row 1: expected [height][width][3]"),
    "two channels": ({"instances": [[[[1, 2]]]]}, "row 0: expected [height][width][3]"),
    "words": ({"instances": [SMALL, [[["a", "b", "c"]]]]}, "row 1: expected numbers"),
    "ragged": ({"instances": [[[[1, 2, 3]], [[1, 2]]]]}, "row 0: expected numbers"),
    "two sizes": ({"instances": [SMALL, [[[1, 2, 3]] * 2]]}, "row 1: images of one request"),
    "too large a number": ({"instances": [SMALL, [[[1e39, 0, 0]]]]}, "row, from 0:] [1]"),
    "undecodable": (
        {"signature_name": "image_bytes", "instances": [b64(GOOD["gif"]), b64(b"?")]},
        "row, from 0:] [1]",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_http_400_and_the_server_stays(server, url, name):
    body, message = WRONG[name]
    status, reply = post(url, body)
    assert status == 400, reply
    assert message in json.loads(reply)["error"]
    assert post(url, {"instances": [SMALL]})[0] == 200


def resident(process):
    with open(f"/proc/{process.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def test_memory_comes_back(server, url):
    large = served_model.encode(served_model.colours(2000, 2000), "PNG")
    body = {"signature_name": "image_bytes", "instances": [b64(large)] * 4 + [b64(b"x")]}
    sizes = []
    for _ in range(10):
        assert post(url, body)[0] == 400
        sizes.append(resident(server[1]))
    assert max(sizes[5:]) - max(sizes[:5]) < 100_000  # kB


class Flaky(http.server.BaseHTTPRequestHandler):
    """Answers as the test's list says: a status, or "cut" for a connection that ends."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = next(self.server.script)
        if status == "cut":
            self.connection.close()
            return
        rows = [{"class_probs": [0.25, 0.75]}] * len(body["instances"])
        reply = json.dumps({"predictions": rows} if status == 200 else {"error": "x"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *arguments):
        """Nothing."""


@pytest.fixture
def flaky():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Flaky)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("script", "answered"),
    [([503, "cut", 429, 200], True), ([503] * 4, False), ([404], False)],
)
def test_the_client_comes_back_until_it_is_answered(flaky, script, answered):
    flaky.script = itertools.chain(script, itertools.repeat(500))
    service = client.connect(f"http://127.0.0.1:{flaky.server_port}", "m")
    found = client.predict(service, [b"a"], deadline=20, retries=3)
    assert ("class_probs" in found[0]) == answered
    if not answered:
        assert f"HTTP {script[0]}" in found[0]["error"]


def test_the_client_gives_up_at_its_deadline():
    service = client.connect("http://127.0.0.1:1", "m")
    (answer,) = client.predict(service, [b"a"], deadline=0.3, retries=50)
    assert answer["error"].startswith("not answered: ")


def test_a_folder_without_images_is_a_wrong_call(tmp_path, capsys):
    arguments = ["--server=http://x", "--model=m", f"--output={tmp_path / 'o'}"]
    assert client.main([*arguments, f"--images={tmp_path}"]) == 2
    assert str(tmp_path) in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        client.main([*arguments, f"--images={tmp_path}", "--batch=0"])


def test_rows_name_classes_or_count_them():
    answer = {"class_probs": [0.2, 0.8], "cluster": 0, "cluster_probs": [0.9], "cluster_class": -1}
    assert client.as_row("a", answer, ["x", "y"])["class"] == "y"
    row = client.as_row("a", answer, [])
    assert (row["class"], row["cluster_class"]) == (1, "")
    assert np.isclose(float(row["cluster_prob"]), 0.9)
