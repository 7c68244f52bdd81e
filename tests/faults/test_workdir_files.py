"""Any file of a stopped run damaged: the run goes on as if it were whole, or names it and ends."""

import os
import shutil

import pytest

from foc_tf import checkpoints, train
from tests.cluster_runs import assert_alike_to_the_bit
from tests.small_run import SMALL, call

FILES = (
    "flags.txt",
    "history.csv",
    "checkpoints/epoch-000002.npz",
    "checkpoints/epoch-000003.npz",
    "best/model.weights.h5",
    "best/model.json",
)
ARGUMENTS = [*SMALL, "--noexport"]


def stopped(monkeypatch, workdir):
    """Trains until epoch 3 of 4 is kept."""
    save = checkpoints.save

    def save_and_stop(directory, model, state):
        save(directory, model, state)
        if state["epoch"] == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", save_and_stop)
        code, stderr = call(train.main, *ARGUMENTS, f"--workdir={workdir}")
    assert code == 130, stderr


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(a run that was stopped after epoch 3, the same one at its end)."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        stopped(patch, folder / "stopped")
    shutil.copytree(folder / "stopped", folder / "ended")
    code, stderr = call(train.main, *ARGUMENTS, f"--workdir={folder / 'ended'}")
    assert code == 0, stderr
    return folder / "stopped", folder / "ended"


def test_these_are_all_files_of_a_stopped_run(whole):
    found = {str(path.relative_to(whole[0])) for path in whole[0].rglob("*") if path.is_file()}
    assert found == set(FILES)


@pytest.mark.parametrize("damage", ["cut", "bit"] if "FOC_KILLS" in os.environ else ["cut"])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_no_other_run(tmp_path, whole, name, damage):
    shutil.copytree(whole[0], tmp_path / "run")
    path = tmp_path / "run" / name
    content = path.read_bytes()
    middle = len(content) // 2
    turned = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    path.write_bytes(turned if damage == "bit" else content[:middle])
    code, stderr = call(train.main, *ARGUMENTS, f"--workdir={tmp_path / 'run'}")
    print(f"{name}, {damage}: exit {code}")
    if code == 0:
        assert "going on after epoch" in stderr
        assert_alike_to_the_bit(whole[1], tmp_path / "run")
        return
    assert code == 2, stderr
    assert path.name in stderr or "holds a run with other flags" in stderr
    assert "Traceback" not in stderr
