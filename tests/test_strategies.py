"""One replica, two replicas and two worker processes train alike."""

import contextlib
import json
import os
import socket
import subprocess
import time

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from foc_tf import distribution
from tests import strategy_worker, warm
from tests.small_run import ROOT, SMALL, read_report, run

# One stage: a step is compiled once, which takes most of such a run's time.
_EPOCHS = ("--pretext_epochs=0", "--heads_only_epochs=0", "--fine_tune_epochs=6")
ONE_STAGE = (*SMALL, *_EPOCHS, "--noexport")


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def workers(module, arguments_of, count=2):
    """A module in `count` processes that know each other; `arguments_of(index)` are its own."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(count)]}
    with contextlib.ExitStack() as stack:
        started = []
        for index in range(count):
            config = {"cluster": cluster, "task": {"type": "worker", "index": index}}
            environment = os.environ | {
                "TF_CONFIG": json.dumps(config),
                "PYTHONPATH": str(ROOT),
                # One device a process: the tests' two logical ones are this process's own.
                "CUDA_VISIBLE_DEVICES": "-1",
            }
            child = warm.Child(module, arguments_of(index), ROOT, environment)
            started.append(stack.enter_context(child))
        yield started


def finish(processes, timeout=600):
    outputs = ["".join(process.communicate(timeout=timeout)) for process in processes]
    return [process.returncode for process in processes], outputs


@pytest.fixture(scope="module")
def one_replica():
    return strategy_worker.trained(tf.distribute.get_strategy())


def largest_differences(found, wanted):
    """{stage: (of weights, of their updates)}: relative differences of all trained weights."""
    result = {}
    for stage in strategy_worker.STAGES:
        names = [n for n in wanted if n.startswith(stage.name) and "moving_" not in n]
        start = flat(wanted, [f"initial {n.split()[1]}" for n in names if "logs" not in n])
        one, two = (
            flat(values, [n for n in names if "logs" not in n]) for values in (wanted, found)
        )
        error = np.linalg.norm(two - one)
        result[stage.name] = error / np.linalg.norm(one), error / np.linalg.norm(one - start)
    return result


def flat(values, names):
    return np.concatenate([values[name].ravel() for name in names]).astype(np.float64)


def assert_alike(found, wanted):
    assert found.keys() == wanted.keys()
    for stage, (weights, updates) in largest_differences(found, wanted).items():
        print(f"{stage}: weights differ by {weights:.1e}, their updates by {updates:.1e}")
        assert weights < 1e-4
        assert updates < 1e-3
    for name, value in wanted.items():
        # The moving variance of one replica is Keras's fused kernel's, n / (n - 1) times larger.
        tolerance = 1e-2 if "moving_variance" in name else 1e-4
        np.testing.assert_allclose(found[name], value, rtol=tolerance, atol=tolerance, err_msg=name)


def test_two_replicas_train_as_one(one_replica, two_replicas):
    assert_alike(strategy_worker.trained(two_replicas), one_replica)


def test_two_worker_processes_train_as_one(one_replica, tmp_path):
    files = [tmp_path / f"{index}.npz" for index in range(2)]
    with workers("tests.strategy_worker", lambda index: [files[index]]) as started:
        codes, outputs = finish(started)
    assert codes == [0, 0], outputs
    for file in files:
        with np.load(file) as stored:
            assert_alike(dict(stored), one_replica)


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        (None, (0, 1, True)),
        ({}, (0, 1, True)),
        (
            {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}},
            (0, 2, True),
        ),
        (
            {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}},
            (1, 2, False),
        ),
        (
            {
                "cluster": {"chief": ["c:1"], "worker": ["a:1"]},
                "task": {"type": "worker", "index": 0},
            },
            (1, 2, False),
        ),
        (
            {
                "cluster": {"chief": ["c:1"], "worker": ["a:1"]},
                "task": {"type": "chief", "index": 0},
            },
            (0, 2, True),
        ),
    ],
)
def test_tf_config_says_who_this_is(monkeypatch, config, wanted):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    found = distribution.worker()
    assert (found.index, found.count, found.chief) == wanted


def test_the_readmes_slurm_script_sets_tf_config(tmp_path):
    readme = (ROOT / "README.md").read_text()
    script = next(b for b in readme.split("```") if "#SBATCH" in b)
    for name, body in (
        ("scontrol", "printf 'n1\\nn2\\n'"),
        ("srun", 'shift; exec env SLURM_PROCID=1 "$@"'),
        (".venv/bin/python", 'echo "$TF_CONFIG"'),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert json.loads(done.stdout) == {
        "cluster": {"worker": ["n1:23456", "n2:23456"]},
        "task": {"type": "worker", "index": 1},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "JSON"),
        ('{"cluster": 3}', "JSON with cluster"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 4}}', "worker 4"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}', "task ps 0"),
    ],
)
def test_a_wrong_tf_config_is_named(monkeypatch, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=message):
        distribution.worker()


def test_a_strategy_that_cannot_be_is_named(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match="multi_worker needs the environment variable TF_CONFIG"):
        distribution.make_strategy("multi_worker")
    with pytest.raises(ValueError, match="expected one of auto, one"):
        distribution.make_strategy("horovod")


def trainers(workdir):
    return workers("foc_tf.train", lambda index: [*ONE_STAGE, f"--workdir={workdir}"])


def wait_for(condition, processes, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        assert all(p.poll() is None for p in processes), "a worker ended"
        time.sleep(0.05)


def test_a_killed_worker_comes_back_and_training_is_that_of_one_process(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = run("train", *ONE_STAGE, f"--workdir={whole}")
    assert done.returncode == 0, done.stderr
    with trainers(killed) as first:
        wait_for((killed / "checkpoints" / "epoch-000002.npz").exists, first)
        first[1].kill()
        codes, outputs = finish(first)
    assert codes == [1, -9], outputs[0]
    assert "failed: worker 0: lost the others" in outputs[0]
    with trainers(killed) as again:
        codes, outputs = finish(again)
    assert codes == [0, 0], outputs
    assert all("going on after epoch" in output for output in outputs)
    histories = [pd.read_csv(folder / "history.csv") for folder in (whole, killed)]
    for history in histories:
        assert history["epoch"].tolist() == list(range(6))
    one, two = (history[["loss", "over_mi"]].to_numpy() for history in histories)
    np.testing.assert_allclose(one, two, rtol=1e-3)
    # Two of the 281 images of val: batch statistics of one replica are Keras's fused kernel's.
    one, two = (history["val_normal_accuracy"] for history in histories)
    np.testing.assert_allclose(one, two, atol=2 / 281)
    reports = [read_report(folder)["splits"]["fuzzy"]["normal"] for folder in (whole, killed)]
    assert reports[0]["macro_f1"] == pytest.approx(reports[1]["macro_f1"], abs=0.02)
