"""JSON rows over HTTP. Import it where a server is wanted: it brings FastAPI."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import Any

import numpy as np
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from ..errors import DataError, MetalearnerError, UserError
from ..records import plain
from .batcher import Batcher
from .bundle import Bundle

MOST_BYTES, MOST_ROWS = 16 * 2**20, 10_000
# Requests that are under way at once. They are counted before they get a thread: those that wait for one are the longer queue.
MOST_WAITING = 256
# Requests whose latency is remembered for the quantiles.
REMEMBERED = 1000
# An array in the example row is written out up to this many numbers; of a category so many levels are named.
WRITTEN_OUT, NAMED = 64, 200
FILES = {"picture": "a picture file in base64", "recording": "a WAV or FLAC file in base64"}
FORM = 'The body is JSON: {"rows": [{column: value, ...}, ...]}.'


class TooLarge(UserError):
    """More than one request may carry."""


class Busy(MetalearnerError):
    """More is waiting than the server takes on."""


def create_app(bundle: Bundle) -> FastAPI:
    """POST /predict, GET /, /schema, /health and /metrics for one bundle."""
    batcher = Batcher(bundle.predictor.predict)
    counters = Counters(batcher)
    under_way = 0  # touched by the event loop alone

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        batcher.close()

    app = FastAPI(title="metalearner", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)

    @app.post("/predict")
    async def predict(request: Request) -> Response:
        nonlocal under_way
        began = time.perf_counter()
        try:
            body = await _body(request)
            if under_way >= MOST_WAITING:
                raise Busy("The server is busy.", f"{under_way} requests wait.", "Try again in a second.")
            under_way += 1
            try:
                found = await run_in_threadpool(_answer, bundle, batcher, body)
            finally:
                under_way -= 1
        except Exception as problem:
            status, said = _status(problem)
            counters.failed(status)
            return JSONResponse(said, status, {"Retry-After": "1"} if status == 503 else None)
        counters.answered(len(found), time.perf_counter() - began)
        return JSONResponse({"predictions": found})

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok", "bundle": bundle.manifest["id"]}

    @app.get("/schema")
    def schema() -> JSONResponse:
        return JSONResponse(describe(bundle))

    @app.get("/metrics")
    def metrics() -> JSONResponse:
        return JSONResponse(plain(counters.read()))

    @app.get("/")
    def about(request: Request) -> PlainTextResponse:
        return PlainTextResponse(_welcome(bundle, str(request.base_url)))

    return app


def serve(bundle: Bundle, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Serve until interrupted. Raises UserError when the address cannot be listened on."""
    import uvicorn

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=512)
    except (OSError, OverflowError) as problem:
        raise UserError(
            f"Cannot listen on {host}:{port}: {getattr(problem, 'strerror', None) or problem}.",
            "A port has one server, and those below 1024 belong to the system.",
            "Name another with --port.",
        ) from None
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a short answer waits 40 ms for company
    shown = f"[{host}]" if ":" in host else host
    print(f"{bundle.task.target} at http://{shown}:{listener.getsockname()[1]}/  (Ctrl-C ends)", flush=True)
    config = uvicorn.Config(create_app(bundle), log_level="warning", timeout_keep_alive=5, limit_concurrency=512,
                            timeout_graceful_shutdown=5)  # fmt: skip
    with suppress(KeyboardInterrupt):  # the usual way to end
        uvicorn.Server(config).run(sockets=[listener])


def describe(bundle: Bundle) -> dict[str, Any]:
    """What goes in and what comes out, as JSON, with an example row."""
    predictor = bundle.predictor
    cells = predictor.modality.cells(predictor.schema)
    columns = [
        {"name": c.name, "kind": c.kind, "levels": c.levels[:NAMED], "used": not c.left_out, **asdict(cells[c.name])}
        for c in predictor.schema.columns
        if c.name in cells
    ]
    return plain({
        "target": bundle.task.target,
        "output": bundle.task.output,
        "columns": columns,
        "covers": predictor.conformal.get("level"),
        "example": {"rows": [example(bundle)]},
        "most_rows": MOST_ROWS,
    })  # fmt: skip


def example(bundle: Bundle) -> dict[str, Any]:
    """A row that has every column, with a value of its kind."""
    predictor = bundle.predictor
    values = {"number": 0.0, "boolean": 1, "date": "2024-01-31", "text": "some words", "identifier": "a1"}
    row: dict[str, Any] = {}
    for name, cell in predictor.modality.cells(predictor.schema).items():
        column = predictor.schema.column(name)
        if cell.form == "value":
            row[name] = column.levels[0] if column.levels else values.get(column.kind, "a")
            continue
        shape = tuple(1 if size is None else size for size in cell.shape)
        written_out = bool(shape) and np.prod(shape) <= WRITTEN_OUT
        row[name] = np.zeros(shape).tolist() if written_out else FILES.get(cell.form, f"numbers {shape}")
    return row


class Counters:
    """How much the server is used, and how fast it answers."""

    def __init__(self, batcher: Batcher) -> None:
        self.batcher, self.began = batcher, time.monotonic()
        self.requests = self.rows = self.refused = self.errors = 0
        self.seconds: deque[float] = deque(maxlen=REMEMBERED)
        self.lock = threading.Lock()

    def answered(self, rows: int, seconds: float) -> None:
        """A request that got its predictions."""
        with self.lock:
            self.requests += 1
            self.rows += rows
            self.seconds.append(seconds)

    def failed(self, status: int) -> None:
        """A request that did not: refused for what it was, or an error of the server."""
        with self.lock:
            self.requests += 1
            self.refused += status < 500
            self.errors += status >= 500

    def read(self) -> dict[str, Any]:
        """All counters, latency quantiles of the last thousand answers in ms, and the share of time spent predicting."""
        with self.lock:
            up, seconds = time.monotonic() - self.began, list(self.seconds)
            quantiles = np.quantile(seconds, [0.5, 0.9, 0.99]) * 1000 if seconds else [None] * 3
            return {
                "requests": self.requests,
                "rows": self.rows,
                "refused": self.refused,
                "errors": self.errors,
                "latency_ms": dict(zip(("p50", "p90", "p99"), quantiles)),
                "predictions": self.batcher.batches,
                "utilisation": self.batcher.busy / up,
                "seconds_up": up,
            }


async def _body(request: Request) -> bytes:
    """The request's body. Raises TooLarge as soon as that is known."""
    announced = request.headers.get("content-length", "0")
    body = bytearray()
    if not (announced.isdigit() and int(announced) > MOST_BYTES):
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                break
        else:
            return bytes(body)
    raise TooLarge(
        f"The body has more than {MOST_BYTES / 2**20:.0f} MB.",
        "One request carries no more.",
        "Send fewer rows at a time.",
    )


def _answer(bundle: Bundle, batcher: Batcher, body: bytes) -> list[dict[str, Any]]:
    """Predictions as JSON, a dict a row."""
    rows = _rows(body)
    if not rows:
        return []
    predictor = bundle.predictor
    fields = predictor.decode(rows)
    if fields.rows != len(rows):
        raise DataError(
            f"{fields.rows} of {len(rows)} rows could be read.", "Each row gets an answer, or none does.", FORM
        )
    prediction = batcher(fields)
    table = predictor.output.table(predictor.state, prediction)
    answers: list[dict[str, Any]] = [{"value": value} for value in plain(table["prediction"])]
    probabilities = {name[2:]: plain(table[name]) for name in table if name.startswith("p_")}
    if probabilities:
        for i, answer in enumerate(answers):
            answer["probabilities"] = {name: column[i] for name, column in probabilities.items()}
    if predictor.conformal:
        regions = predictor.output.regions(dict(predictor.conformal), predictor.state, prediction)
        for answer, region in zip(answers, regions):
            answer["region"] = plain(region)
    return answers


def _rows(body: bytes) -> list[dict[str, Any]]:
    """The rows of a body; NaN and infinity, which JSON does not have, count as missing."""
    try:
        content = json.loads(body, parse_constant=lambda constant: None)
    except (ValueError, RecursionError) as problem:
        raise DataError(f"The body is no JSON: {problem}.", FORM, "GET / shows an example.") from None
    rows = content.get("rows") if isinstance(content, Mapping) else None
    if not isinstance(rows, list):
        raise DataError("The body has no list 'rows'.", FORM, "GET / shows an example.")
    if len(rows) > MOST_ROWS:
        raise TooLarge(
            f"The body has {len(rows):,} rows.", f"One request carries at most {MOST_ROWS:,}.", "Send them in parts."
        )
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise DataError(f"Row {number} is a {type(row).__name__}, not an object.", FORM, "GET / shows an example.")
    return rows


def _status(problem: Exception) -> tuple[int, dict[str, Any]]:
    """HTTP status and JSON of an error. What the server did wrong is not shown."""
    if not isinstance(problem, UserError | Busy):
        return 500, {"error": "The server could not answer this."}
    status = 413 if isinstance(problem, TooLarge) else 503 if isinstance(problem, Busy) else 422
    return status, _parts(problem)


def _parts(problem: MetalearnerError) -> dict[str, str]:
    said = {"error": str(problem), "happened": problem.happened, "holds": problem.holds, "try": problem.hint}
    # JSON may name half a surrogate pair, which no answer in UTF-8 can repeat
    return {name: text.encode("utf-8", "backslashreplace").decode() for name, text in said.items()}


def _welcome(bundle: Bundle, url: str) -> str:
    card = bundle.scorecard
    score = (
        f"{card.metric} {card.value:.3f} on {card.rows:,} rows ({card.split})\n"
        if card and card.value is not None
        else ""
    )
    row = json.dumps({"rows": [example(bundle)]}, ensure_ascii=False)
    return (
        f"A model of {bundle.task.target}, packaged by metalearner.\n{score}\n"
        f"  POST {url}predict   JSON rows in, predictions out\n"
        f"  GET  {url}schema    columns, and an example\n"
        f"  GET  {url}health    whether it runs\n"
        f"  GET  {url}metrics   how much it is used\n\n"
        f"curl {url}predict -H 'Content-Type: application/json' -d '{row}'\n"
    )
