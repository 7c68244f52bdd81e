"""Long work: memory that stays, a file that grows, progress that is said."""

import io
import itertools
import os
import subprocess
import sys

import numpy as np

from foc_tf.predicting.progress import Progress, duration
from tests.making import png
from tests.small_run import ROOT

# Peak and last resident memory in MB of a process that predicts argv[1] images with a model of no
# size; what a million images would hold in memory shows at 30,000.
MEMORY = f"""
import os, pathlib, sys
sys.path.insert(0, {str(ROOT)!r})
import numpy as np
from foc_tf.formats import listing
from foc_tf.predicting import local

class Model:
    classes, cluster_names = [str(i) for i in range(60)], [""] * 400
    cluster_classes = np.zeros(400, np.int64)
    def predict(self, encoded):
        rng = np.random.default_rng(len(encoded))
        return {{"class_probs": rng.dirichlet(np.ones(60), len(encoded)).astype("f4"),
                "cluster_probs": rng.dirichlet(np.ones(400), len(encoded)).astype("f4")}}
    def digest(self):
        return "m"

def resident():
    words = pathlib.Path("/proc/self/statm").read_text().split()
    return int(words[1]) * os.sysconf("SC_PAGESIZE") / 2**20

collection = listing.read(listing.Listing(sys.argv[1]))
output = pathlib.Path(sys.argv[2])
seen, sizes = [], []
def progress(done):
    if done % 6400 == 0:
        seen.append(resident())
        sizes.append(output.with_name("x.csv.partial").stat().st_size)
local.run(local.Job(Model(), collection, output), progress=progress)
print(*seen)
print(*sizes)
"""


def test_memory_stays_and_the_file_grows(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    for number in range(32000):
        os.link(tmp_path / "a.png", tmp_path / f"{number}.png")
    (tmp_path / "list.txt").write_text("".join(f"{n}.png\n" for n in range(32000)))
    arguments = [tmp_path / "list.txt", tmp_path / "x.csv"]
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    resident, sizes = ([float(word) for word in line.split()] for line in done.stdout.splitlines())
    assert len(resident) == 5
    # 25,600 more images; their probabilities alone are 45 MB.
    assert resident[-1] - resident[0] < 8, resident
    steps = np.diff(sizes)
    assert (steps > 0.9 * sizes[0]).all(), sizes


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_says_rate_and_time_left():
    clock = itertools.count(0, 10).__next__
    stream = io.StringIO()
    progress = Progress(1000, 100, stream, clock)
    for done in (150, 200, 250, 1000):
        progress(done)
    # 30 s for 150 of this run's images.
    assert stream.getvalue() == "250 of 1,000 images, 5.0 a second, 2 min 30 s left\n"
    stream = Terminal()
    progress = Progress(1000, 0, stream, clock)
    progress(500)
    progress(1000)
    progress.close()
    first, second, last = stream.getvalue().lstrip("\r").split("\r")
    assert first.startswith("[############............] 500 of 1,000 images, 50.0 a second, 10 s")
    assert second.startswith(
        "[########################] 1,000 of 1,000 images, 50.0 a second, took"
    )
    assert last.endswith("\n")
    assert len(second) >= len(first)
    assert [duration(s) for s in (59.6, 3599, 7300)] == ["1 min 0 s", "59 min 59 s", "2 h 1 min"]
