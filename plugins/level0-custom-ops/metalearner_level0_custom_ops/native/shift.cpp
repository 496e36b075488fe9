// Products without multiplication: whole numbers by signed powers of two (DeepShift, arXiv 1905.13298). OWN_OPERATION.md explains it.

#include <cstdint>

#if defined(__GNUC__)
#define SEEN __attribute__((visibility("default")))
#else
#define SEEN
#endif

// x (rows, inputs), codes (outputs, inputs) -> out (rows, outputs). A code c stands for x << |c| - 1, taken away where c is below 0;
// 0 stands for nothing. Shifts are those of unsigned numbers, which C defines for every sign.
extern "C" SEEN void shift_multiply(const int32_t *x, const int8_t *codes, int64_t rows, int64_t outputs, int64_t inputs, int64_t *out)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < outputs; o++) {
            uint64_t sum = 0;
            for (int64_t i = 0; i < inputs; i++) {
                const int code = codes[o * inputs + i];
                const uint64_t number = (uint64_t)(int64_t)x[r * inputs + i];
                sum += code > 0 ? number << (code - 1) : code < 0 ? 0 - (number << (-code - 1)) : 0;
            }
            out[r * outputs + o] = (int64_t)sum;
        }
}
