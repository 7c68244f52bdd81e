"""The review's server as a subprocess, and what talks to it: raw HTTP, and a page in Chromium."""

import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.parse

import pytest

ROOT = pathlib.Path(__file__).parents[1]
# What stands for TensorFlow in the server's process: a review must start without it.
_POISON = "import os\nopen(os.environ['POISONED'], 'w').close()\nraise ImportError('imported')\n"


def executable():
    """Path of Chromium; skips the test where there is none."""
    pytest.importorskip("gradio", reason="no Gradio: pip install foc_tf[review]")
    pytest.importorskip("playwright", reason="no Playwright: pip install foc_tf[test]")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium on the path: apt-get install chromium")
    return path


class App:
    """`python -m foc_tf.review` on a free port, without TensorFlow.

    Attributes:
      url: where it answers.
      output: what it printed before it answered.
      process: subprocess.Popen.

    Args:
      folder: for what the process leaves.
      *arguments: of the program.
      **environment: more variables.
    """

    def __init__(self, folder, *arguments, **environment):
        """See the class."""
        pytest.importorskip("gradio", reason="no Gradio: pip install foc_tf[review]")
        (folder / "poison").mkdir(exist_ok=True)
        (folder / "poison" / "tensorflow.py").write_text(_POISON)
        self.marker = folder / "tensorflow was imported"
        given = {"PYTHONPATH": f"{folder / 'poison'}:{ROOT}", "POISONED": str(self.marker)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "foc_tf.review", "--noopen", *map(str, arguments)],
            env=os.environ | given | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output = ""
        for line in self.process.stdout:
            self.output += line
            if line.startswith("review: "):
                self.url = line.split()[1].rstrip("/")
                return
        raise AssertionError(self.output)

    @property
    def port(self):
        """The one that it found."""
        return urllib.parse.urlsplit(self.url).port

    def stop(self):
        """Ends the server as Ctrl-C does."""
        self.process.terminate()
        self.process.wait(20)
        assert not self.marker.exists(), "the review imported TensorFlow"

    def ask(self, target, method="GET", body=None, **headers):
        """One request, its target sent as it is: (status, headers, body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.putrequest(method, target, skip_host="Host" in names)
        body = body.encode() if isinstance(body, str) else body
        for name, value in names.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


class Client:
    """An expert whose program sends what the browser would send.

    Args:
      app: `App`.
      expert: her name; she begins at once.
    """

    def __init__(self, app, expert):
        """See the class."""
        self.app, self.session, self.ticket = app, f"session{expert}", None
        config = json.loads(app.ask("/config")[2])
        ids = {c["id"]: c["props"].get("elem_id") for c in config["components"]}
        self.events = {
            (ids.get(target), event): dependency["id"]
            for dependency in config["dependencies"]
            for target, event in dependency["targets"]
        }
        self.send("foc-begin", "click", [expert])

    def send(self, element, event, data, event_data=None):
        """One event; returns what the server answered, as text."""
        body = {
            "data": data,
            "event_data": event_data,
            "fn_index": self.events[element, event],
            "session_hash": self.session,
        }
        status, _, answer = self.app.ask(
            "/gradio_api/run/predict",
            "POST",
            json.dumps(body),
            Content_Type="application/json",
        )
        assert status == 200, answer
        shown = re.search(r"data-ticket=\D*(\d+)", answer.decode())
        self.ticket = int(shown[1]) if shown else self.ticket
        return answer.decode()

    def mark(self, images, fits):
        """Marks images of the page that it got last; returns the answer."""
        clicked = {"ticket": self.ticket, "images": images, "fits": fits}
        return self.send("foc-images", "submit", [None], clicked)


class Page:
    """An expert at the review's page.

    Attributes:
      page: Playwright's.
      requests: URLs of all requests.
      errors: what the page complained of.

    Args:
      context: Playwright's browser context.
      app: `App`.
      expert: her name; she begins at once.
    """

    def __init__(self, context, app, expert):
        """See the class."""
        self.app, self.requests, self.errors = app, [], []
        self.page = context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console",
            lambda said: said.type == "error" and self.errors.append(said.text),
        )
        self.begin(expert)

    def begin(self, expert):
        """Loads the page and gives the name."""
        self.page.goto(self.app.url)
        self.page.wait_for_selector("#foc-begin")
        self.page.fill("#foc-expert :is(input, textarea)", expert)
        self.page.click("#foc-begin")
        self.page.wait_for_selector("#foc-heading h2")

    def click(self, key, said="saved"):
        """Presses a button and waits for the sentence."""
        before = self.serial()
        self.page.click(f"#foc-{key}")
        self.answered(before)
        assert said in self.status(), self.status()

    def name(self, text):
        """Names the group."""
        field = "#foc-name-text :is(input, textarea)"
        self.page.fill(field, text)
        # The last answer fills the field too, a moment after all the rest of the page: faster than
        # anyone types, but not than this.
        self.page.wait_for_timeout(300)
        self.page.fill(field, text)
        self.click("name")

    def serial(self):
        """Number of the last answer."""
        return int(self.page.get_attribute("#foc-status [data-serial]", "data-serial"))

    def answered(self, before):
        """Waits for an answer after that of number `before`."""
        self.page.wait_for_function(
            "n => Number(document.querySelector('#foc-status [data-serial]').dataset.serial) > n"
            " && !document.getElementById('foc-status').hasAttribute('data-waiting')",
            arg=before,
        )
        # Gradio changes the parts of a page one after the other, some frames apart.
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100)))"
        )

    def status(self):
        """The sentence about the last decision."""
        return self.page.inner_text("#foc-status").strip()

    def cell(self, number):
        """The locator of image `number` of those on the page."""
        return self.page.locator(".foc-cell").nth(number)

    def images(self):
        """Numbers of the images on the page, in order."""
        cells = self.page.query_selector_all(".foc-cell")
        return [int(cell.get_attribute("data-image")) for cell in cells]

    def marked(self):
        """Numbers of the marked images on the page, in order."""
        cells = self.page.query_selector_all('.foc-cell[aria-pressed="true"]')
        return [int(cell.get_attribute("data-image")) for cell in cells]

    def title(self):
        """Text of the heading."""
        return self.page.inner_text("#foc-heading h2").strip()

    def choose(self, key, text):
        """Chooses the entry of a dropdown that begins with a text."""
        field = self.page.locator(f"#foc-{key} input")
        field.click()
        self.page.locator("[role=option]").filter(has_text=text).first.click()

    def close(self):
        """Ends it; nothing went elsewhere and nothing went wrong."""
        self.page.close()
        strangers = [u for u in self.requests if not u.startswith((self.app.url, "data:", "blob:"))]
        assert not strangers
        assert not self.errors


def eventually(found, wanted, seconds=10):
    """Waits until `found()` is what is wanted."""
    end = time.monotonic() + seconds
    while found() != wanted and time.monotonic() < end:
        time.sleep(0.02)
    assert found() == wanted
