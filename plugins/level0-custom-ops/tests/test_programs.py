"""Networks as programs: the numbers of ONNX Runtime, by the kernels and by NumPy; what is no program is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import random_graphs
import tampering
from metalearner_level0_custom_ops import compiling, library, numpy_machine
from metalearner_level0_custom_ops.assembling import from_onnx
from metalearner_level0_custom_ops.program import ABOUT, WEIGHTS, Input, Program
from metalearner_level0_custom_ops.signs import Convolution
from metalearner_level0_custom_ops.steps import (
    KINDS,
    NOTHING,
    POOLS,
    REDUCTIONS,
    Buffer,
    Constant,
    Conv,
    Gather,
    Map,
    Matmul,
    Operand,
    Pack,
    Pool,
    Reduce,
    Signs,
    Unsupported,
)

HERE = Path(__file__).parent
MANY = 600


def by_onnxruntime(content: bytes, x: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"v.values": x})[0]


@pytest.mark.parametrize("part", range(4))
def test_random_networks_are_equal_or_say_what_is_in_the_way(part):
    """19 rows: more than are done at once, and no multiple."""
    unsupported = 0
    for seed in range(part * MANY // 4, (part + 1) * MANY // 4):
        content, shape = random_graphs.drawn(seed)
        x = np.random.default_rng(seed).normal(size=(19, *shape)).astype(np.float32)
        try:
            program = from_onnx(content)
        except Unsupported as reason:
            assert str(reason)
            unsupported += 1
            continue
        numpy_machine.check(program)
        wanted = by_onnxruntime(content, x)
        scale = max(1.0, float(np.abs(wanted).max()))
        for found in (program.run({"v.values": x}), numpy_machine.run(program, [x.reshape(19, -1)])):
            assert np.abs(found - wanted).max() < 1e-5 * scale, seed
    assert unsupported <= MANY // 4 // 50


@pytest.mark.parametrize("seed", [3, 8])
def test_a_program_comes_back_from_its_files(seed, tmp_path):
    program, shape = tampering.good(seed)
    for name, content in program.files().items():
        (tmp_path / name).write_bytes(content)
    again = Program.load(tmp_path)
    x = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    assert np.array_equal(again.run({"v.values": x}), program.run({"v.values": x}))
    assert again.run({"v.values": x[:0]}).shape == (0, program.width)
    with pytest.raises(ValueError, match="numbers a row"):
        program.run({"v.values": x.reshape(3, -1)[:, :-1]})


# ---- one step at a time --------------------------------------------------------------------------------------------------


class Block:
    """A program of one step, written by hand: 200 numbers come in at 0, results lie at 256, constants as they are given."""

    def __init__(self, *constants: np.ndarray) -> None:
        self.x, self.out, self.scratch = Buffer(200, 0), Buffer(600, 256), Buffer(300, 1024)
        self.constants, blob = [Constant(a) for a in constants], bytearray()
        for one in self.constants:
            blob += b"\0" * (-len(blob) % 64)
            one.place = len(blob) // 4
            blob += one.array.tobytes()
        self.weights = np.frombuffer(bytes(blob + b"\0" * 64), np.uint8).copy()

    def program(self, *steps, width: int = 1, reads: Buffer | None = None) -> Program:
        out = reads or self.out
        code = np.array([n for s in steps for n in s.encoded()] + [0], np.int64)
        return Program(code, self.weights, 2048, (Input("v.values", 200, 0, 200),), out.place, out.size, 0, width)

    def __getitem__(self, i: int) -> Operand:
        return Operand(self.constants[i])


def both(program: Program, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    numpy_machine.check(program)
    return program.run({"v.values": x}), numpy_machine.run(program, [x])


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_of_number_by_number_is_that_of_numpy(name):
    """With what is unusual among the numbers: halves, zeros of both signs, the infinite, NaN."""
    b = Block()
    arity = numpy_machine.arity_of(name)
    read = [Operand(b.x, 60 * i) for i in range(arity)]
    step = Map(Operand(b.out), name, (60,), ((1,),) * (1 + arity), *read)
    x = np.random.default_rng(0).normal(size=(3, 200)).astype(np.float32) * 3
    x[:, ::7], x[:, 1::19], x[:, 2::23], x[:, 3::29], x[:, 5::31] = 0.5, 0.0, -0.0, np.inf, np.nan
    x[:, 60:67] = x[:, :7]
    here, there = both(b.program(step, width=60), x)
    assert np.allclose(here, there, rtol=3e-6, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("kind", REDUCTIONS)
@pytest.mark.parametrize("axes", [((4, 5), (10,)), ((10,), (4, 5)), ((), (200,)), ((200,), ())])
def test_sums(kind, axes):
    kept, gone = axes
    strides = np.ones(200).reshape((*kept, *gone)).strides
    whole = tuple(s // 8 for s in strides)
    b = Block()
    step = Reduce(Operand(b.out), kind, kept, gone, Operand(b.x), whole[: len(kept)], whole[len(kept) :])
    x = np.random.default_rng(0).uniform(0.9, 1.1, (3, 200)).astype(np.float32)
    here, there = both(b.program(step, width=int(np.prod(kept))), x)
    assert np.allclose(here, there, rtol=1e-5)


@pytest.mark.parametrize("kind", POOLS)
def test_pools_whose_last_window_reaches_over_the_edge(kind):
    b = Block()
    how = Convolution(1, 4, (3, 2), (2, 2), (1, 0))
    step = Pool(Operand(b.out), kind, how, (7, 7), (4, 4), Operand(b.x))
    here, there = both(b.program(step, width=64), np.random.default_rng(0).normal(size=(5, 200)).astype(np.float32))
    assert np.allclose(here, there, atol=1e-6)


def test_rows_of_a_table_by_numbers_that_are_none():
    """What is past either end, or no number, stands for the nearest row."""
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    b = Block(table)
    x = np.zeros((2, 200), np.float32)
    x[0, :8] = [0, 1.9, 3, 99, -5, np.nan, np.inf, -np.inf]
    here, there = both(b.program(Gather(Operand(b.out), 8, 3, 4, b[0], Operand(b.x), 1), width=24), x)
    assert np.array_equal(here, there)
    assert np.array_equal(here[0].reshape(8, 3), table[[0, 1, 3, 3, 0, 0, 3, 0]])


# ---- what is no program --------------------------------------------------------------------------------------------------


HOW = Convolution(4, 3, (3, 3))
FLOATS, WORDS = np.ones(2000, np.float32), np.zeros(4000, np.uint64)


def signs_step(b: Block, **other) -> Signs:
    """A sound one: 5 x 5 places of 4 channels, constants 0 (floats) and 1 (words)."""
    said = {
        "out": Operand(b.out),
        "how": HOW,
        "size": (5, 5),
        "a": Operand(b.scratch),
        "panels": b[1],
        "scratch": Buffer(600, 1440),
    }
    return Signs(**(said | other))


def after_pack(b: Block, step) -> Program:
    """The program of a step that reads bits which lie where scratch is."""
    return b.program(Pack(Operand(b.scratch), 25, 1, 4, Operand(b.x), Operand(None)), step, width=9)


def test_the_steps_that_are_spoilt_below_are_sound():
    b = Block(FLOATS, WORDS)
    numpy_machine.check(after_pack(b, signs_step(b)))
    numpy_machine.check(b.program(Conv(Operand(b.out), HOW, (5, 5), Operand(b.x), b[0])))


def map_of(block: Block, **other) -> Program:
    """A sound one: twice the first 20 numbers."""
    said = {"out": Operand(block.out), "kind": "plus", "shape": (10, 2), "strides": ((2, 1),) * 3}
    return block.program(Map(**(said | {"a": Operand(block.x), "b": Operand(block.x)} | other)), width=20)


def conv_of(b: Block, how: Convolution) -> Program:
    return b.program(Conv(Operand(b.out), how, (5, 5), Operand(b.x), b[0]))


def pool_of(b: Block, after: tuple[int, int]) -> Program:
    return b.program(Pool(Operand(b.out), "most", Convolution(1, 4, (2, 2)), (5, 5), after, Operand(b.x)))


def exp(source: Buffer, out: Buffer, stride: int = 1) -> Map:
    return Map(Operand(out), "exp", (10,), ((stride,), (1,)), Operand(source))


NO, MANY_OUT = Operand(None), Convolution(4, 3200, (3, 3))
SPOILT = {
    # who reads or writes nothing where something is needed
    "no result": lambda b: map_of(b, out=NO),
    "no source": lambda b: map_of(b, a=NO),
    "no second source": lambda b: map_of(b, b=NO),
    "one source for two": lambda b: b.program(Map(Operand(b.out), "plus", (4,), ((1,), (1,)), Operand(b.x))),
    "two sources for one": lambda b: map_of(b, kind="exp"),
    "no sum": lambda b: b.program(Reduce(NO, "sum", (4,), (5,), Operand(b.x), (5,), (1,))),
    "no summed": lambda b: b.program(Reduce(Operand(b.out), "sum", (4,), (5,), NO, (5,), (1,))),
    "no factor": lambda b: b.program(Matmul(Operand(b.out), (), (2, 2, 2), Operand(b.x), (2, 1), NO, (2, 1))),
    "no weights": lambda b: b.program(Conv(Operand(b.out), HOW, (5, 5), Operand(b.x), NO)),
    "no image": lambda b: b.program(Conv(Operand(b.out), HOW, (5, 5), NO, b[0])),
    "no pooled": lambda b: b.program(Pool(Operand(b.out), "most", Convolution(1, 4, (2, 2)), (5, 5), (4, 4), NO)),
    "no table": lambda b: b.program(Gather(Operand(b.out), 2, 3, 4, NO, Operand(b.x), 1)),
    "no numbers": lambda b: b.program(Gather(Operand(b.out), 2, 3, 4, b[0], NO, 1)),
    "no bits out": lambda b: b.program(Pack(NO, 25, 1, 4, Operand(b.x), NO)),
    "no signs in": lambda b: b.program(Pack(Operand(b.out), 25, 1, 4, NO, NO)),
    "no panels": lambda b: after_pack(b, signs_step(b, panels=NO)),
    "no bits": lambda b: after_pack(b, signs_step(b, a=NO)),
    "no scratch": lambda b: after_pack(b, signs_step(b, scratch=None)),
    "levels not turned": lambda b: after_pack(b, signs_step(b, least=b[0])),
    # sizes and places
    "past the end": lambda b: map_of(b, a=Operand(b.x, 190)),
    "before the beginning": lambda b: map_of(b, a=Operand(b.x, -1)),
    "a stride backwards": lambda b: map_of(b, strides=((2, 1), (2, -1), (2, 1))),
    "a stride out of it": lambda b: map_of(b, strides=((2, 1), (30, 1), (2, 1))),
    "a huge stride": lambda b: map_of(b, strides=((2, 1), (1 << 40, 1), (2, 1))),
    "a size of 0": lambda b: map_of(b, shape=(10, 0)),
    "a size below 0": lambda b: map_of(b, shape=(10, -2)),
    "a huge size": lambda b: map_of(b, shape=(1 << 31, 1 << 31), strides=((0, 0),) * 3),
    "too long a way": lambda b: b.program(Reduce(Operand(b.out), "sum", (), (1 << 20,) * 2, Operand(b.x), (), (0, 0))),
    "nine axes": lambda b: map_of(b, shape=(1,) * 9, strides=((0,) * 9,) * 3),
    "no axes": lambda b: map_of(b, shape=(), strides=((),) * 3),
    "a piece past memory": lambda b: map_of(b, out=Operand(Buffer(600, 1600))),
    "a piece of nothing": lambda b: map_of(b, out=Operand(Buffer(0, 256))),
    "constants past their end": lambda b: map_of(b, a=Operand(b.constants[0], 1 << 20)),
    "constants elsewhere": lambda b: map_of(b, a=Operand(Constant(FLOATS, 1 << 30))),
    "nine summed axes": lambda b: b.program(Reduce(Operand(b.out), "sum", (), (1,) * 9, Operand(b.x), (), (0,) * 9)),
    "a product past memory": lambda b: b.program(
        Matmul(Operand(b.out), (), (30, 30, 2), Operand(b.x), (2, 1), Operand(b.x), (30, 1))
    ),
    "a kernel of 0": lambda b: conv_of(b, Geometry((0, 3))),
    "a stride of 0": lambda b: conv_of(b, Geometry((3, 3), (0, 1))),
    "padding below 0": lambda b: conv_of(b, Geometry((3, 3), pad=(-1, 0))),
    "groups of 0": lambda b: conv_of(b, Geometry((3, 3), groups=0)),
    "uneven groups": lambda b: conv_of(b, Geometry((3, 3), groups=2)),
    "a kernel too large": lambda b: b.program(Conv(Operand(b.out), HOW, (2, 5), Operand(b.x), b[0])),
    "endless padding": lambda b: conv_of(b, Geometry((2, 2), pad=(60_000, 60_000), dilation=(120_001, 120_001))),
    "weights past their end": lambda b: b.program(Conv(Operand(b.out), HOW, (5, 5), Operand(b.x), Operand(b.constants[0], 1 << 20))),
    "an image past its end": lambda b: b.program(Conv(Operand(b.out), HOW, (8, 8), Operand(b.x), b[0])),
    "windows too many": lambda b: pool_of(b, (6, 6)),
    "windows too few": lambda b: pool_of(b, (4, 3)),
    "a table past its end": lambda b: b.program(Gather(Operand(b.out), 2, 300, 400, b[0], Operand(b.x), 1)),
    "numbers past their end": lambda b: b.program(Gather(Operand(b.out), 150, 3, 4, b[0], Operand(b.x), 2)),
    "a table of none": lambda b: b.program(Gather(Operand(b.out), 2, 3, 0, b[0], Operand(b.x), 1)),
    "signs of no groups": lambda b: b.program(Pack(Operand(b.out), 25, -1, -4, Operand(b.x), NO)),
    "bits past their end": lambda b: b.program(Pack(Operand(b.out, 300), 200, 1, 1, Operand(b.x), NO)),
    "thresholds past their end": lambda b: b.program(Pack(Operand(b.out), 1, 1, 150, Operand(b.x), Operand(b.constants[0], 1 << 20))),
    "half a word": lambda b: b.program(Pack(Operand(b.out, 1), 25, 1, 4, Operand(b.x), NO)),
    "a piece of half words": lambda b: b.program(Pack(Operand(Buffer(601, 256)), 25, 1, 4, Operand(b.x), NO)),
    "a piece at half a word": lambda b: b.program(Pack(Operand(Buffer(600, 257)), 25, 1, 4, Operand(b.x), NO)),
    "panels past their end": lambda b: after_pack(b, signs_step(b, panels=Operand(b.constants[1], 7900))),
    "scratch too small": lambda b: after_pack(b, signs_step(b, scratch=Buffer(140, 1440))),
    "scratch among constants": lambda b: after_pack(b, signs_step(b, scratch=b.constants[1])),
    "scratch is the result": lambda b: after_pack(b, signs_step(b, scratch=b.out)),
    "more bits than there is room": lambda b: after_pack(b, signs_step(b, how=MANY_OUT, least=b[1], flip=b[1])),
    # what is read and written
    "what nobody wrote": lambda b: map_of(b, a=Operand(b.scratch)),
    "what half was written": lambda b: b.program(exp(b.x, b.out, 2), width=19),
    "another cut of it": lambda b: b.program(exp(b.x, b.out), width=10, reads=Buffer(10, 256)),
    "what was overwritten": lambda b: b.program(exp(b.x, b.out), exp(b.x, Buffer(20, 260)), width=10),
    "used scratch": lambda b: replace(after_pack(b, signs_step(b)), place=1440),
    "to where it reads": lambda b: map_of(b, out=Operand(b.x)),
    "to one place twice": lambda b: map_of(b, strides=((1, 1), (2, 1), (2, 1))),
    "to constants": lambda b: map_of(b, out=b[0]),
    "weights from memory": lambda b: b.program(Conv(Operand(b.out), HOW, (5, 5), Operand(b.x), Operand(b.x))),
    "a table from memory": lambda b: b.program(Gather(Operand(b.out), 2, 3, 4, Operand(b.x), Operand(b.x), 1)),
}  # fmt: skip


class Geometry(Convolution):
    """One that is not checked."""

    def __init__(self, kernel, stride=(1, 1), pad=(0, 0), dilation=(1, 1), groups=1):
        for name, value in {
            "channels": 4,
            "outputs": 3,
            "kernel": kernel,
            "stride": stride,
            "pad": pad,
            "dilation": dilation,
            "groups": groups,
        }.items():
            object.__setattr__(self, name, value)


@pytest.mark.parametrize("name", SPOILT)
def test_what_leaves_its_memory_is_refused(name):
    with pytest.raises(ValueError):
        numpy_machine.check(SPOILT[name](Block(FLOATS, WORDS)))


def test_steps_that_are_cut_short_or_unknown_are_refused():
    sound = map_of(Block(FLOATS, WORDS))
    for many in range(len(sound.steps)):
        with pytest.raises(ValueError, match=r"middle|reads what"):
            numpy_machine.check(replace(sound, steps=sound.steps[:many]))
    for at, value in ((0, 9), (0, -1), (0, 77), (1, len(KINDS)), (1, -1), (2, 0), (2, 4), (2, NOTHING), (3, 1 << 62)):
        steps = sound.steps.copy()
        steps[at] = value
        with pytest.raises(ValueError):
            numpy_machine.check(replace(sound, steps=steps))
    for other in (
        {"memory": 0}, {"memory": -5}, {"memory": 1 << 62}, {"memory": 300}, {"width": 0}, {"width": 601}, {"start": -1},
        {"start": 590}, {"place": -1}, {"place": 1 << 40}, {"step": 0}, {"inputs": ()}, {"steps": sound.steps.astype(np.int32)},
        {"inputs": (Input("v.values", 200, 0, 100),)}, {"inputs": (Input("v.values", 200, -1, 200),)},
        {"inputs": (Input("v.values", 200, 1900, 200),)}, {"inputs": (Input("a", 9, 0, 200), Input("b", 9, 100, 200))},
        {"weights": np.zeros(0, np.uint8), "steps": map_of(Block(FLOATS), a=Block(FLOATS)[0]).steps},
    ):  # fmt: skip
        with pytest.raises(ValueError):
            numpy_machine.check(replace(sound, **other))


FILES = {
    "no version": ({"version": None}, {}),
    "another version": ({"version": 99}, {}),
    "memory in words": ({"memory": "all"}, {}),
    "memory that is true": ({"memory": True}, {}),
    "memory and a half": ({"memory": 2048.5}, {}),
    "inputs that are none": ({"inputs": 3}, {}),
    "an input that is none": ({"inputs": [{"name": "v.values"}]}, {}),
    "an input with more": ({"inputs": [{"name": "v.values", "size": 200, "place": 0, "step": 200, "x": 1}]}, {}),
    "another part": ({"inputs": [{"name": "v.__class__", "size": 200, "place": 0, "step": 200}]}, {}),
    "a name that is none": ({"inputs": [{"name": 7, "size": 200, "place": 0, "step": 200}]}, {}),
    "steps that are numbers": ({}, {"steps": np.zeros(4, np.float32)}),
    "steps in a table": ({}, {"steps": np.zeros((2, 2), np.int32)}),
    "weights that are numbers": ({}, {"weights": np.zeros(64, np.float32)}),
    "no weights": ({}, {"weights": None}),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_program_are_refused(name, tmp_path):
    from safetensors.numpy import load, save

    files = map_of(Block(FLOATS, WORDS)).files()
    about, arrays = json.loads(files[ABOUT]), load(files[WEIGHTS])
    changed, other = FILES[name]
    about.update(changed)
    arrays = {k: v for k, v in {**arrays, **other}.items() if v is not None}
    (tmp_path / ABOUT).write_text(json.dumps(about))
    (tmp_path / WEIGHTS).write_bytes(save(arrays))
    with pytest.raises(ValueError):
        Program.load(tmp_path)


@pytest.mark.parametrize("about", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b"null", None])
def test_files_that_are_nothing_at_all_are_refused(about, tmp_path):
    files = map_of(Block(FLOATS, WORDS)).files()
    (tmp_path / WEIGHTS).write_bytes(files[WEIGHTS])
    if about is not None:
        (tmp_path / ABOUT).write_bytes(about)
    with pytest.raises(ValueError):
        Program.load(tmp_path)
    (tmp_path / ABOUT).write_bytes(files[ABOUT])
    (tmp_path / WEIGHTS).write_bytes(files[WEIGHTS][:50])
    with pytest.raises(ValueError):
        Program.load(tmp_path)


def run_tampered(made: Path, seed: int, many: int, **environment: str) -> tuple[int, int, int]:
    """In a process of its own: how many went through, were refused, came out otherwise."""
    command = [sys.executable, str(HERE / "tampering.py"), str(made), str(seed), str(many)]
    told = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1", **environment}
    )
    assert told.returncode == 0, told.stderr[-3000:]
    through, refused, differ = map(int, told.stdout.split())
    return through, refused, differ


def test_no_program_takes_the_process_down(compiled):
    through, refused, differ = run_tampered(library.library_of(library.NATIVE), 1, 6000)
    assert through > 100 and refused > 4 * through and differ <= 5


@pytest.mark.slow
def test_nothing_is_found_by_the_sanitizers(tmp_path):
    """The same library under AddressSanitizer and UndefinedBehaviorSanitizer: random shapes, and programs, good ones and bad ones."""
    compiler = compiling.compiler()
    if compiler is None:
        pytest.skip("no compiler")
    files = [
        subprocess.check_output([compiler, f"-print-file-name=lib{n}.so"], text=True).strip() for n in ("asan", "ubsan")
    ]
    if not all(Path(f).is_absolute() for f in files):
        pytest.skip("no sanitizers beside the compiler")
    flags = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    made, reason = compiling.compiled(library.NATIVE, flags, tmp_path / "libsigns.so")
    assert made is not None, reason
    watched = {"LD_PRELOAD": ":".join(files), "ASAN_OPTIONS": "detect_leaks=0"}
    through, refused, _ = run_tampered(made, 2, 20_000, **watched)
    assert through > 100 and refused > 100
    command = [sys.executable, str(HERE / "random_signs.py"), str(made), "0", "400"]
    told = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **watched})
    assert told.returncode == 0, told.stderr[-3000:]
