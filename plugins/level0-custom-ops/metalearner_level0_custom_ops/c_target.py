"""One C file of a bundle's networks: the kernels' own text, programs, constants, and a function that predicts a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from metalearner.errors import UserError
from metalearner.kinds import Network, Target

from .assembling import from_onnx
from .forms import Packed
from .library import NATIVE
from .program import Program
from .steps import NOTHING, Unsupported

LINE = 6  # constants a line; of steps, which are shorter, three times as many
HEAD = """/* {name}: what a bundle predicts, in one file of C99. It needs <math.h> alone; numbers lie in memory as little-endian
   machines have them.

   cc -O3 -std=c99 -c {name}.c            into your own program
   cc -O3 -std=c99 -D{NAME}_MAIN {name}.c -lm -o {name}
                                          rows of float32 in, as they lie in memory, lines of text out
   Add -march=native for the vector instructions of the machine at hand.

   One row goes in, for each network as the bundle's transform of its number makes it (transforms/<number>.json):
{inputs}
   {width} numbers come out, before the bundle's calibration: for classes their probabilities, in the order of output.json.

   int {name}_predict({arguments}, float *out);   0 on success. Not for several threads at once: memory is static. */

"""
NETWORK = """
static const int64_t STEPS_{i}[] = {{
{steps}}};

static const uint64_t WEIGHTS_{i}[] = {{
{weights}}};
"""
TAIL = """
int {name}_predict({arguments}, float *out)
{{
    static union {{ float numbers[{memory}]; uint64_t words[{memory} / 2]; }} memory;
    for (int i = 0; i < {width}; i++)
        out[i] = 0.0f;
{runs}
    return 0;
}}

#ifdef {NAME}_MAIN
#include <stdio.h>

int main(void)
{{
    static float in[{total}], out[{width}];
    while (fread(in, sizeof *in, {total}, stdin) == {total}) {{
        {name}_predict({places}, out);
        for (int i = 0; i < {width}; i++)
            printf(i + 1 < {width} ? "%.9g " : "%.9g\\n", (double)out[i]);
    }}
    return 0;
}}
#endif
"""


class C(Target):
    """Networks as C that any compiler takes."""

    name = "c"
    summary = "one C file of small networks, binary or not, that plain cc compiles"

    def write(self, networks: Sequence[Network], name: str) -> Mapping[str, bytes]:
        """One file. Raises UserError where a model is no network, or has a step that programs have not."""
        programs = [(n.weight, int(n.folder.name), _program(n)) for n in networks]
        return {f"{name}.c": source(programs, name).encode()}


def _program(network: Network) -> Program:
    if network.form == Packed.name:
        return Program.load(network.folder)
    if network.onnx is None:
        raise UserError(
            "A model of this bundle is no network: trees and the like are kept as their libraries write them.",
            "What was exported to ONNX or packed can become C.",
            "Run with --families of networks; metalearner plugin list names them.",
        )
    try:
        return from_onnx(network.onnx)
    except Unsupported as problem:
        raise UserError(
            f"The network has {problem}, which programs have no step for.",
            "Convolutions, linear layers, attention, norms and what lies between them can become C; recurrent layers cannot.",
            "Run with other --families, resnet or binary-resnet say.",
        ) from problem


def source(programs: Sequence[tuple[float, int, Program]], name: str) -> str:
    """The text of the file, of programs with their weights in the answer and the numbers of their transforms."""
    inputs = [[(f"in{n}_{_word(i.name)}", i) for i in p.inputs] for n, (_, _, p) in enumerate(programs)]
    every = [one for own in inputs for one in own]
    starts = [sum(i.size for _, i in every[:k]) for k in range(len(every))]
    told = [
        f"   {word}: {i.size} numbers, transform {transform}"
        for own, (_, transform, _) in zip(inputs, programs)
        for word, i in own
    ]
    said = {
        "name": name,
        "NAME": name.upper(),
        "inputs": "\n".join(told),
        "arguments": ", ".join(f"const float *{word}" for word, _ in every),
        "width": programs[0][2].width,
        "memory": max(p.memory + p.memory % 2 for _, _, p in programs),
        "total": sum(i.size for _, i in every),
        "places": ", ".join(f"in + {start}" for start in starts),
        "runs": "\n".join(_run(n, share, p, inputs[n]) for n, (share, _, p) in enumerate(programs)),
    }
    kernels = "\n".join(_text(file) for file in ("bits.h", "program.h"))
    networks = "".join(_network(n, p) for n, (_, _, p) in enumerate(programs))
    return HEAD.format(**said) + kernels + networks + TAIL.format(**said)


def _network(i: int, program: Program) -> str:
    steps = ["INT64_MIN" if n == NOTHING else str(n) for n in program.steps.tolist()]
    words = [f"0x{n:x}u" for n in program.weights.view("<u8").tolist()] or ["0"]
    return NETWORK.format(i=i, steps=_table(steps, 3 * LINE), weights=_table(words, LINE))


def _run(n: int, share: float, program: Program, inputs: Sequence[tuple[str, object]]) -> str:
    """Copy a network's inputs, do its steps, add its share of the answer."""
    copies = [
        f"    memcpy(memory.numbers + {i.place}, {word}, {i.size} * sizeof *{word});"
        for (word, _), i in zip(inputs, program.inputs)
    ]
    return "\n".join([
        *copies,
        f"    do_steps(STEPS_{n}, (const float *)WEIGHTS_{n}, memory.numbers, 1);",
        f"    for (int i = 0; i < {program.width}; i++)",
        f"        out[i] += {share:.9e}f * memory.numbers[{program.place + program.start} + i];",
    ])  # fmt: skip


def _text(file: str) -> str:
    """A header without what includes another one of ours."""
    lines = (NATIVE / file).read_text().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith('#include "'))


def _table(numbers: Sequence[str], many: int) -> str:
    return "".join(f"    {', '.join(numbers[i : i + many])},\n" for i in range(0, len(numbers), many))


def _word(text: str) -> str:
    """A name as C takes it."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in text)
