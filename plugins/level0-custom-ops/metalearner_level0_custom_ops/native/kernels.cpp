// The kernels for one instruction set, as a table. Compiled once for each, with the flags of that set and NAME said.

#include "kernels.h"
#include "program.h"

// The innermost kernel alone, on what fits into the first cache: nothing can be faster.
static void burn(const uint64_t *a, const uint64_t *panel, int64_t words, int64_t times, int32_t *counts)
{
    for (int64_t i = 0; i < times; i++) {
        count_tile(a, panel, words, counts);
#if defined(__GNUC__)
        asm volatile("" : : "r"(counts) : "memory");
#endif
    }
}

extern "C" const Kernels NAME = {pack_signs, multiply_signs, convolve_signs, do_steps, burn};
