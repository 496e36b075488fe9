"""Every named encoder on every kind of view it takes: finite, independent rows, blind to padding, able to learn."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from metalearner_level1_framework_models.encoders import ENCODERS
from metalearner_level1_framework_models.grammar import PRIMITIVES
from torch import nn

from metalearner.grammar.build import module as built
from metalearner.records import Axis, Config, View

BY_NAME = {e.name: e for e in ENCODERS}
KNOWN = {p.name: p for p in [*PRIMITIVES, *ENCODERS]}


def table(columns: int, *cardinalities: int) -> View:
    return View((Axis("columns", columns),), 1, cardinalities)


def image(height: int, width: int, channels: int) -> View:
    return View((Axis("space", height), Axis("space", width)), channels)


VIEWS = {
    "table": table(5, 3, 40),
    "codes only": table(0, 2, 5, 12),
    "numbers only": table(7),
    "wide table": table(40, 3),
    "image 8x8": image(8, 8, 1),
    "image 28x28": image(28, 28, 1),
    "image 32x32x3": image(32, 32, 3),
    "image 13x45": image(13, 45, 3),
    "image 64x64": image(64, 64, 3),
    "images of a set": View((Axis("set", 2), Axis("space", 9), Axis("space", 12)), 1),
    "series 24": View((Axis("time", 24),), 1),
    "series 7": View((Axis("time", 7),), 2),
    "ragged 300": View((Axis("time", 300, ragged=True),), 2),
    "raw sensor": View((Axis("set", 3), Axis("time", 40)), 5),
    "ragged set": View((Axis("set", 6, ragged=True), Axis("time", 20)), 2),
    "spectrum": View((Axis("space", 90),), 1),
    "set": View((Axis("set", 11),), 3),
    "wave": View((Axis("time", 6000, ragged=True),), 1),
}
PAIRS = [(e.name, v) for e in ENCODERS for v, view in VIEWS.items() if e.accepts(view)]


def rows(view: View, n: int = 6, seed: int = 0) -> list[torch.Tensor | None]:
    """Values with missing ones, codes, and masks of different lengths down to an empty row."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, *view.shape)).astype(np.float32)
    values[rng.random(values.shape) < 0.05] = np.nan
    values[0] = np.nan
    codes = mask = None
    if view.cardinalities:
        codes = torch.tensor(np.stack([rng.integers(0, c, n) for c in view.cardinalities], axis=1))
    for at, axis in enumerate(view.axes):
        if axis.ragged:
            lengths = np.array([0, 1, axis.size, *rng.integers(2, axis.size, n - 3)])
            there = np.arange(axis.size) < lengths[:, None]  # (n, size)
            mask = torch.tensor(there)
            shape = [n if i == 0 else axis.size if i == at + 1 else 1 for i in range(values.ndim)]
            values = np.where(there.reshape(shape), values, 0).astype(np.float32)
    return [torch.tensor(values), codes, mask]


def build(name: str, view: View, **numbers: object) -> nn.Module:
    torch.manual_seed(0)
    return built(Config(name, numbers), view, KNOWN)


def test_every_encoder_has_views_here():
    assert {name for name, _ in PAIRS} == set(BY_NAME)
    assert len(PAIRS) > 50


@pytest.mark.parametrize(("name", "view"), PAIRS)
def test_forward_and_backward_are_finite(name, view):
    module = build(name, VIEWS[view])
    given = rows(VIEWS[view])
    out = module.train()(*given)
    assert out.shape == ((6, module.width) if module.members == 1 else (6, module.members, module.width))
    assert out.dtype == torch.float32
    assert torch.isfinite(out).all()
    out.square().sum().backward()
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    assert all(torch.isfinite(g).all() for g in gradients)
    assert any(g.abs().sum() > 0 for g in gradients)
    assert all(p.numel() > 0 and p.dtype == torch.float32 for p in module.parameters())


@pytest.mark.parametrize(("name", "view"), PAIRS)
def test_a_row_stands_alone_and_padding_says_nothing(name, view):
    module = build(name, VIEWS[view])
    values, codes, mask = rows(VIEWS[view])
    with torch.no_grad():
        module.train()(values, codes, mask)  # running statistics leave their start
        module.eval()
        together = module(values, codes, mask)
        for i in (0, 1, 5):
            alone = module(values[i : i + 1], *(None if t is None else t[i : i + 1] for t in (codes, mask)))
            assert torch.allclose(alone[0], together[i], atol=1e-4)
        if mask is not None:
            at = next(i for i, a in enumerate(VIEWS[view].axes) if a.ragged)
            shape = [6 if i == 0 else mask.shape[1] if i == at + 1 else 1 for i in range(values.dim())]
            noisy = torch.where(mask.reshape(shape), values, torch.full_like(values, 50.0))
            assert torch.equal(module(noisy, codes, mask), together)


@pytest.mark.parametrize(("name", "view"), PAIRS)
def test_one_row_can_be_trained_on(name, view):
    given = [None if t is None else t[2:3] for t in rows(VIEWS[view])]
    assert torch.isfinite(build(name, VIEWS[view]).train()(*given)).all()


@pytest.mark.parametrize(("name", "view"), [(n, v) for n, v in PAIRS])
def test_goes_where_it_is_brought(name, view):
    """On "meta" tensors have shapes and no numbers: what stays behind on the processor is found by its first sum."""
    module = build(name, VIEWS[view]).to("meta")
    values, codes, mask = (None if t is None else t.to("meta") for t in rows(VIEWS[view]))
    assert module(values, codes, mask).device.type == "meta"


SMALL = {
    "mlp": table(4, 3),
    "deep-sets": View((Axis("set", 5),), 2),
    "tabm": table(4, 3),
    "ft-transformer": table(4, 3),
    "resnet": image(8, 8, 1),
    "mobilenet": image(8, 8, 1),
    "efficientnet": image(8, 8, 1),
    "resnet-1d": View((Axis("time", 24),), 1),
    "inception-time": View((Axis("time", 24),), 1),
    "recurrent": View((Axis("time", 24),), 1),
    "sequence-transformer": View((Axis("time", 24),), 1),
    "mlp-mixer": image(8, 8, 1),
}


@pytest.mark.parametrize("name", SMALL)
def test_learns_a_separable_set(name):
    view = SMALL[name]
    module = build(name, view)
    head = nn.Linear(module.width, 2)
    rng = np.random.default_rng(1)
    target = torch.tensor(np.arange(32) % 2)
    values = torch.tensor(rng.normal(size=(32, *view.shape)).astype(np.float32))
    values = values + 0.8 * (2.0 * target - 1).reshape(-1, *[1] * len(view.shape))
    codes = torch.zeros(32, len(view.cardinalities), dtype=torch.long) if view.cardinalities else None
    optimiser = torch.optim.AdamW([*module.parameters(), *head.parameters()], lr=5e-3)
    for _ in range(25):
        logits = head(module.train()(values, codes, None))
        logits = logits if logits.dim() == 3 else logits.unsqueeze(1)  # (B, k, 2)
        loss = sum(nn.functional.cross_entropy(logits[:, m], target) for m in range(logits.shape[1]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() / logits.shape[1] < 0.35  # ln 2 = .69 before


def test_missing_and_zero_differ():
    values = torch.zeros(2, 4, 1)
    values[1, 2] = float("nan")
    for name in ("mlp", "tabm", "ft-transformer"):
        out = build(name, table(4)).eval()(values, None, None)
        assert not torch.allclose(out[0], out[1])


def test_members_of_one_network_differ():
    out = build("tabm", table(4), members=3).eval()(torch.randn(5, 4, 1), None, None)
    assert out.shape[1] == 3
    assert not torch.allclose(out[:, 0], out[:, 1], atol=1e-3)
    assert build("tabm", table(4), members=1).eval()(torch.randn(5, 4, 1), None, None).dim() == 2


@pytest.mark.parametrize("embedding", ["periodic", "piecewise", "plain"])
def test_number_embeddings_keep_outliers_apart(embedding):
    module = build("tabm", table(2), embedding=embedding).eval()
    out = module(torch.tensor([[0.0, 0.0], [5.0, 0.0], [6.0, 0.0]]).unsqueeze(2), None, None)
    assert not torch.allclose(out[1], out[2], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("mlp", {"norm": "layer", "activation": "mish"}),
        ("tabm", {"parametric": True, "activation": "selu", "embedding": "piecewise"}),
        ("resnet", {"norm": "before", "drop_path": 0.3, "stages": 4, "depth": 2}),
        ("efficientnet", {"compound": 2.0, "drop_path": 0.3}),
        ("inception-time", {"depth": 7, "kernel": 63}),
        ("recurrent", {"cell": "lstm", "layers": 2, "bidirectional": False}),
        ("sequence-transformer", {"width": 30, "heads": 8}),
        ("mlp-mixer", {"blocks": 1, "patches": 16}),
    ],
)
def test_other_numbers_build_too(name, numbers):
    view = SMALL[name]
    module = build(name, view, **numbers)
    out = module.train()(*rows(view))
    assert out.shape[-1] == module.width
    assert torch.isfinite(out).all()


def test_backward_recurrence_starts_at_the_end_of_the_data():
    view = View((Axis("time", 20, ragged=True),), 1)
    module = build("recurrent", view).eval()
    values = torch.zeros(1, 20, 1)
    values[0, :10] = torch.randn(10, 1)
    mask = torch.arange(20).unsqueeze(0) < 10
    short = build("recurrent", View((Axis("time", 10, ragged=True),), 1)).eval()
    short.load_state_dict(module.state_dict())
    found = short(values[:, :10], None, mask[:, :10])
    assert torch.allclose(module(values, None, mask), found, atol=1e-5)


@pytest.mark.filterwarnings("ignore")  # of the exporter about itself
@pytest.mark.parametrize("name", ["tabm", "resnet", "resnet-1d"])
def test_onnx_agrees_and_takes_any_batch(name):
    import onnxruntime

    view = {"tabm": table(4, 3, 20), "resnet": image(8, 8, 1)}.get(name, View((Axis("time", 30, ragged=True),), 1))
    module = build(name, view).eval()
    given = rows(view)
    present = [t for t in given if t is not None]
    slots = [i for i, t in enumerate(given) if t is not None]

    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = module

        def forward(self, *inputs):
            by_slot = dict(zip(slots, inputs))
            return self.module(*(by_slot.get(i) for i in range(3)))

    dynamic = (tuple({0: torch.export.Dim("batch", min=1, max=1 << 20)} for _ in present),)
    names = [f"x{i}" for i in slots]
    program = torch.onnx.export(
        Flat().eval(), tuple(present), dynamo=True, verbose=False, input_names=names, dynamic_shapes=dynamic
    )
    buffer = io.BytesIO()
    program.save(buffer)
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    for take in (slice(0, 6), slice(3, 4)):
        found = session.run(None, {n: t[take].numpy() for n, t in zip(names, present)})[0]
        assert np.allclose(found, module(*(None if t is None else t[take] for t in given)).detach(), atol=1e-5)
