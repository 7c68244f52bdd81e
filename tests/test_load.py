"""A small load with a switch of versions in its middle: nothing lost, nothing wrong."""

import pytest

from tests import load
from tests.served_rest import client


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return load.prepared(tmp_path_factory.mktemp("load"))


@pytest.mark.parametrize(
    ("protocol", "package"), [("grpc", "tensorflow_serving"), ("rest", "kserve")]
)
def test_a_load_loses_nothing_while_versions_switch(prepared, protocol, package):
    pytest.importorskip(package, reason="needs foc_tf[serve]")
    model, best, folder = prepared
    if (folder / "2").exists():
        (folder / "2").rename(folder / ".2")
    work = load.Load(model, best, batch=3)
    with load.served(protocol, folder) as (address, switch):
        figures = load.run(work, lambda: client.connect(address, "digits"), 300, 8, switch)
    assert figures["right"] == figures["requests"] >= 300, figures
    assert 0 < figures["by_new_version"] < figures["requests"]
    assert 0 < figures["p50_seconds"] <= figures["p99_seconds"]


class Broken:
    """A service that answers what it should not."""

    def __init__(self, answer):
        self.answer = answer

    def predict(self, encoded, seconds):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "kind"),
    [([{}], "wrong"), (client.Refused("no"), "wrong"), (client.Unavailable("no"), "lost")],
)
def test_a_load_sees_what_is_wrong(prepared, answer, kind):
    work = load.Load(*prepared[:2], batch=2)
    figures = load.run(work, lambda: Broken(answer), 20, 2)
    assert figures[kind] == 20
    # An answer of another image.
    other = [{name: value[5] for name, value in work.wanted.items()} | {"cluster_class": 1}] * 2
    assert work.ask(Broken(other), 1)[0] == "wrong"


def test_bare_predict_has_a_rate(prepared):
    assert load.bare_rate(prepared[0], 16, seconds=0.1) > 0
