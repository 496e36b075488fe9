// The C interface: which instruction set, how many threads. Everything else is in bits.h and program.h.

#include "kernels.h"
#include <algorithm>
#include <atomic>
#include <memory>
#include <new>
#include <thread>
#include <vector>

extern "C" {
extern const Kernels kernels_portable;
#if defined(__x86_64__)
extern const Kernels kernels_popcnt, kernels_avx2, kernels_avx512;
#endif
}

namespace {

const Kernels *const SETS[] = {
    &kernels_portable,
#if defined(__x86_64__)
    &kernels_popcnt, &kernels_avx2, &kernels_avx512,
#endif
};

int best()
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        return 3;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt"))
        return 2;
    if (__builtin_cpu_supports("popcnt"))
        return 1;
#endif
    return 0;
}

std::atomic<int> chosen{best()};

const Kernels &here() { return *SETS[chosen.load(std::memory_order_relaxed)]; }

// Comparisons of words below which a thread costs more than it gives.
constexpr int64_t WORTH = 1 << 18;

// Rows that a program is done for at once.
constexpr int64_t ROWS = 16;

// Share `all` into runs of whole tiles, a thread each; the last run is done here.
template <typename Work> void shared(int64_t all, int64_t work, int threads, Work each)
{
    const int64_t tiles = (all + TILE - 1) / TILE;
    const int64_t many = std::max<int64_t>(1, std::min<int64_t>({threads, tiles, work / WORTH}));
    std::vector<std::thread> others;
    for (int64_t t = 0; t < many; t++) {
        const int64_t from = tiles * t / many * TILE, to = std::min(all, tiles * (t + 1) / many * TILE);
        if (t + 1 < many)
            others.emplace_back(each, from, to);
        else
            each(from, to);
    }
    for (auto &other : others)
        other.join();
}

} // namespace

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif
extern "C" {

// 0 portable, 1 popcnt, 2 AVX2, 3 AVX-512 with VPOPCNTDQ.
int signs_set() { return chosen; }

// Choose a set, at most the best that is here; which one it is now.
int signs_choose(int set) { return chosen = std::max(0, std::min(set, best())); }

void signs_pack(const float *x, const float *threshold, int64_t rows, int64_t groups, int64_t channels, uint64_t *out)
{
    here().pack(x, threshold, rows, groups, channels, out);
}

void signs_panels(const uint64_t *rows, int64_t outputs, int64_t words, uint64_t *panels) { lay_panels(rows, outputs, words, panels); }

void signs_multiply(const uint64_t *a, const uint64_t *panels, int64_t rows, int64_t outputs, int64_t words, int32_t length, const Sink *to, int threads)
{
    const Kernels &k = here();
    shared(rows, rows * words * panels_of(outputs), threads, [=, &k](int64_t from, int64_t end) {
        Sink there = *to;
        if (there.real) there.real += from * there.stride;
        if (there.whole) there.whole += from * there.stride;
        if (there.bits) there.bits += from * there.stride;
        k.multiply(a + from * words, panels, end - from, outputs, words, length, &there);
    });
}

// TILE rows by one panel, again and again: what the innermost kernel can do at best. For measuring.
void signs_burn(const uint64_t *a, const uint64_t *panel, int64_t words, int64_t times, int32_t *counts)
{
    here().burn(a, panel, words, times, counts);
}

// Returns 0, or 1 where memory for a tile could not be had.
int signs_convolve(const uint64_t *x, const uint64_t *panels, const Shape *s, int64_t rows, const Sink *to, int threads)
{
    const Kernels &k = here();
    const int64_t places = rows * size_after(s, 0) * size_after(s, 1), deep = convolution_scratch(s);
    std::atomic<int> failed{0};
    shared(places, places * deep / TILE * panels_of(s->outputs), threads, [=, &k, &failed](int64_t from, int64_t end) {
        std::unique_ptr<uint64_t[]> scratch(new (std::nothrow) uint64_t[deep]);
        if (scratch)
            k.convolve(x, panels, s, from, end, scratch.get(), to);
        else
            failed = 1;
    });
    return failed;
}

// All rows, ROWS at a time. `values[i]` has rows of numbers; spots[i] says how many, where they go, and the step from one row to the
// next; `result` the same of what comes out, and where in a row to begin. Returns 0, or 1 where memory could not be had.
int program_run(const int64_t *steps, const float *weights, int64_t memory, int64_t inputs, const float *const *values,
                const int64_t (*spots)[3], const int64_t *result, int64_t rows, float *out)
{
    const int64_t most = std::min<int64_t>(rows, ROWS), width = result[0];
    std::unique_ptr<float[]> block(new (std::nothrow) float[memory * most + 16]);
    if (!block)
        return 1;
    float *start = block.get();
    while (reinterpret_cast<uintptr_t>(start) % 64)
        start++;
    for (int64_t done = 0; done < rows; done += most) {
        const int64_t now = std::min(most, rows - done);
        for (int64_t i = 0; i < inputs; i++)
            for (int64_t r = 0; r < now; r++)
                std::copy_n(values[i] + (done + r) * spots[i][0], spots[i][0], start + spots[i][1] * now + r * spots[i][2]);
        here().steps(steps, weights, start, now);
        for (int64_t r = 0; r < now; r++)
            std::copy_n(start + result[1] * now + r * result[2] + result[3], width, out + (done + r) * width);
    }
    return 0;
}
}
