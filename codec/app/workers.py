"""Files converted by processes of their own: one that crashes or takes too long costs
its own file alone.

Tasks go to a worker pickled, on its standard input, and what became of them comes back
as lines of JSON, on its standard output. So a worker needs nothing of the program that
starts it: no semaphores, which live in /dev/shm, and no main module that can be
imported again.
"""

import contextlib
import itertools
import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import IO, Any

from codec.app.conversion import Converted
from codec.app.own_process import own_process, start_engine_silently
from codec.app.reporting import explained
from codec.errors import CodecError

# It finds its modules where the program that starts it does.
BOOT = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from codec.app.workers import serve; serve()"
)
LOOK_S = 0.5  # how often workers that take too long are looked for
GRACE_S = 5.0  # to end orderly, before the file is theirs no more
BEGUN = "begun"  # with another picture: its time starts anew
DIED = "the process that worked on it died; not enough memory?"
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
                [sys.executable, "-c", BOOT],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        self.send(sys.path)
        self.send((self.convert, self.debug))
        return self.process

    def send(self, message: Any) -> None:
        assert self.process and self.process.stdin
        pickle.dump(message, self.process.stdin)
        self.process.stdin.flush()

    def do(self, task: Task) -> Result:
        reply, begun = None, 0  # the first time before any picture
        with contextlib.suppress(EOFError, BrokenPipeError):
            process = self.process or self.start()
            assert process.stdout
            self.send(task)
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


def serve() -> None:
    """What a worker does until nobody has a task for it."""
    tasks, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # native code may print, which is no reply
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's business
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    start_engine_silently()
    # EOF, or a broken pipe: the parent has gone.
    with contextlib.suppress(EOFError, BrokenPipeError), own_process():
        convert, debug = pickle.load(tasks)
        while True:
            do(pickle.load(tasks), convert, debug, replies)


def do(task: Task, convert: Convert, debug: bool, replies: IO[str]) -> None:
    def reply(message: Any) -> None:
        print(json.dumps(message), file=replies, flush=True)

    begun = itertools.count()  # of the pictures in a tar file

    def progress(share: float) -> None:
        if share == 0:
            reply(BEGUN)
            if why := task.without.get(next(begun)):
                raise CodecError(why)

    reply(BEGUN)
    try:
        reply(asdict(convert(task.source, task.target, progress)))
    except BrokenPipeError:
        raise
    except Exception as error:  # of whatever kind: the others are done
        reply(explained(error, debug))
    except SystemExit as stop:  # without the threads that are at work
        os._exit(int(str(stop.code)))
