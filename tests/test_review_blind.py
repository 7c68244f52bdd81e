"""Table 3's blind mode: the clusters of two runs mixed, and nothing that tells whose they are."""

import contextlib
import re

import pytest

from foc_tf.reviewing import actions, decisions, run_data
from foc_tf.reviewing.book import Book, Place
from foc_tf.reviewing.session import Session
from tests import review_run
from tests.review_browser import App, Client, Page, eventually

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
def app(folders, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("app")
    app = App(tmp_path, f"--workdir={folders[0]}", f"--compare={folders[1]}", "--blind", "--seed=3")
    yield app
    app.stop()


@pytest.fixture(scope="module")
def reviewed(chromium, app):
    """What the pages showed of an expert who marked one image of each group and went on."""
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
    return said


def test_two_runs_mixed(folders, reviewed):
    for word in ("mine-foc", "other-supervised", "Cluster ", "foc-prob", "Most similar", "vote:"):
        assert word not in reviewed
    for folder, count in zip(folders, (3, 2)):
        found = [d.action for d in decisions.read(folder)[0] if d.expert == "anna"]
        assert found.count("mark") == count
        assert found.count("done") == count


def test_a_late_click_is_not_a_mark_in_the_other_run(app, folders):
    """Between the answer to "done" and its display a click is still on the page before."""
    client = Client(app, "late")

    def shown(key):
        answer = client.send(f"foc-{key}", "click", [None])
        return {int(image) for image in re.findall(r"data-image=\D*(\d+)", answer)}

    seen = [shown("previous")] + [shown("next") for _ in range(4)]
    # Groups of one run share no image.
    at, both = next((i, seen[i] & seen[i + 1]) for i in range(4) if seen[i] & seen[i + 1])
    while shown("previous") != seen[at]:
        pass
    before = client.ticket
    assert shown("done") == seen[at + 1]
    now, client.ticket = client.ticket, before
    image = min(both)
    assert "Not saved. The page was about to change" in client.mark([image], False)
    client.ticket = now
    assert re.search(r"saved \d+: 1 marked", client.mark([image], False))
    made = [[d for d in decisions.read(folder)[0] if d.expert == "late"] for folder in folders]
    made = [{d.action for d in own if d.action != "visit"} for own in made]
    assert made in ([{"done"}, {"mark"}], [{"mark"}, {"done"}])


def test_what_she_merged_and_split_before_is_as_she_left_it(tmp_path):
    images = review_run.image_set(COUNT)
    parts = [review_run.write(tmp_path / n, review_run.scored(images, 3, int(n))) for n in "01"]
    with contextlib.ExitStack() as stack:
        sessions = [Session(run_data.read(part)) for part in parts]
        for session in sessions:
            stack.callback(session.log.close)
        alone, place = Book(sessions[:1]), Place("anna", group=0)
        actions.merge(alone, place, 1)
        place = Place("anna", group=2)
        actions.mark(alone, place, alone.images(place)[:3].tolist(), False)
        actions.split(alone, place)
        pages = Book(sessions, seed=3)
        listed = pages.listed(Place("anna"))
        assert sorted(listed) == [(0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2)]
        places = [Place("anna", *page) for page in listed]
        assert sum(len(pages.images(place)) for place in places) == 2 * COUNT
        assert len({pages.ticket(place) for place in places}) == len(places)
        assert pages.step(places[0], 1) == places[1]


def test_scores_of_both_runs(folders, reviewed):
    from tests.small_run import run

    arguments = (f"--workdir={folders[0]}", f"--compare={folders[1]}")
    done = run("review", *arguments, "--scores", "--simulate=0.5")
    assert done.returncode == 0, done.stderr
    for folder in folders:
        for expert in ("anna", "votes >= 0.5"):
            assert f"| {folder} | {expert} |" in done.stdout
