"""Files converted by processes of their own: one that crashes or takes too long costs
its own file alone. What becomes of a task comes back as lines of JSON.
"""

import contextlib
import itertools
import json
import pickle
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import IO, Any

from codec.app.conversion import Converted, timed
from codec.app.processes import COMMAND, DIED, introduction
from codec.app.reporting import explained
from codec.errors import CodecError

LOOK_S = 0.5  # how often workers that take too long are looked for
GRACE_S = 5.0  # to end orderly, before the file is theirs no more
BEGUN = "begun"  # with another picture: its time starts anew
ENDS_MAX = 8  # of processes at one tar file

Convert = Callable[..., Converted]  # (source, target, progress)


@dataclass(frozen=True)
class Task:
    source: str
    target: str
    # Pictures of a tar file, by number, that are not worked on, and why.
    without: Mapping[int, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Ended:
    """A process that died at a task, or was ended as it took too long."""

    why: str
    late: bool
    picture: int | None  # at which, of a tar file


Result = Converted | str | Ended  # what became of a task, or why it failed


class Worker:
    """A process, started anew after it has died."""

    def __init__(self, convert: Convert, timeout_s: float | None, debug: bool) -> None:
        self.convert, self.timeout_s, self.debug = convert, timeout_s, debug
        self.process: subprocess.Popen[bytes] | None = None
        self.begun_s: float | None = None  # with the picture at hand
        self.late_s: float | None = None  # when it was found to take too long
        self.closed = False
        self.lock = threading.Lock()

    def start(self) -> subprocess.Popen[bytes]:
        with self.lock:
            if self.closed:
                raise EOFError
            self.process = subprocess.Popen(
                COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        self.send(introduction(partial(do, convert=self.convert, debug=self.debug)))
        return self.process

    def send(self, message: bytes) -> None:
        assert self.process and self.process.stdin
        self.process.stdin.write(message)
        self.process.stdin.flush()

    def do(self, task: Task) -> Result:
        reply, begun = None, 0  # the first time before any picture
        # A ValueError is of half a reply.
        with contextlib.suppress(EOFError, BrokenPipeError, ValueError):
            process = self.process or self.start()
            assert process.stdout
            self.send(pickle.dumps(task))
            for line in process.stdout:
                reply = json.loads(line)
                if reply != BEGUN:
                    break
                begun += 1
                self.begun_s = time.monotonic()
        with self.lock:
            self.begun_s, late = None, self.late_s is not None
        if late or reply in (None, BEGUN):
            self.drop()
        if isinstance(reply, dict):
            return Converted(**reply)
        if not late and reply not in (None, BEGUN):
            return str(reply)
        why = DIED
        if late:
            why = f"ended, as it took more than {self.timeout_s:g} s; see --timeout"
        return Ended(why, late, begun - 2 if begun > 1 else None)

    def drop(self) -> None:
        """Of a process that has died, or is told to."""
        process = self.process
        if process:
            process.wait()
            close_pipes(process)
        self.process = self.late_s = None

    def look(self) -> None:
        """End the process if it takes too long."""
        with self.lock:
            process, now = self.process, time.monotonic()
            if process is None or self.timeout_s is None:
                return
            if self.late_s is not None:
                if now > self.late_s + GRACE_S:
                    process.kill()
            elif self.begun_s is not None and now > self.begun_s + self.timeout_s:
                self.late_s = now
                process.terminate()

    def close(self, wait: bool) -> None:
        """Take no more tasks; end at once if nobody waits for what is at hand."""
        with self.lock:
            self.closed, process = True, self.process
        if process and wait:
            close_pipes(process)
        elif process:
            process.terminate()

    def join(self) -> None:
        """Wait for the end of the process."""
        if process := self.process:
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            close_pipes(process)


def close_pipes(process: "subprocess.Popen[bytes]") -> None:
    for pipe in (process.stdin, process.stdout):
        assert pipe
        with contextlib.suppress(OSError):
            pipe.close()


def run(
    tasks: Collection[Task],
    convert: Convert,
    jobs: int,
    timeout_s: float | None = None,
    debug: bool = False,
) -> Iterator[tuple[Task, Converted | str]]:
    """(task, what became of it, or why it failed) as they are done, by `jobs` processes
    that each spend at most `timeout_s` on a picture.

    A task whose worker dies is tried again alone, in case it lacked memory. Of a tar
    file, pictures that end a worker are left out then.
    """
    lost: list[tuple[Task, Ended]] = []
    for task, result in run_once(tasks, convert, jobs, timeout_s, debug):
        if isinstance(result, Ended):
            lost.append((task, result))
        else:
            yield task, result
    for task, ended in lost:
        yield task, done_alone(task, ended, convert, timeout_s, debug)


def done_alone(
    task: Task, ended: Ended, convert: Convert, timeout_s: float | None, debug: bool
) -> Converted | str:
    """What becomes of a task that ended a process, with no other beside it."""
    for attempt in range(ENDS_MAX):
        if ended.picture is not None and (ended.late or attempt):
            task = replace(task, without={**task.without, ended.picture: ended.why})
        elif ended.late or attempt:
            break
        ((_, result),) = run_once([task], convert, 1, timeout_s, debug)
        if not isinstance(result, Ended):
            return result
        ended = result
    return ended.why


def run_once(
    tasks: Collection[Task],
    convert: Convert,
    jobs: int,
    timeout_s: float | None,
    debug: bool,
) -> Iterator[tuple[Task, Result]]:
    """As `run`, with those that ended a process."""
    waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)
    done: queue.SimpleQueue[tuple[Task, Result] | Exception] = queue.SimpleQueue()

    def look_after(worker: Worker) -> None:
        try:
            while not worker.closed:
                task = waiting.get_nowait()
                done.put((task, worker.do(task)))
        except queue.Empty:
            pass
        except Exception as error:  # no process can be started
            done.put(error)

    workers = [Worker(convert, timeout_s, debug) for _ in range(jobs)]
    threads = [threading.Thread(target=look_after, args=(w,)) for w in workers]
    whole = False
    try:
        for thread in threads:
            thread.start()
        for _ in tasks:
            result = next_result(done, workers)
            if isinstance(result, Exception):
                raise result
            yield result
        whole = True
    finally:
        for worker in workers:
            worker.close(whole)
        for worker in workers:
            worker.join()


def next_result(done: "queue.SimpleQueue[Any]", workers: Collection[Worker]) -> Any:
    while True:
        for worker in workers:
            worker.look()
        with contextlib.suppress(queue.Empty):
            return done.get(timeout=LOOK_S)


def do(task: Task, replies: IO[bytes], convert: Convert, debug: bool) -> None:
    """What a process does with a task."""

    def reply(message: Any) -> None:
        replies.write(json.dumps(message).encode() + b"\n")
        replies.flush()

    begun = itertools.count()  # of the pictures in a tar file

    def progress(share: float) -> None:
        if share == 0:
            reply(BEGUN)
            if why := task.without.get(next(begun)):
                raise CodecError(why)

    reply(BEGUN)
    try:
        reply(asdict(timed(convert, task.source, task.target, progress)))
    except BrokenPipeError:
        raise
    except Exception as error:  # of whatever kind: the others are done
        reply(explained(error, debug))
