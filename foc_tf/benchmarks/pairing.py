"""The two generations of Keras side by side: a training step, the input, memory.

Each runs in a process of its own, which does one thing whenever it is asked: so the rounds of the
two are interleaved like all others.
"""

import importlib.metadata
import json
import subprocess
import sys
import time

import numpy as np

from foc_tf.benchmarks import holding
from foc_tf.benchmarks.stepping import foc_step
from foc_tf.benchmarks.timing import Options, Row, row
from foc_tf.benchmarks.waiting import batches

_BATCHES = 10  # of the input in a round
_WARM_UP = 2


def generations(options: Options) -> list[Row]:
    """This Python's packages / those of `options.other_python`, and how much memory each took.

    Raises:
      ValueError: if no other Python is named, or it cannot run this package.
    """
    if not options.other_python:
        raise ValueError(
            "other_python: the figure generations needs another Python that has foc_tf. Give "
            "--other_python, for example .venv-keras3/bin/python (make test-keras3)."
        )
    workers: list[_Worker] = []
    try:
        for python in (sys.executable, options.other_python):
            workers.append(_Worker(python, options))
        names = [worker.ask("versions") for worker in workers]
        rows = []
        for task, text in _tasks(options).items():
            times = _interleaved(workers, task, options.rounds)
            figure = f"generations: {text}, {names[0]} / {names[1]}"
            note = f"{names[1]}: {np.median(times[1][0]):.4g} s"
            rows.append(row(figure, dict(enumerate(times)), 0, 1, note=note))
        peaks = [worker.ask("memory") for worker in workers]
    finally:
        for worker in workers:
            worker.end()
    for name, peak in zip(names, peaks):
        if peak:
            note = f"{peak:,.0f} MB at most"
            rows.append(Row(f"generations: memory, {name}", None, None, None, note=note))
    return rows


def _tasks(options):
    size = f"{options.backbone}, {options.image_size} px, {options.rows} rows"
    return {
        "triplet": f"FOC step, triplet, {size}",
        "in_batch": f"FOC step, in_batch, {size}",
        "input": f"{_BATCHES} batches of three views, {options.image_size} px, {options.rows} rows",
    }


def _interleaved(workers, task, rounds):
    found = [[worker.ask(task) for worker in workers] for _ in range(rounds + _WARM_UP)]
    # [2, rounds, (wall, cpu)]
    times = np.array(found[_WARM_UP:]).transpose(1, 0, 2)
    return [(one[:, 0], one[:, 1]) for one in times]


class _Worker:
    """A Python that answers questions, a line of JSON each."""

    def __init__(self, python, options):
        self.python = python
        told = options.backbone, options.image_size, options.rows
        program = f"from foc_tf.benchmarks import pairing; pairing.main{told!r}"
        try:
            self.process = subprocess.Popen(
                [python, "-c", program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        except OSError as error:
            raise ValueError(f"other_python: {python} cannot be started ({error}).") from None

    def ask(self, question):
        try:
            print(question, file=self.process.stdin, flush=True)
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            raise ValueError(
                f"other_python: {self.python} did not answer {question!r}; its own message is "
                "above. Does it have foc_tf and its packages?"
            ) from None

    def end(self):
        self.process.kill()
        self.process.communicate()


def _peak_megabytes():
    return holding.status("VmHWM") / 1e6 if holding.STATUS.exists() else None


def _versions():
    return " ".join(f"{n} {importlib.metadata.version(n)}" for n in ("keras", "tensorflow"))


def _timed(function):
    cpu, wall = time.process_time(), time.perf_counter()
    np.asarray(function())
    return [time.perf_counter() - wall, time.process_time() - cpu]


def main(backbone: str, image_size: int, rows: int) -> None:
    """Answers questions until the input ends."""
    options, made = Options(backbone, image_size, rows), {}

    def of_input():
        real = iter(batches(options))
        return lambda: [next(real)["anchor"] for _ in range(_BATCHES)][-1]

    def of_step(negatives):
        step = foc_step(options, negatives)
        return lambda: step()["loss"]

    for line in sys.stdin:
        question = line.strip()
        if question == "versions":
            answer = _versions()
        elif question == "memory":
            answer = _peak_megabytes()
        else:
            if question not in made:
                made[question] = of_input() if question == "input" else of_step(question)
            answer = _timed(made[question])
        print(json.dumps(answer), flush=True)
