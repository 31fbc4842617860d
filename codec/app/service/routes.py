"""The application: what is answered to which request."""

import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from codec.api import SUFFIX
from codec.app.matching import COMPARED_MAX_PIXELS
from codec.app.reporting import debugging
from codec.app.service import pictures
from codec.app.service.answers import Answer, line, refusal
from codec.app.service.gallery import Services, page, start_in
from codec.app.service.limits import Limits
from codec.app.service.places import is_picture, place_of
from codec.app.service.search import SEARCH, alike
from codec.app.service.uploads import (
    coded,
    coded_by_another,
    equal_in,
    options_in,
    receive,
    refuse_other_sites,
    store,
)
from codec.app.service.web import ENCODE, WEB, web_file
from codec.app.service.work import Work, busy
from codec.errors import CodecError

PIECE_BYTES = 2**16  # of an answer, sent at once
ICON = "icon.svg"


def application(
    folder: Path, uploads: bool, limits: Limits, playground: bool = False
) -> Starlette:
    """The application. Bad requests get one line of text, with status 4xx."""
    root = folder.resolve()
    work = Work(limits)
    bodies = anyio.CapacityLimiter(limits.uploads)

    def place_in(request: Request) -> Path:
        place = place_of(root, request.path_params["path"])
        if place is None:
            raise HTTPException(404)
        return place

    async def show(request: Request) -> Response:
        path, place = request.path_params["path"], place_in(request)
        if place.is_dir():
            if path and not path.endswith("/"):
                return RedirectResponse(quote(path.rpartition("/")[2]) + "/")
            start = start_in(dict(request.query_params))
            return response(
                await work.answer(
                    request,
                    page,
                    root,
                    place,
                    path,
                    start,
                    limits.max_pixels,
                    Services(uploads, playground),
                    soon_done=True,
                )
            )
        if not is_picture(place):
            raise HTTPException(404)
        view = pictures.view_in(dict(request.query_params))
        known = ", ".join(request.headers.getlist("If-None-Match"))
        return response(
            await work.answer(
                request,
                pictures.show,
                place,
                view,
                known,
                limits.max_pixels,
                soon_done=view.is_small(),
            )
        )

    async def search(request: Request) -> Response:
        query = dict(request.query_params)
        like = query.pop("like", "")
        pictures.refuse(query)
        place = place_of(root, like)
        if place is None or not is_picture(place):
            raise HTTPException(404)
        arguments = root, place, limits.max_pixels
        return response(await work.answer(request, alike, *arguments, soon_done=False))

    async def upload(request: Request) -> Response:
        target = place_in(request)
        if target.is_relative_to(root / WEB):
            raise HTTPException(400, f"/{WEB}/ is not for uploads")
        if target.suffix.lower() != SUFFIX:
            raise HTTPException(400, f"the name of an upload ends in {SUFFIX}")
        options = options_in(dict(request.query_params), limits.max_pixels)
        if target.exists():
            raise HTTPException(409, "exists")
        async with received(request) as body:
            answer = await work.answer(
                request, store, body, target, options, soon_done=False
            )
        return response(answer)

    async def encode(request: Request) -> Response:
        query = dict(request.query_params)
        function: Any = coded
        arguments: tuple[object, ...]
        if "format" in query:
            function = coded_by_another
            arguments = equal_in(query), COMPARED_MAX_PIXELS
        else:
            most = limits.max_pixels if uploads else COMPARED_MAX_PIXELS
            arguments = (options_in(query, most),)
        async with received(request) as body:
            answer = await work.answer(
                request, function, body, *arguments, soon_done=False
            )
        return response(answer)

    @contextlib.asynccontextmanager
    async def received(request: Request) -> AsyncIterator[Path]:
        """The body of a request as a file; HTTPException 503 if too many are."""
        refuse_other_sites(request.headers)
        if not bodies.available_tokens:
            raise busy()
        async with bodies:
            with tempfile.TemporaryDirectory() as scratch:
                body = Path(scratch, "body")
                await receive(request, body, limits)
                yield body

    async def web(request: Request) -> Response:
        known = ", ".join(request.headers.getlist("If-None-Match"))
        sha256 = request.query_params.get("sha256", "")
        path = request.path_params.get("path", ICON)
        answer = await anyio.to_thread.run_sync(
            web_file, path, known, sha256, playground
        )
        if answer is None:
            raise HTTPException(404)
        return response(answer)

    async def health(request: Request) -> Response:
        return response(line("ok", 200))

    @contextlib.asynccontextmanager
    async def warm_processes(app: Starlette) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            for _ in range(limits.jobs):
                tasks.start_soon(work.warm_up, pictures.load)
            yield
            tasks.cancel_scope.cancel()
        await work.close()

    routes = [
        Route("/health", health),
        Route("/favicon.ico", web),  # asked for where no page names an icon
        Route(f"/{SEARCH}", search),
        Route(f"/{WEB}/{{path:path}}", web),
        Route("/{path:path}", show),
    ]
    if uploads:
        routes.append(Route("/{path:path}", upload, methods=["PUT"]))
    if uploads or playground:
        routes.insert(0, Route(f"/{ENCODE}", encode, methods=["POST"]))
    handlers: Any = dict.fromkeys((CodecError, OSError, MemoryError, Exception), refuse)
    return Starlette(
        routes=routes, exception_handlers=handlers, lifespan=warm_processes
    )


def response(answer: Answer) -> Response:
    headers = {**answer.headers, "Content-Length": str(len(answer.body))}
    if answer.status == 304:
        return Response(status_code=304, headers=answer.headers)
    return StreamingResponse(pieces(answer.body), answer.status, headers)


async def pieces(data: bytes) -> AsyncIterator[memoryview]:
    """All of it, so that each piece waits until the client has taken the last."""
    view = memoryview(data)
    for start in range(0, len(data), PIECE_BYTES):
        yield view[start : start + PIECE_BYTES]


async def refuse(request: Request, error: Exception) -> Response:
    return response(refusal(error, debugging()))
