"""Table 3's blind mode: the clusters of two runs mixed, and nothing that tells whose they are."""

import re

import pytest

from foc_tf.reviewing import decisions
from tests import review_run
from tests.review_browser import App, Page, eventually

COUNT = 120


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blind")
    images = review_run.image_set(COUNT, classes=review_run.HOSTILE[:2])
    first = review_run.scored(images, num_clusters=3)
    other = review_run.scored(images, seed=1, over=False)
    return [
        review_run.write(folder / "mine-foc", first),
        review_run.write(folder / "other-supervised", other),
    ]


@pytest.fixture(scope="module")
def reviewed(chromium, folders, tmp_path_factory):
    """What the pages showed of an expert who marked one image of each group and went on."""
    tmp_path = tmp_path_factory.mktemp("app")
    app = App(tmp_path, f"--workdir={folders[0]}", f"--compare={folders[1]}", "--blind", "--seed=3")
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    said, images = "", []
    page = Page(context, app, "anna")
    eventually(page.title, "Group 1 of 5")
    before = page.serial()
    page.page.check("#foc-fuzzy input")
    page.answered(before)
    for number in range(1, 6):
        eventually(page.title, f"Group {number} of 5")
        eventually(lambda shown=images: page.images() != shown, True)
        images = page.images()
        page.cell(0).click()
        eventually(page.marked, images[:1])
        # One count of both runs' decisions: two would be told apart.
        assert re.match(r"saved \d+: 1 marked", page.status())
        said += page.page.inner_html("#foc-desk")
        page.click("done", "looked through")
    heading = page.page.locator("#foc-heading")
    eventually(lambda: "5 of 5 looked through" in heading.inner_text(), True)
    page.click("undo", "done is undone")
    page.close()
    context.close()
    app.stop()
    return said


def test_two_runs_mixed(folders, reviewed):
    for word in ("mine-foc", "other-supervised", "Cluster ", "foc-prob", "Most similar", "vote:"):
        assert word not in reviewed
    for folder, count in zip(folders, (3, 2)):
        found = [d.action for d in decisions.read(folder)[0] if d.action in ("mark", "done")]
        assert found.count("mark") == count
        assert found.count("done") == count


def test_scores_of_both_runs(folders, reviewed):
    from tests.small_run import run

    arguments = (f"--workdir={folders[0]}", f"--compare={folders[1]}")
    done = run("review", *arguments, "--scores", "--simulate=0.5")
    assert done.returncode == 0, done.stderr
    for folder in folders:
        for expert in ("anna", "votes >= 0.5"):
            assert f"| {folder} | {expert} |" in done.stdout
