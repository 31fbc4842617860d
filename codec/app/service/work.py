"""Work done for requests by processes, which are ended with the request, or when they
take too long.
"""

import contextlib
import json
import pickle
from collections.abc import Callable, Sequence
from functools import partial

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from starlette.exceptions import HTTPException
from starlette.requests import Request

from codec.app import processes
from codec.app.reporting import debugging
from codec.app.service.answers import Answer, do
from codec.app.service.limits import Limits

RETRY_S = 5  # what clients are told that find all places taken
GRACE_S = 0.5  # for work whose client has left; a new process would take as long
HEAD_MAX_BYTES = 2**16  # of an answer


def busy() -> HTTPException:
    return HTTPException(503, "busy", {"Retry-After": str(RETRY_S)})


class Work:
    """A few processes, and requests that wait for them: those that are soon done for
    any, the others for all but one.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.jobs = anyio.CapacityLimiter(limits.jobs)
        self.long_jobs = anyio.CapacityLimiter(max(1, limits.jobs - 1))
        self.idle: list[Process] = []

    async def answer(
        self,
        request: Request,
        function: Callable[..., Answer],
        *arguments: object,
        soon_done: bool,
    ) -> Answer:
        """What a function returns; HTTPException 503 if too many requests wait, or this
        one too long, or if the work takes too long, and 500 if its process dies.
        """
        places = [self.jobs] if soon_done else [self.long_jobs, self.jobs]
        if places[0].statistics().tasks_waiting >= self.limits.waiting:
            raise busy()
        answer = None
        failure = HTTPException(400, "left")  # nobody reads this
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancel_without_client, request, tasks.cancel_scope)
            try:
                answer = await self.do(places, function, *arguments)
            except HTTPException as error:  # not out of the group, which would wrap it
                failure = error
            tasks.cancel_scope.cancel()
        if answer is None:
            raise failure
        return answer

    async def do(
        self,
        places: Sequence[anyio.CapacityLimiter],
        function: Callable[..., Answer],
        *arguments: object,
    ) -> Answer:
        async with contextlib.AsyncExitStack() as taken:
            try:
                with anyio.fail_after(self.limits.waiting_seconds):
                    for place in places:
                        await taken.enter_async_context(place)
            except TimeoutError:
                raise busy() from None
            try:
                with anyio.fail_after(self.limits.timeout_s):
                    return await self.in_process(pickle.dumps((function, arguments)))
            except TimeoutError:
                reason = f"takes more than {self.limits.timeout_s:g} s"
                raise HTTPException(503, reason) from None
            except (OSError, anyio.IncompleteRead, anyio.BrokenResourceError):
                raise HTTPException(500, processes.DIED) from None

    async def in_process(self, task: bytes) -> Answer:
        """The answer of an idle process, or a new one. It is ended if anything happens
        before it has answered.
        """
        self.idle = [process for process in self.idle if process.returncode is None]
        process = self.idle.pop() if self.idle else await started()
        try:
            assert process.stdin and process.stdout
            await process.stdin.send(task)
            replies = BufferedByteReceiveStream(process.stdout)
            head = json.loads(await replies.receive_until(b"\n", HEAD_MAX_BYTES))
            size_bytes, status, headers = head
            body = await replies.receive_exactly(size_bytes)
        except BaseException:
            await ended(process)
            raise
        self.idle.append(process)
        return Answer(body, status, headers)

    async def warm_up(self, load: Callable[[], Answer]) -> None:
        """Start a process, so that no request waits for that."""
        with contextlib.suppress(HTTPException):
            await self.do([self.jobs], load)

    async def close(self) -> None:
        while self.idle:
            await ended(self.idle.pop())


async def started() -> Process:
    with anyio.CancelScope(shield=True):  # or it is nobody's
        process = await anyio.open_process(processes.COMMAND, stderr=None)
        assert process.stdin
        await process.stdin.send(processes.introduction(partial(do, debug=debugging())))
    return process


async def ended(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    with anyio.CancelScope(shield=True):
        await process.aclose()


async def cancel_without_client(request: Request, scope: anyio.CancelScope) -> None:
    """Cancel a little after the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    await anyio.sleep(GRACE_S)
    scope.cancel()
