// The kernels for one instruction set, as a table. Compiled once for each, with the flags of that set and NAME said.

#include "kernels.h"
#include "program.h"

extern "C" const Kernels NAME = {pack_signs, multiply_signs, convolve_signs, do_steps};
