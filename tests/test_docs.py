"""The pages of `make docs`: their code runs, and the docstrings that show them name them."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1] / "foc_tf"
PAGES = {
    "__init__.py": "recipes.md",
    "methods/__init__.py": "method.md",
    "formats/__init__.py": "formats.md",
}


@pytest.mark.parametrize("module", PAGES)
def test_the_code_of_a_page_runs(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / module).with_name(PAGES[module]).read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    names = {}
    for block in blocks:
        exec(block, names)


@pytest.mark.parametrize("module", PAGES)
def test_a_page_is_shown_with_its_module(module):
    assert f".. include:: {PAGES[module]}\n" in (ROOT / module).read_text()


def test_no_other_page_is_forgotten():
    cards = {"digits_card.md"}  # of data, not of these pages
    pages = {p.relative_to(ROOT).as_posix() for p in ROOT.rglob("*.md")}
    pages = {p for p in pages if not p.startswith("datasets/") and p.split("/")[-1] not in cards}
    assert pages == {
        (pathlib.PurePosixPath(module).parent / page).as_posix() for module, page in PAGES.items()
    }
