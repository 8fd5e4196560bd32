"""Kill writers of a run at random moments with SIGKILL, judge what they leave, and print the score as JSON.

    python kill_runs.py FOLDER KILLS

Each writer is a fork that resumes the same run, rewinds, and saves steps as fast as it can, saying so over a pipe.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from run_content import append, assert_frames_are, assert_is, litter, new_run, save, table_until

from microct.io.run_folder import RunFolder

sys.modules["pyarrow"] = None  # type: ignore[assignment]  # a third file of the same making, slow to load


def write(path: Path, pipe: int) -> None:
    """Resume and save until killed; every step in the order of the real run: frame, table, checkpoint."""
    run = RunFolder.open(path)
    with run.lock():
        assert not litter(path)
        found = run.latest_checkpoint()
        step = found.step if found else -10
        run.rewind(step)
        while True:
            step += 10
            append(run, step)
            run.write_table(table_until(step))
            save(run, step)
            os.write(pipe, f"{step}\n".encode())


def judge(path: Path, acknowledged: int) -> str:
    """What a crash cost: "", or one of the keys of the score."""
    try:
        run = RunFolder.open(path)
        found = run.latest_checkpoint()
        frames = [frame.step for frame in run.frames()]
    except Exception as error:
        print(repr(error), file=sys.stderr)
        return "unopenable"
    step = found.step if found else -10
    if step < acknowledged or max(frames, default=-10) < acknowledged:
        return "lost"
    try:
        if found:
            assert_is(found, step)
            assert not found.note
        assert frames == list(range(0, len(frames) * 10, 10))
        assert_frames_are(run, frames)
        if acknowledged >= 0:
            rows = run.read_table().rows
            assert rows == table_until(len(rows) * 10 - 10).rows
            assert len(rows) * 10 - 10 >= acknowledged
    except AssertionError as error:
        print(repr(error), file=sys.stderr)
        return "wrong"
    return ""


def say_and_kill(child: int, reader: int, acknowledgements: int, delay: float) -> list[int]:
    """Steps that a writer acknowledged until it was killed, ``delay`` seconds after so many of them."""
    said = b""
    while said.count(b"\n") < acknowledgements:
        piece = os.read(reader, 65536)
        if not piece:
            raise SystemExit("a writer ended by itself")
        said += piece
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while piece := os.read(reader, 65536):
        said += piece
    return [int(line) for line in said.split(b"\n")[:-1]]


def main(path: Path, kills: int) -> dict[str, int]:
    score = {"kills": 0, "acknowledged": 0, "unopenable": 0, "lost": 0, "wrong": 0}
    chance = random.Random(kills)
    last, seconds = -10, 0.1
    for number in range(kills):
        if number % 5 == 0:  # a fresh run now and then, so that the files stay small and the first steps are hit too
            path = path.with_name(f"run{number}")
            new_run(path)
            last = -10
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            try:
                write(path, writer)
            finally:
                os._exit(1)
        os.close(writer)
        count, began = chance.randint(0, 1), time.monotonic()
        steps = say_and_kill(child, reader, count, chance.uniform(0, 1.5) * seconds)
        seconds = min(1.0, 0.5 * (seconds + (time.monotonic() - began) / (len(steps) + 1)))
        os.close(reader)
        score["acknowledged"] += len(steps)
        score["kills"] += 1
        last = max([last, *steps])
        if cost := judge(path, last):
            score[cost] += 1
    return score


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
