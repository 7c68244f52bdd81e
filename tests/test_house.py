"""The rules of the house: imports go down, sizes, what README says."""

import ast
import configparser
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FILES = sorted((ROOT / "foc_tf").rglob("*.py"))
# Rooms from the ground up; a module imports only from lower floors (or, in a package, its own).
FLOORS = [
    {"spreadsheets"},
    {
        "files",
        "weights_file",
        "run_tables",
        "locks",
        "stopping",
        "failures",
        "weights",
        "records",
        "keras_compat",
        "distribution",
        "annotations",
        "mapping",
        "metrics",
        "views",
        "splitting",
        "cluster_use",
        "method_flags",
        "kmeans",
        "bootstrap",
        "projection",
    },
    {
        "formats",
        "scoring",
        "unsupervised",
        "stages",
        "losses",
        "contrastive",
        "clustering",
        "neighbors",
        "heads",
        "dropout",
        "passes",
        "backbones",
        "augment",
        "program",
        "flags",
        "mixup",
        "labeled_loss",
    },
    {
        "model",
        "datasets",
        "picture",
        "precision",
        "report",
        "workdirs",
        "consistency",
        "overclustering",
        "alignment",
        "review_data",
    },
    {"methods", "checkpoints", "data", "summaries"},
    {"build", "feeding", "source_flags", "epochs"},
    {"loop"},
    {"evaluate", "features", "from_flags", "serving"},
    {"export", "predicting", "comparing", "reviewing"},
    {"benchmarks"},
    {"train", "prepare", "predict", "compare", "benchmark", "review"},
]


def room(path):
    """foc_tf/data/folder.py -> data, foc_tf/losses.py -> losses."""
    return path.relative_to(ROOT / "foc_tf").parts[0].removesuffix(".py")


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("foc_tf"):
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("foc_tf."))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down_only(path):
    if path.parent == ROOT / "foc_tf" and path.name == "__init__.py":
        return
    floor = {name: level for level, names in enumerate(FLOORS) for name in names}
    assert room(path) in floor, "a new room: give it a floor"
    for name in imported(path):
        assert name == room(path) or floor[name] < floor[room(path)], name


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_are_short_and_documented(path):
    text = path.read_text()
    assert text.count("\n") <= 300
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            doc = (
                node.body[0].end_lineno - node.body[0].lineno + 1 if ast.get_docstring(node) else 0
            )
            assert node.end_lineno - node.lineno + 1 - doc <= 50, node.name


def test_flags_stop_at_the_programs():
    users = {p.name for p in FILES if re.search(r"from absl import|import absl", p.read_text())}
    assert users <= {
        "flags.py",
        "method_flags.py",
        "program.py",
        "train.py",
        "evaluate.py",
        "export.py",
        "benchmark.py",
        "prepare.py",
        "compare.py",
        "predict.py",
        "source_flags.py",
        "review.py",
    }


def typed_files():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    paths = [p for name in settings["mypy"]["files"].split(",") for p in ROOT.glob(name.strip())]
    files = [f for p in paths for f in (p.rglob("*.py") if p.is_dir() else [p])]
    return sorted({str(file.relative_to(ROOT)) for file in files})


@pytest.mark.parametrize("name", typed_files())
def test_public_functions_have_type_hints(name):
    tree = ast.parse((ROOT / name).read_text())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    public = [node for node in classes if not node.name.startswith("_")]
    for node in (node for part in (tree, *public) for node in part.body):
        called = isinstance(node, ast.FunctionDef) and node.name in ("__init__", "__call__")
        if isinstance(node, ast.FunctionDef) and (called or not node.name.startswith("_")):
            every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            every = (*every, *filter(None, (node.args.vararg, node.args.kwarg)))
            named = [a for a in every if a.arg not in ("self", "cls")]
            bare = [a.arg for a in named if a.annotation is None]
            assert not bare, (node.name, bare)
            assert node.returns is not None or node.name == "__init__", node.name


def test_the_readme_code_runs():
    text = (ROOT / "README.md").read_text()
    first, *others = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names = {}
    exec(first, names)
    assert names["clusters"].shape == (24,)
    # test_keras_reuse runs the other one.
    assert len(others) == 1


def test_the_readme_names_files_that_exist():
    text = (ROOT / "README.md").read_text()
    for name in re.findall(r"(?:configs|foc_tf|constraints)/[\w/]+\.\w+", text):
        assert (ROOT / name).exists(), name
