"""The server: what it answers, what it refuses, and that one caller's mistake is nobody else's."""

from __future__ import annotations

import importlib.util
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from metalearner.arrays import Fields
from metalearner.deploy import Bundle, package
from metalearner.deploy import serve as serving
from metalearner.deploy.batcher import Batcher
from metalearner.deploy.serve import MOST_BYTES, create_app, serve
from metalearner.errors import DataError, UserError
from metalearner.monitor import reference

spec = importlib.util.spec_from_file_location("pairs", Path(__file__).parent / "doubles" / "pairs.py")
pairs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pairs)

ROWS = [{"x": 0.5, "colour": "red"}, {"x": None, "colour": "blue"}, {"colour": "green", "x": -3, "more": [1]}]


@pytest.fixture(scope="module", params=["kind", "size"])
def bundle(request, tmp_path_factory) -> Bundle:
    predictor = pairs.predictor(request.param)
    fields = predictor.decode(pairs.table(100))
    drift = reference(predictor.modality, fields, predictor.schema, {})
    folder = tmp_path_factory.mktemp("served") / "bundle"
    return package(folder, predictor, pairs.scorecard(predictor), drift, {}, fields, pairs.registry(), 0.0)


def changed(kind, bundle):
    """The bundle's predictor as one of another class."""
    return kind(**{name: getattr(bundle.predictor, name) for name in bundle.predictor.__dataclass_fields__})


@pytest.fixture
def client(bundle):
    with TestClient(create_app(bundle)) as found:
        yield found


def test_rows_get_value_probabilities_and_region(client, bundle):
    found = client.post("/predict", json={"rows": ROWS})
    assert found.status_code == 200
    answers = found.json()["predictions"]
    expected = bundle.predict(ROWS, regions=True)
    assert [a["value"] for a in answers] == expected["prediction"].tolist()
    assert [a["region"] for a in answers] == expected["region"].tolist()
    if bundle.task.target == "kind":
        for answer, (_, row) in zip(answers, expected.iterrows()):
            assert answer["probabilities"] == pytest.approx({c: row[f"p_{c}"] for c in "abc"})
            assert answer["value"] in answer["region"]
    else:
        assert all(set(a) == {"value", "region"} and a["region"][0] < a["value"] < a["region"][1] for a in answers)


def test_no_rows_and_missing_values_are_answered(client):
    assert client.post("/predict", json={"rows": []}).json() == {"predictions": []}
    body = '{"rows": [{"x": NaN, "colour": null}, {"x": Infinity, "colour": "red"}]}'
    found = client.post("/predict", content=body)
    assert found.status_code == 200 and len(found.json()["predictions"]) == 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"rows": [{"colour": "red"}]}', "no column 'x'"),
        ('{"rows": [{"x": "many", "colour": "red"}]}', "many"),
        ('{"rows": [{"x": [1, 2], "colour": "red"}]}', "cannot be read"),
        ('{"rows": [1]}', "Row 1 is a int"),
        ('{"rows": {"x": 1}}', "no list 'rows'"),
        ("[]", "no list 'rows'"),
        ("", "is no JSON"),
        ("{'rows'", "is no JSON"),
        (b"\xff\xfe\x00", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_bad_rows_are_refused_in_three_parts(client, body, said):
    found = client.post("/predict", content=body)
    assert found.status_code == 422
    problem = found.json()
    assert said in problem["error"] and problem["happened"] and {"holds", "try"} <= set(problem)


def test_half_a_character_in_a_name_is_repeated_escaped(bundle):
    class Repeating(type(bundle.predictor)):
        def decode(self, rows):
            raise DataError("There is no column 'x'.", f"Found: {', '.join(rows[0])}.", "Add it.")

    with TestClient(create_app(replace(bundle, predictor=changed(Repeating, bundle)))) as client:
        found = client.post("/predict", content=r'{"rows": [{"\ud800": 1}]}')
        assert found.status_code == 422 and found.json()["holds"] == r"Found: \ud800."


def test_too_much_at_once_is_refused_quickly(client):
    row = json.dumps({"x": 1, "colour": "red"})
    many = client.post("/predict", content='{"rows": [' + ",".join([row] * 10_001) + "]}")
    assert many.status_code == 413 and "10,001 rows" in many.json()["error"]
    began = time.monotonic()
    announced = client.post("/predict", content=b"x", headers={"content-length": str(MOST_BYTES + 1)})
    assert announced.status_code == 413 and "16 MB" in announced.json()["error"]
    streamed = client.post("/predict", content=(b" " * 2**20 for _ in range(17)))
    assert streamed.status_code == 413
    assert time.monotonic() - began < 5
    assert client.get("/health").status_code == 200


def test_it_says_what_it_is_and_its_example_works(client, bundle):
    text = client.get("/")
    assert text.headers["content-type"].startswith("text/plain") and f"A model of {bundle.task.target}" in text.text
    found = client.get("/schema").json()
    assert [c["name"] for c in found["columns"]] == ["x", "colour"] and found["target"] == bundle.task.target
    assert all(c["form"] == "value" and c["used"] for c in found["columns"]) and found["covers"] == 0.9
    assert found["example"] == {"rows": [{"x": 0.0, "colour": "red"}]}
    assert client.post("/predict", json=found["example"]).status_code == 200
    assert json.dumps(found["example"]) in text.text
    assert client.get("/health").json() == {"status": "ok", "bundle": bundle.manifest["id"]}
    assert client.get("/docs").status_code == 404


def test_an_array_in_the_example_is_written_out_if_small(bundle):
    from metalearner.deploy.serve import example
    from metalearner.records import Axis, Column, View

    class Arrays(pairs.Pairs):
        def __init__(self, *shape):
            self.shape = shape

        def views(self, schema):
            return {"signal": View(tuple(Axis("time", s) for s in self.shape[:-1]), self.shape[-1])}

    schema = replace(bundle.predictor.schema, columns=(Column("signal", "array"), Column("when", "date")))
    for shape, expected in (((2, 1), [[0.0], [0.0]]), ((500, 3), "numbers (500, 3)")):
        predictor = replace(bundle.predictor, schema=schema, modality=Arrays(*shape))
        assert example(replace(bundle, predictor=predictor)) == {"signal": expected, "when": "2024-01-31"}


def test_use_is_counted(client):
    client.post("/predict", json={"rows": ROWS})
    client.post("/predict", json={"rows": ROWS[:1]})
    client.post("/predict", json={"rows": [{}]})
    found = client.get("/metrics").json()
    assert (found["requests"], found["rows"], found["refused"], found["errors"]) == (3, 4, 1, 0)
    assert found["predictions"] == 2 and 0 < found["utilisation"] < 1
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"]


def test_an_error_of_the_server_s_own_is_not_shown(bundle):
    class Broken(type(bundle.predictor)):
        def predict(self, fields):
            raise RuntimeError("/secret/path")

    with TestClient(create_app(replace(bundle, predictor=changed(Broken, bundle)))) as client:
        found = client.post("/predict", json={"rows": ROWS})
        assert found.status_code == 500 and "secret" not in found.text
        assert client.get("/metrics").json()["errors"] == 1


def test_many_callers_each_get_their_own_rows(client, bundle):
    frame = pairs.table(64, seed=9)[["x", "colour"]]
    expected = bundle.predict(frame)["prediction"].tolist()
    rows = frame.to_dict("records")

    def ask(i):
        bad = i % 8 == 7
        found = client.post("/predict", json={"rows": [rows[i] if not bad else {"x": 1}]})
        return found.status_code if bad else found.json()["predictions"][0]["value"]

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(ask, range(64)))
    for i, (said, wanted) in enumerate(zip(found, expected)):
        assert said == 422 if i % 8 == 7 else said == (wanted if isinstance(wanted, str) else pytest.approx(wanted))


def test_more_than_may_wait_are_refused_before_they_get_a_thread(bundle, monkeypatch):
    gate, most = threading.Event(), 50  # more than threads that answer, 40

    class Slow(type(bundle.predictor)):
        def predict(self, fields):
            gate.wait(20)
            return super().predict(fields)

    app = create_app(replace(bundle, predictor=changed(Slow, bundle)))
    monkeypatch.setattr(serving, "MOST_WAITING", most)
    with TestClient(app) as client, ThreadPoolExecutor(most + 5) as pool:
        asked = [pool.submit(client.post, "/predict", json={"rows": ROWS}) for _ in range(most + 5)]
        refused = [one.result() for one in islice(as_completed(asked, timeout=20), 5)]
        assert {found.status_code for found in refused} == {503} and refused[0].headers["retry-after"] == "1"
        assert "50 requests wait" in refused[0].json()["error"]
        gate.set()
        assert sorted(one.result().status_code for one in asked) == [200] * most + [503] * 5
        assert client.post("/predict", json={"rows": ROWS}).status_code == 200


# -- the batcher ------------------------------------------------------------------------------------


def column(*values):
    return Fields({"x": np.array(values, float)})


def test_what_waits_is_predicted_together_and_the_poisoned_alone():
    sizes, gate = [], threading.Event()

    def predict(fields):
        gate.wait(5)
        sizes.append(fields.rows)
        if np.isnan(fields["x"]).any():
            raise DataError("a bad row")
        return fields["x"][:, None] * 2

    batcher = Batcher(predict)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(batcher, column(1))
        while not batcher._waiting.empty() or not first.running():
            time.sleep(0.01)
        time.sleep(0.05)  # the thread is in `predict` now
        others = [pool.submit(batcher, column(i, i)) for i in (2, 3, 4)] + [pool.submit(batcher, column(np.nan))]
        while batcher._waiting.qsize() < 4:
            time.sleep(0.01)
        gate.set()
        assert first.result().tolist() == [[2]]
        assert [o.result().tolist() for o in others[:3]] == [[[4], [4]], [[6], [6]], [[8], [8]]]
        with pytest.raises(DataError, match="a bad row"):
            others[3].result()
    assert sizes == [1, 7, 2, 2, 2, 1] and batcher.batches == 2
    batcher.close()


def test_an_idle_batcher_answers_at_once():
    batcher = Batcher(lambda fields: fields["x"][:, None])
    batcher(column(1))
    began = time.perf_counter()
    for _ in range(100):
        batcher(column(1))
    assert (time.perf_counter() - began) / 100 < 0.002
    batcher.close()


# -- the socket ------------------------------------------------------------------------------------


def test_it_listens_on_this_machine_alone(bundle, monkeypatch, capsys):
    import uvicorn

    seen = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: seen.append(sockets[0].getsockname()))
    serve(bundle, port=0)
    assert seen[0][0] == "127.0.0.1" and f"http://127.0.0.1:{seen[0][1]}/" in capsys.readouterr().out


def test_a_taken_port_is_the_user_s_to_change(bundle):
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(UserError, match=r"Cannot listen on 127\.0\.0\.1"),
    ):
        serve(bundle, port=taken.getsockname()[1])
    with pytest.raises(UserError, match="Cannot listen"):
        serve(bundle, port=99999)
