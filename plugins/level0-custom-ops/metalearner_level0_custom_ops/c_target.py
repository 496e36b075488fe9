"""One C file of a whole network: the kernels' own text, the program, its constants, and a function that predicts a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from metalearner.errors import UserError
from metalearner.kinds import Network, Target

from .forms import Packed
from .library import NATIVE
from .program import Program, from_onnx
from .steps import Unsupported

LINE = 6  # numbers a line
HEAD = """/* {name}: a network in one file of C99. It needs <math.h> alone; numbers lie in memory as little-endian machines have them.

   cc -O3 -std=c99 -c {name}.c            into your own program
   cc -O3 -std=c99 -D{NAME}_MAIN {name}.c -lm -o {name}
                                          rows of float32 in, as they lie in memory, lines of text out
   Add -march=native for the vector instructions of the machine at hand.

   One row goes in as the bundle's transform makes it (transforms/0.json){inputs}.
   {width} numbers come out, before the bundle's calibration: for classes their probabilities, in the order of output.json.

   int {name}_predict({arguments}, float *out);   0 on success. Not for several threads at once: memory is static. */

"""
TAIL = """
int {name}_predict({arguments}, float *out)
{{
    static union {{ float numbers[{memory}]; uint64_t words[{memory} / 2]; }} memory;
{copies}
    do_steps(STEPS, (const float *)WEIGHTS, memory.numbers, 1);
    memcpy(out, memory.numbers + {place}, {width} * sizeof *out);
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
    """A network as C that any compiler takes."""

    name = "c"
    summary = "one C file of a single network, binary or small, that plain cc compiles"

    def write(self, networks: Sequence[Network], name: str) -> Mapping[str, bytes]:
        """One file. Raises UserError where the bundle is an average of several, or a step is in the way."""
        if len(networks) != 1:
            raise UserError(
                f"The bundle is an average of {len(networks)} models, each behind a scaling of its own.",
                "One network becomes one C file.",
                'Limit what the run may deploy, so that it ends with one: metalearner run ... --max-size "200kB"',
            )
        return {f"{name}.c": source(_program(networks[0]), name).encode()}


def _program(network: Network) -> Program:
    if network.form == Packed.name:
        return Program.load(network.folder)
    if network.onnx is None:
        raise UserError(
            "The model of this bundle is no network: trees and the like are kept as their libraries write them.",
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


def source(program: Program, name: str) -> str:
    """The text of the file."""
    steps = ["INT64_MIN" if n == -(1 << 63) else str(n) for n in program.steps.tolist()]
    words = [f"0x{n:x}u" for n in program.weights.view("<u8").tolist()]
    inputs = [_word(i.name) for i in program.inputs]
    said = {
        "name": name,
        "NAME": name.upper(),
        "inputs": "".join(f";\n   {w}: {i.size} numbers" for w, i in zip(inputs, program.inputs)),
        "arguments": ", ".join(f"const float *{w}" for w in inputs),
        "width": program.width,
        "memory": program.memory + program.memory % 2,
        "place": program.place + program.start,
        "total": sum(i.size for i in program.inputs),
        "copies": "\n".join(
            f"    memcpy(memory.numbers + {i.place}, {w}, {i.size} * sizeof *{w});" for w, i in zip(inputs, program.inputs)
        ),
        "places": ", ".join(
            f"in + {at}" for at in np.cumsum([0, *(i.size for i in program.inputs[:-1])]).tolist()
        ),
    }  # fmt: skip
    kernels = "\n".join(_text(file) for file in ("bits.h", "program.h"))
    return (
        HEAD.format(**said)
        + kernels
        + f"\nstatic const int64_t STEPS[] = {{\n{_table(steps, 3 * LINE)}}};\n"
        + f"\nstatic const uint64_t WEIGHTS[] = {{\n{_table(words or ['0'], LINE)}}};\n"
        + TAIL.format(**said)
    )


def _text(file: str) -> str:
    """A header without what includes another one of ours."""
    lines = (NATIVE / file).read_text().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith('#include "'))


def _table(numbers: Sequence[str], many: int) -> str:
    return "".join(f"    {', '.join(numbers[i : i + many])},\n" for i in range(0, len(numbers), many))


def _word(text: str) -> str:
    """A name as C takes it."""
    word = "".join(c if c.isascii() and c.isalnum() else "_" for c in text)
    return f"in_{word}"
