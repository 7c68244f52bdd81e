"""The running server over raw HTTP: what it refuses, who may ask, and a kill in the middle."""

import json
import pathlib
import re
import signal
import threading
import urllib.parse

import pytest

from foc_tf.reviewing import decisions, run_data, state
from tests import review_run
from tests.review_browser import App, Client
from tests.small_run import run

COUNT = 200
SECRET = "the secret of another file"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("safe") / "run"
    review_run.write(folder, review_run.scored(review_run.image_set(COUNT), num_clusters=2))
    (folder.parent / "secret.txt").write_text(SECRET)
    (folder / "link.txt").symlink_to(folder.parent / "secret.txt")
    (folder / "review_data" / "link.png").symlink_to(folder.parent / "secret.txt")
    return folder


@pytest.fixture(scope="module")
def app(folder):
    app = App(folder.parent, f"--workdir={folder}")
    yield app
    app.stop()


def targets(folder):
    """Requests for files by every trick: of the run, of the machine, beside Gradio's own."""
    files = ["secret.txt", "run/link.txt", "run/review_data/link.png", "run/predictions.csv"]
    paths = [f"{folder.parent}/{file}" for file in files] + ["/etc/passwd", f"{folder}/report.json"]
    up = "/".join([".."] * 12)
    for path in paths:
        quoted = urllib.parse.quote(path, safe="")
        for route in ("/gradio_api/file", "/file", "//file", "/gradio_api//file"):
            yield from (f"{route}={path}", f"{route}={quoted}", f"{route}/{path}")
            yield from (f"{route}=file://{path}", f"{route}={up}{path}", f"{route}={path}%00.png")
        for route in ("/static/", "/assets/", "/svelte/", "/gradio_api/custom_component/", "/"):
            yield from (
                f"{route}{up}{path}",
                f"{route}{up.replace('/', '%2f')}{quoted}",
                f"{route}{path}",
            )
            yield f"{route}{up.replace('..', '%2e%2e')}{path}"
            yield f"{route}{up.replace('/', chr(92))}{path}"
            yield f"{route}..%252f..%252f..{quoted}"
    yield "/gradio_api/proxy=http://127.0.0.1:1/"
    yield "/gradio_api/file=http://127.0.0.1:1/a.png"
    yield f"/gradio_api/stream/x/1/1/{up}{paths[0]}"


def test_no_file_is_served_whatever_the_url(app, folder):
    tried = list(targets(folder))
    assert len(tried) > 200
    for target in tried:
        status, _, body = app.ask(target)
        assert SECRET not in body.decode("utf-8", "replace"), target
        assert b"root:" not in body, target
        assert b"prob_" not in body, target
        # Gradio's own page is what it answers some strange names with.
        assert status in (400, 403, 404, 405, 422) or b"<title>" in body, (target, status)


def test_nothing_can_be_sent_to_the_disk(app, folder):
    before = sorted(str(path) for path in folder.rglob("*"))
    part = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nhi\r\n--x--\r\n'
    )
    for target in ("/gradio_api/upload", "/upload", "/gradio_api//upload", "/gradio_api/upload/"):
        kind = "multipart/form-data; boundary=x"
        status, _, _ = app.ask(target, "POST", part, Content_Type=kind)
        assert status in (403, 404, 405)
    for target in ("/gradio_api/component_server", "/gradio_api/process_recording"):
        assert app.ask(target, "POST", "{}", Content_Type="application/json")[0] == 403
    assert sorted(str(path) for path in folder.rglob("*")) == before


def test_pages_of_others_are_not_answered(app):
    host = f"127.0.0.1:{app.port}"
    assert app.ask("/", Host=host)[0] == 200
    assert app.ask("/", Host=f"localhost:{app.port}")[0] == 200
    for name in ("evil.example", f"evil.example:{app.port}", "127.0.0.1.evil.example", ""):
        assert app.ask("/config", Host=name)[0] == 403
    join = ("/gradio_api/run/predict", "POST", "{}")
    for origin in ("http://evil.example", "null", f"http://localhost.evil:{app.port}"):
        assert app.ask(*join, Host=host, Origin=origin)[0] == 403
    assert app.ask(*join, Host=host, Origin=f"http://{host}")[0] != 403
    headers = app.ask("/")[1]
    assert "connect-src 'self'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


def test_what_a_program_sends_is_checked(app, folder):
    client = Client(app, "mallory")
    ticket = client.ticket
    run = run_data.read(folder)
    group = [i for i in range(COUNT) if run.cluster[i] == 0]
    other = next(i for i in range(COUNT) if run.cluster[i] == 1)
    for images in ([], [-1], [COUNT], ["0"], [True], None, "all", [[0]], [0.5], [other]):
        assert "Not saved." in client.mark(images, False)
    assert "Not saved. fits: expected true or false" in client.mark(group[:1], "yes")
    client.ticket += 1
    assert "Not saved. The page was about to change" in client.mark(group[:1], False)
    client.ticket = None
    assert "Not saved." in client.mark(group[:1], False)
    client.ticket = ticket
    assert "mallory" not in state.experts(decisions.read(folder)[0])
    assert re.search(r"saved \d+: 1 marked", client.mark(group[:1], False))


def test_a_server_that_was_started_anew_says_so(app):
    client = Client(app, "late")
    client.session = "of the server before"
    assert "load it anew" in client.mark([0], False)


def test_every_decision_that_was_answered_survives_a_kill(folder, tmp_path):
    folder = review_run.write(
        tmp_path / "run", review_run.scored(review_run.image_set(COUNT), num_clusters=1)
    )
    app = App(tmp_path, f"--workdir={folder}")
    experts, answered = ("anna", "bert"), {"anna": [], "bert": []}

    def decide(expert, client):
        for image in range(100):
            try:
                answer = client.mark([image], False)
            except OSError:
                return
            number = re.search(r"saved (\d+): 1 marked", answer)
            answered[expert].append((int(number[1]), image))
            if len(answered[expert]) == 50 and expert == "anna":
                app.process.send_signal(signal.SIGKILL)

    clients = [Client(app, expert) for expert in experts]
    threads = [threading.Thread(target=decide, args=pair) for pair in zip(experts, clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    app.process.wait(10)
    assert len(answered["anna"]) >= 50
    assert len(answered["anna"]) + len(answered["bert"]) < 200
    run, (found, _) = run_data.read(folder), decisions.read(folder)
    for expert in experts:
        for _, image in answered[expert]:
            names = [d.arguments["images"] for d in found if d.expert == expert]
            assert [run.ids[image]] in names
        misfit = state.replay(run, found, expert).misfit
        assert misfit[[image for _, image in answered[expert]]].all()
        assert misfit.sum() <= len(answered[expert]) + 1  # one may be written and not yet said
    again = App(tmp_path, f"--workdir={folder}")
    answer = json.loads(Client(again, "anna").mark([199], False))["data"][0]
    assert {i for _, i in answered["anna"]} <= set(json.loads(answer)["marked"])
    again.stop()


def test_others_need_a_login(folder, tmp_path):
    done = run("review", f"--workdir={folder}", "--host=0.0.0.0", "--noopen")
    assert done.returncode == 2
    assert "give --auth=NAME; the password is asked for" in done.stderr
    folder = review_run.write(tmp_path / "run", review_run.scored(review_run.image_set(40)))
    options = ("--host=0.0.0.0", "--auth=lab", f"--workdir={folder}")
    app = App(tmp_path, *options, FOC_TF_REVIEW_PASSWORD="correct horse")
    for target in ("/config", "/gradio_api/info", "/gradio_api/queue/data?session_hash=x"):
        assert app.ask(target)[0] == 401
    body = json.dumps({"data": ["eve"], "fn_index": 0, "session_hash": "x"})
    for target in ("/gradio_api/run/predict", "/gradio_api/queue/join", "/gradio_api/api/predict"):
        assert app.ask(target, "POST", body, Content_Type="application/json")[0] == 401
    page = app.ask("/")[2].decode()
    assert "evil" not in page
    assert "data:image/png" not in page
    form = "application/x-www-form-urlencoded"
    wrong = app.ask("/login", "POST", "username=lab&password=wrong", Content_Type=form)
    assert wrong[0] == 400
    right = app.ask("/login", "POST", "username=lab&password=correct+horse", Content_Type=form)
    assert right[0] == 200
    cookie = right[1]["set-cookie"].split(";")[0]
    assert app.ask("/config", Cookie=cookie)[0] == 200
    app.stop()
    assert "correct horse" not in "".join(
        path.read_text(errors="replace")
        for path in pathlib.Path(folder).rglob("*")
        if path.is_file()
    )


def test_the_password_is_in_no_flagfile(folder, monkeypatch):
    path = folder.parent / "flags"
    path.write_text("--auth=lab:password1\n--password=x\n")
    done = run("review", f"--workdir={folder}", f"--flagfile={path}")
    assert done.returncode == 2
    assert "Unknown command line flag 'password'" in done.stderr
