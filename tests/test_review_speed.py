"""How much of a large run the page loads, and how fast.

Figures are measured with: FOC_REVIEW_IMAGES=100000 python -m pytest -n 0 -s this file, on a machine
that does nothing else; without it only that a page is small.
"""

import io
import os
import statistics
import time

import numpy as np
import pytest
from PIL import Image

from foc_tf.reviewing import report_page
from tests import review_run
from tests.review_browser import App, Page

MEASURED = "FOC_REVIEW_IMAGES" in os.environ
COUNT = int(os.environ.get("FOC_REVIEW_IMAGES", 1_500))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of grainy pictures, which are the largest, in clusters of more than 300."""
    images = review_run.image_set(COUNT)
    grain = np.random.default_rng(0).integers(0, 256, (64, 64, 64, 3), np.uint8)
    pictures = [png(one) for one in grain]
    images.sources[:] = [pictures[i % 64] for i in range(COUNT)]
    scorer = review_run.scored(images, num_clusters=max(3, COUNT // 1_000))
    return review_run.write(tmp_path_factory.mktemp("large") / "run", scorer)


def png(pixels):
    """PNG of [H, W, 3] pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def median(page, act, changed, repeat=5):
    """Median seconds from a click until its effect is on the screen.

    Args:
      page: `Page`.
      act: function of the number of the repetition; clicks.
      changed: JavaScript, true in the page when the effect is there; of (what it was before).
      repeat: how often.
    """
    found = []
    for number in range(repeat):
        before = page.title() + str(len(page.marked()))
        start = time.perf_counter()
        act(number)
        page.page.wait_for_function(changed, arg=before)
        page.page.evaluate("() => new Promise(done => requestAnimationFrame(() => done()))")
        found.append(time.perf_counter() - start)
    return statistics.median(found)


STATE = (
    "document.querySelector('#foc-heading h2').innerText"
    " + document.querySelectorAll('.foc-cell[aria-pressed=true]').length"
)


def test_a_page_of_300_images_and_a_mark(chromium, folder, tmp_path):
    app = App(tmp_path, f"--workdir={folder}")
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    sent = []
    context.on("response", lambda answer: "/run/predict" in answer.url and sent.append(answer))
    page = Page(context, app, "anna")
    page.choose("size", "300")
    page.page.wait_for_function("document.querySelectorAll('.foc-cell').length === 300")
    changed = f"before => {STATE} !== before"
    turn = ("#foc-next", "#foc-previous")
    gallery = median(page, lambda n: page.page.click(turn[n % 2]), changed)
    mark = median(page, lambda n: page.cell(n).click(), changed)
    print(f"\n300 images {gallery:.2f} s, a mark {mark:.2f} s, of {COUNT:,} images")
    assert len(page.images()) == 300
    assert max(len(answer.body()) for answer in sent) < 6_000_000
    if MEASURED:
        assert gallery < 1.5
        assert mark < 0.7
    page.close()
    context.close()
    app.stop()


def test_the_report_can_be_mailed(folder, tmp_path):
    path = report_page.write_report(folder, tmp_path / "report.html")
    size = path.stat().st_size
    print(f"\nreport of {COUNT:,} images: {size / 1e6:.1f} MB")
    assert 100_000 < size < 15_000_000
