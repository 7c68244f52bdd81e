"""The program itself: killed, interrupted, with a wrong call; judged by its files."""

import csv
import signal
import time

import pytest

from foc_tf import predict, prepare
from foc_tf.data import digits
from foc_tf.formats import FORMATS, ecotaxa_rules
from foc_tf.formats.tree import Tree
from tests.making import write
from tests.small_model import exported
from tests.small_run import call, run, start

COUNT = 5000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An exported model, and images of which every 50th is torn."""
    folder = tmp_path_factory.mktemp("source")
    exported(folder)
    sources = digits.read().sources
    images = {f"{i:05}.png": sources[i % len(sources)] for i in range(COUNT)}
    images |= {f"{i:05}.png": sources[i % len(sources)][:40] for i in range(7, COUNT, 50)}
    write(folder / "in", images)
    return folder


def arguments(folder, output):
    model, source = folder / "m" / "1", folder / "in"
    return (f"--model={model}", f"--source={source}", f"--output={output}", "--batch_size=16")


def wait_for(process, path, size):
    """Waits until a file is larger than `size`; False if the process ended before."""
    deadline = time.monotonic() + 240
    while not path.exists() or path.stat().st_size <= size:
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return True


def test_killed_and_interrupted_it_ends_as_if_it_had_not_been(folder, tmp_path):
    done = run("predict", *arguments(folder, tmp_path / "a" / "x.csv"))
    assert done.returncode == 0, done.stderr
    assert f"{COUNT - 100:,} rows" in done.stdout
    assert "100 left out, with reasons" in done.stderr
    expected = tmp_path / "a" / "x.csv"
    output = tmp_path / "b" / "x.csv"
    partial, said = output.with_name("x.csv.partial"), []
    for share, how in ((0.1, signal.SIGKILL), (0.4, signal.SIGINT), (0.7, signal.SIGKILL)):
        with start("predict", *arguments(folder, output)) as process:
            if wait_for(process, partial, share * expected.stat().st_size):
                process.send_signal(how)
            stderr = process.communicate()[1]
        assert process.returncode == (130 if how == signal.SIGINT else -9), stderr
        assert not output.exists()
        said.append("going on after" in stderr)
        if how == signal.SIGINT:
            assert "the same command goes on where it stopped" in stderr
            assert "Traceback" not in stderr
        with open(partial, "ab") as file:
            file.write(b"00042.png,,4,0.1")
    # The first kill may come within the second that is not kept yet; Ctrl-C keeps all.
    assert said[2]
    done = run("predict", *arguments(folder, output))
    assert done.returncode == 0, done.stderr
    assert "going on after" in done.stderr
    for name in ("x.csv", "x.csv.unreadable.csv"):
        assert (output.parent / name).read_bytes() == (expected.parent / name).read_bytes()
    assert sorted(p.name for p in output.parent.iterdir()) == ["x.csv", "x.csv.unreadable.csv"]


def test_a_wrong_call_exits_with_2_and_writes_nothing(folder, tmp_path):
    wrong = {
        "neither saved_model.pb nor best/model.json": [f"--model={tmp_path}"],
        "is not there": ["--source=nowhere"],
        "is a folder": [f"--output={tmp_path}"],
    }
    for words, changed in wrong.items():
        call_arguments = (*arguments(folder, tmp_path / "x.csv"), *changed)
        code, stderr = call(predict.main, *call_arguments, values=predict.FLAGS)
        assert code == 2, stderr
        assert words in stderr
        assert stderr.count("\n") <= 4
    assert not list(tmp_path.iterdir())


def test_a_real_export_gets_an_update_table_that_ecotaxa_takes(folder, shared, tmp_path):
    source = shared / "data" / "ecotaxa-sample" / "zooscan-export"
    call_arguments = (
        *(f"--model={folder / 'm' / '1'}", f"--source={source}", "--format=ecotaxa"),
        *("--include_labelled", f"--output={tmp_path / 'ecotaxa_update.tsv'}"),
    )
    code, stderr = call(predict.main, *call_arguments, values=predict.FLAGS)
    assert code == 0, stderr
    assert ecotaxa_rules.check(tmp_path / "ecotaxa_update.tsv", update=True) == []
    objects = set(FORMATS["ecotaxa"](Tree(source)).objects)
    lines = (tmp_path / "ecotaxa_update.tsv").read_text(encoding="utf-8-sig").splitlines()
    assert {line.split("\t")[0] for line in lines[2:]} == objects
    assert [p.name for p in tmp_path.iterdir()] == ["ecotaxa_update.tsv"]


def test_a_list_is_prepared_and_predicted(folder, tmp_path):
    lines = "".join(f"in/{i:05}.png\n" for i in range(20))
    (folder / "list.txt").write_text(lines)
    call_arguments = (f"--source={folder / 'list.txt'}", f"--output={tmp_path / 'out'}")
    code, stderr = call(prepare.main, *call_arguments, values=prepare.FLAGS)
    assert code == 0, stderr
    # Number 7 is torn.
    assert len(list((tmp_path / "out" / "images").rglob("*.png"))) == 19
    model = f"--model={folder / 'm' / '1'}"
    call_arguments = (model, call_arguments[0], f"--output={tmp_path / 'x.csv'}")
    code, stderr = call(predict.main, *call_arguments, values=predict.FLAGS)
    assert code == 0, stderr
    with open(tmp_path / "x.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [n for n in lines.split() if n != "in/00007.png"]
    # A file of another name is a list where the user says so.
    (folder / "paths.dat").write_text(lines)
    call_arguments = (model, f"--source={folder / 'paths.dat'}", f"--output={tmp_path / 'y.csv'}")
    code, stderr = call(predict.main, *call_arguments, values=predict.FLAGS)
    assert code == 2
    extra = "--source_format=list"
    code, stderr = call(predict.main, *call_arguments, extra, values=predict.FLAGS)
    assert code == 0, stderr
    assert (tmp_path / "y.csv").read_bytes() == (tmp_path / "x.csv").read_bytes()
