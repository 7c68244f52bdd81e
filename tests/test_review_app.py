"""The review in headless Chromium: every flow of an expert, and what is then on the disk."""

import json

import pytest

from foc_tf.reviewing import decisions, run_data, state
from tests import review_run
from tests.review_browser import App, Page, eventually

COUNT = 240


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("review") / "run \U0001f990 <b>"
    return review_run.write(folder, review_run.scored(review_run.image_set(COUNT)))


@pytest.fixture(scope="module")
def app(folder):
    app = App(folder.parent, f"--workdir={folder}")
    yield app
    app.stop()


@pytest.fixture(scope="module")
def desktop(chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    yield context
    context.close()


@pytest.fixture
def at(desktop, app):
    """Opens the page as an expert; each test is an expert of its own."""
    opened = []

    def open_(expert, context=desktop):
        opened.append(Page(context, app, expert))
        return opened[-1]

    yield open_
    for page in opened:
        page.close()


def stored(folder, expert):
    """(run, the expert's state) by the file alone."""
    run = run_data.read(folder)
    return run, state.replay(run, decisions.read(folder)[0], expert)


def test_a_cluster_is_shown_as_figure_3_has_it(at, folder):
    page = at("figure")
    run, found = stored(folder, "figure")
    eventually(page.title, "Cluster 0")
    own = [i for i in range(COUNT) if run.cluster[i] == 0]
    eventually(page.images, sorted(own, key=lambda i: -run.cluster_prob[i]))
    facts = page.page.inner_text("#foc-heading")
    assert f"{len(own)} images, {run.fuzzy[own].sum()} fuzzy" in facts
    for words in ("Class by vote: ", "Vote consistency 0.", "0 of 8 looked through"):
        assert words in facts
    assert page.page.locator("#foc-heading [data-group]").count() == 5
    first = run.votes[page.images()[0]]
    votes = [int(text) for text in page.cell(0).locator(".foc-votes b").all_inner_texts()]
    assert votes == sorted((v for v in first.tolist() if v), reverse=True)[:3]
    assert page.cell(0).locator("img").evaluate("image => image.naturalWidth") == 24


def test_names_are_text(at):
    page = at("<img src=x onerror=alert(1)> \u202eeve")
    assert page.page.locator("#foc-desk script, #foc-desk [onerror]").count() == 0
    text = page.page.inner_text("#foc-desk")
    assert "<script>alert(1)</script>" in text
    assert "\u27e8U+202E\u27e9evil" in text
    assert "\u202e" not in text
    page.name("{{value}} ${1+1} <b>x</b>")
    eventually(page.title, "Cluster 0: {{value}} ${1+1} <b>x</b>")
    assert page.page.locator("#foc-heading h2 b").count() == 0


def test_name_accept_send_undo(at, folder):
    page = at("anna")
    page.name("broken  ones")
    eventually(page.title, "Cluster 0: broken ones")
    page.click("accept")
    eventually(lambda: "Class accepted" in page.page.inner_text("#foc-heading"), True)
    page.click("new_class")
    eventually(lambda: "Is a new class" in page.page.inner_text("#foc-heading"), True)
    page.click("ignore")
    assert stored(folder, "anna")[1].sent == {0: "ignore"}
    page.click("undo", "send is undone")
    assert stored(folder, "anna")[1].sent == {0: "new_class"}
    for _ in range(3):
        page.click("undo", "is undone")
    eventually(page.title, "Cluster 0")
    page.click("undo", "nothing to undo")
    assert stored(folder, "anna")[1].names == {}


def test_marks_by_click_shift_click_and_keyboard(at, folder):
    page = at("marks")
    images = page.images()
    before = page.serial()
    page.cell(1).click()
    page.answered(before)
    assert "saved" in page.status()
    eventually(page.marked, images[1:2])
    page.cell(4).click(modifiers=["Shift"])
    eventually(page.marked, images[1:5])
    page.cell(2).click()
    eventually(page.marked, [images[1], *images[3:5]])
    page.cell(6).focus()
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press(" ")
    eventually(page.marked, [images[1], *images[3:5], images[7]])
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("Shift+ ")
    eventually(page.marked, [images[1], *images[3:5], *images[7:10]])
    page.page.keyboard.press("u")
    eventually(page.marked, [images[1], *images[3:5], images[7]])
    assert sorted(stored(folder, "marks")[1].misfit.nonzero()[0]) == sorted(page.marked())
    page.click("mark_all")
    eventually(page.marked, images)
    page.click("unmark_all")
    eventually(page.marked, [])
    page.page.keyboard.press("n")
    eventually(page.title, "Cluster 1")
    page.page.keyboard.press("d")
    eventually(page.title, "Cluster 2")
    assert stored(folder, "marks")[1].done == {1}


def test_split_and_merge(at, folder):
    page = at("split")
    images = page.images()
    page.click("split", "Not saved. Mark the images to split off first.")
    page.cell(0).click()
    eventually(page.marked, images[:1])
    page.cell(2).click(modifiers=["Shift"])
    eventually(page.marked, images[:3])
    page.click("split", "3 images are now cluster 8")
    eventually(page.title, "Cluster 8")
    eventually(page.images, images[:3])
    page.click("merge", "Not saved. Choose a cluster")
    page.choose("into", "1:")
    page.click("merge", "cluster 8 is now in 1")
    eventually(page.title, "Cluster 1")
    run, found = stored(folder, "split")
    eventually(lambda: set(images[:3]) < set(page.images()), True)
    assert found.merged == {8: 1}
    page.click("undo", "merge is undone")
    eventually(page.title, "Cluster 8")
    page.click("undo", "split is undone")
    eventually(page.marked, images[:3])
    assert (stored(folder, "split")[1].groups == run.cluster).all()


def test_filters_and_similar_clusters(at, folder):
    page = at("filters")
    run, _ = stored(folder, "filters")
    page.page.check("#foc-fuzzy input")
    fuzzy = [i for i in range(COUNT) if run.cluster[i] == 0 and run.fuzzy[i]]
    eventually(lambda: sorted(page.images()), fuzzy)
    similar = page.page.locator("#foc-heading [data-group]").first
    group = similar.get_attribute("data-group")
    similar.click()
    eventually(page.title, f"Cluster {group}")
    page.choose("order", "lowest consistency first")
    page.choose("pick", "0:")
    eventually(page.title, "Cluster 0")
    page.name("known")
    eventually(page.title, "Cluster 0: known")
    page.page.check("#foc-unnamed input")
    eventually(lambda: page.title() != "Cluster 0: known", True)
    page.page.click("#foc-pick input")
    # The list is filled once it is open, which takes its time on a busy machine.
    options = page.page.locator("[role=option]")
    eventually(lambda: len(options.all_inner_texts()), 7)
    assert not [option for option in options.all_inner_texts() if "known" in option]


def test_a_mark_stays_on_a_page_that_was_made_before_it(at, folder):
    page, held = at("quick"), []
    run, _ = stored(folder, "quick")
    fuzzy = [i for i in page.images() if run.fuzzy[i]]
    page.page.route("**/queue/data*", lambda route: held.append(route))
    with page.page.expect_request("**/queue/data*"):
        page.page.check("#foc-fuzzy input")
    # The server makes the page of fuzzy images; this browser does not get it yet.
    page.page.wait_for_timeout(1500)
    page.page.click(f'[data-image="{fuzzy[0]}"]')
    eventually(page.marked, fuzzy[:1])
    held[0].continue_()
    eventually(page.images, fuzzy)
    eventually(page.marked, fuzzy[:1])
    page.page.unroute("**/queue/data*")
    page.click("undo", "mark is undone")
    eventually(page.marked, [])


def test_reload_and_second_expert(at, folder):
    page, other = at("today"), at("second")
    page.click("next", "")
    eventually(page.title, "Cluster 1")
    images = page.images()
    page.cell(0).click()
    eventually(page.marked, images[:1])
    page.begin("today")
    eventually(page.title, "Cluster 1")
    eventually(page.marked, images[:1])
    other.click("next", "")
    eventually(other.title, "Cluster 1")
    eventually(other.marked, [])
    other.cell(1).click()
    eventually(other.marked, images[1:2])
    eventually(page.marked, images[:1])
    for expert, image in (("today", images[0]), ("second", images[1])):
        assert stored(folder, expert)[1].misfit.nonzero()[0].tolist() == [image]


def test_it_never_says_saved_when_it_is_not(at, folder):
    page = at("offline")
    images = page.images()
    page.cell(0).click()
    eventually(page.marked, images[:1])
    held = []
    page.page.route("**/run/predict", lambda route: held.append(route))
    page.cell(1).click()
    page.page.wait_for_function("document.querySelectorAll('.foc-waiting').length")
    eventually(lambda: page.page.evaluate("1") and len(held), 1)
    assert "saved" not in page.status()
    eventually(page.marked, images[:1])
    held.pop().continue_()
    eventually(page.marked, images[:2])
    assert "saved" in page.status()


def test_on_a_phone_nothing_is_wider_than_the_screen(chromium, at):
    phone = {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"}
    page = at("phone", chromium.new_context(**phone))
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.page.locator(".foc-cell").first.is_visible()
    colours = page.cell(0).evaluate(
        "cell => [getComputedStyle(cell).color, document.body.className]"
    )
    assert "dark" in colours[1]
    assert min(int(part) for part in colours[0].strip("rgb()").split(",")) > 150


def test_the_file_holds_what_was_said(folder, app):
    lines = (folder / decisions.NAME).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["number"] for line in lines] == list(range(1, len(lines) + 1))


def test_the_report_is_whole_in_a_browser(chromium, folder, tmp_path):
    from tests.small_run import run

    path = tmp_path / "report.html"
    done = run("review", f"--workdir={folder}", f"--report={path}")
    assert done.returncode == 0, done.stderr
    context = chromium.new_context(viewport={"width": 390, "height": 800}, offline=True)
    page, requests = context.new_page(), []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    broken = "[...document.images].filter(image => !image.naturalWidth).length"
    shown = path.read_text(encoding="utf-8").count("<img ")
    assert page.evaluate("document.images.length") == shown > 100
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate(broken) == 0
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    context.close()
