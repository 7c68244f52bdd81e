"""SIGTERM and Ctrl-C: training keeps its last step, programs end with the right code."""

import signal
import time

import pytest

from foc_tf import loop, stopping, train
from tests.cluster_runs import assert_alike_to_the_bit
from tests.small_run import SMALL, begun, call, run

LONG = [*SMALL, "--fine_tune_epochs=2", "--labels_per_class=100", "--noexport"]


@pytest.fixture
def handler(monkeypatch):
    fresh = stopping._Handler()
    monkeypatch.setattr(stopping, "_handler", fresh)
    return fresh


def test_a_signal_raises_or_waits_until_release(handler):
    for number, error in (
        (signal.SIGTERM, stopping.Terminated),
        (signal.SIGINT, KeyboardInterrupt),
    ):
        with pytest.raises(error):
            handler(number, None)
        stopping.hold()
        handler(number, None)
        assert stopping.asked()
        with pytest.raises(error):
            stopping.release()
        assert not stopping.asked()
        stopping.release()  # nothing came


def test_a_second_signal_does_not_wait(handler):
    stopping.hold()
    handler(signal.SIGTERM, None)
    with pytest.raises(KeyboardInterrupt):
        handler(signal.SIGINT, None)


def stop(arguments, when):
    """Starts a run, sends SIGTERM once `when()` holds: (exit code, stderr, seconds it took)."""
    with begun(arguments, when) as process:
        process.send_signal(signal.SIGTERM)
        start = time.monotonic()
        stderr = process.communicate(timeout=100)[1]
        return process.returncode, stderr, time.monotonic() - start


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole") / "run"
    done = run("train", *LONG, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return workdir


def test_a_run_stopped_by_sigterm_is_the_undisturbed_one(tmp_path, undisturbed):
    arguments = [*LONG, f"--workdir={tmp_path / 'run'}"]
    folder = tmp_path / "run/checkpoints"
    code, stderr, seconds = stop(arguments, lambda: any(folder.glob("epoch-000001*")))
    assert code == 143, stderr
    assert "the same command goes on where it stopped" in stderr
    print(f"SIGTERM: ended after {seconds:.1f} s")
    assert seconds < 60  # the promise is 10, on a machine that is not this busy
    again = run("train", *arguments)
    assert again.returncode == 0, again.stderr
    assert "going on after epoch" in again.stderr
    assert_alike_to_the_bit(undisturbed, tmp_path / "run")


def test_a_run_stopped_while_it_validates_trains_no_step_twice(tmp_path, undisturbed, monkeypatch):
    arguments = [*LONG, f"--workdir={tmp_path / 'run'}"]
    with monkeypatch.context() as patch:

        def stopped(run, block, epoch, logs):
            if epoch == 1:
                raise stopping.Terminated
            return loop_check(run, block, epoch, logs)

        loop_check = loop.Run.check_epoch
        patch.setattr(loop.Run, "check_epoch", stopped)
        code, stderr = call(train.main, *arguments)
    assert code == 143, stderr
    (kept,) = (tmp_path / "run/checkpoints").glob("epoch-000001-step-*.npz")
    code, stderr = call(train.main, *arguments)
    assert code == 0, stderr
    assert f"after epoch 1, step {int(kept.stem[-6:])} of the next" in stderr
    assert_alike_to_the_bit(undisturbed, tmp_path / "run")


def test_a_program_leaves_the_handlers_as_they_were():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with stopping.raising():
        assert signal.getsignal(signal.SIGTERM) is stopping._handler
        stopping.hold()
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == before
    assert not stopping._handler.holds
