/* Signs as bits: packing, products by XOR and popcount, thresholds. Plain C99, no libraries.

   A row of channels is a row of 64-bit words, a bit a channel: 1 where the number is at least its threshold, 0 elsewhere and
   past the last channel. The product of two rows of signs is channels - 2 * popcount(a ^ b).

   Weights lie in panels of PANEL rows, word by word: word k of all eight stands together, so that each lane of a vector counts
   for an output of its own and nothing is summed across lanes.

   The same text is compiled once for each instruction set that is worth it, and pasted into the C that `deploy --target c`
   writes. */

#ifndef BITS_H
#define BITS_H

#include <stdint.h>
#include <string.h>

#define PANEL 8 /* outputs side by side */
#define TILE 8  /* rows that meet a panel before it is left */

#if defined(__AVX512VPOPCNTDQ__) && defined(__AVX512F__) && defined(__AVX512VL__)
#define BITS_512 1
#include <immintrin.h>
#elif defined(__AVX2__)
#define BITS_256 1
#include <immintrin.h>
#endif

static inline int64_t words_of(int64_t channels) { return (channels + 63) / 64; }

static inline int64_t panels_of(int64_t outputs) { return (outputs + PANEL - 1) / PANEL; }

/* ---- packing ---------------------------------------------------------------------------------------------------------- */

/* x (rows, groups * channels) -> out (rows, groups, words). NaN is not at least anything: its bit is 0. `threshold`
   (groups * channels), or NULL for 0. */
static inline void pack_signs(const float *x, const float *threshold, int64_t rows, int64_t groups, int64_t channels, uint64_t *out)
{
    const int64_t words = words_of(channels);
    for (int64_t r = 0; r < rows * groups; r++) {
        const float *row = x + r * channels;
        const float *from = threshold ? threshold + (r % groups) * channels : 0;
        for (int64_t w = 0; w < words; w++) {
            const int64_t first = w * 64, left = channels - first < 64 ? channels - first : 64;
            uint64_t bits = 0;
            int64_t c = 0;
#if defined(BITS_512)
            for (; c + 16 <= left; c += 16) {
                const __m512 least = from ? _mm512_loadu_ps(from + first + c) : _mm512_setzero_ps();
                const __mmask16 up = _mm512_cmp_ps_mask(_mm512_loadu_ps(row + first + c), least, _CMP_GE_OQ);
                bits |= (uint64_t)up << c;
            }
#elif defined(BITS_256)
            for (; c + 8 <= left; c += 8) {
                const __m256 least = from ? _mm256_loadu_ps(from + first + c) : _mm256_setzero_ps();
                const __m256 up = _mm256_cmp_ps(_mm256_loadu_ps(row + first + c), least, _CMP_GE_OQ);
                bits |= (uint64_t)(uint32_t)_mm256_movemask_ps(up) << c;
            }
#endif
            for (; c < left; c++)
                bits |= (uint64_t)(row[first + c] >= (from ? from[first + c] : 0.0f)) << c;
            out[r * words + w] = bits;
        }
    }
}

/* Rows (outputs, words) -> panels (panels, words, PANEL); outputs that are not there are 0. */
static inline void lay_panels(const uint64_t *rows, int64_t outputs, int64_t words, uint64_t *panels)
{
    for (int64_t p = 0; p < panels_of(outputs); p++)
        for (int64_t w = 0; w < words; w++)
            for (int64_t j = 0; j < PANEL; j++)
                panels[(p * words + w) * PANEL + j] = p * PANEL + j < outputs ? rows[(p * PANEL + j) * words + w] : 0;
}

/* ---- counting --------------------------------------------------------------------------------------------------------- */

#if defined(BITS_512)

/* Differences of TILE rows to the PANEL rows of a panel: a (TILE, words), b (words, PANEL) -> counts (TILE, PANEL). */
static inline void count_tile(const uint64_t *a, const uint64_t *b, int64_t words, int32_t *counts)
{
    __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
#define MEET(s, r) s = _mm512_add_epi64(s, _mm512_popcnt_epi64(_mm512_xor_si512(column, _mm512_set1_epi64((int64_t)a[(r)*words + k]))))
    for (int64_t k = 0; k < words; k++) {
        const __m512i column = _mm512_loadu_si512(b + k * PANEL);
        MEET(s0, 0); MEET(s1, 1); MEET(s2, 2); MEET(s3, 3); MEET(s4, 4); MEET(s5, 5); MEET(s6, 6); MEET(s7, 7);
    }
#undef MEET
    _mm256_storeu_si256((__m256i *)(counts + 0), _mm512_cvtepi64_epi32(s0));
    _mm256_storeu_si256((__m256i *)(counts + 8), _mm512_cvtepi64_epi32(s1));
    _mm256_storeu_si256((__m256i *)(counts + 16), _mm512_cvtepi64_epi32(s2));
    _mm256_storeu_si256((__m256i *)(counts + 24), _mm512_cvtepi64_epi32(s3));
    _mm256_storeu_si256((__m256i *)(counts + 32), _mm512_cvtepi64_epi32(s4));
    _mm256_storeu_si256((__m256i *)(counts + 40), _mm512_cvtepi64_epi32(s5));
    _mm256_storeu_si256((__m256i *)(counts + 48), _mm512_cvtepi64_epi32(s6));
    _mm256_storeu_si256((__m256i *)(counts + 56), _mm512_cvtepi64_epi32(s7));
}

/* The same for one row: counts (PANEL). */
static inline void count_row(const uint64_t *a, const uint64_t *b, int64_t words, int32_t *counts)
{
    __m512i sum = _mm512_setzero_si512();
    for (int64_t k = 0; k < words; k++)
        sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(_mm512_xor_si512(_mm512_loadu_si512(b + k * PANEL), _mm512_set1_epi64((int64_t)a[k]))));
    _mm256_storeu_si256((__m256i *)counts, _mm512_cvtepi64_epi32(sum));
}

#elif defined(BITS_256)

/* Bits set in each 64-bit lane, through a table of nibbles (Mula, Kurz, Lemire 2018, arXiv 1611.07612). */
static inline __m256i lanes_set(__m256i v)
{
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i few = _mm256_shuffle_epi8(table, _mm256_and_si256(v, low));
    const __m256i many = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(v, 4), low));
    return _mm256_sad_epu8(_mm256_add_epi8(few, many), _mm256_setzero_si256());
}

/* A full adder of bits: a + b + c = sum + 2 * carry. */
#define ADD(carry, sum, a, b, c)                                                                                       \
    do {                                                                                                               \
        const __m256i either_ = _mm256_xor_si256(a, b), third_ = (c);                                                  \
        carry = _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(either_, third_));                            \
        sum = _mm256_xor_si256(either_, third_);                                                                       \
    } while (0)

/* One row against half a panel: four columns, each a lane. Eight words go through adders before anything is counted. */
static inline __m256i count_four(const uint64_t *a, const uint64_t *b, int64_t words)
{
#define APART(k) _mm256_xor_si256(_mm256_set1_epi64x((int64_t)a[k]), _mm256_loadu_si256((const __m256i *)(b + (k)*PANEL)))
    __m256i total = _mm256_setzero_si256();
    int64_t k = 0;
    if (words >= 8) {
        __m256i ones = total, twos = total, fours = total, eights, x, y, p, q;
        for (; k + 8 <= words; k += 8) {
            x = APART(k), y = APART(k + 1);
            ADD(p, ones, x, y, ones);
            x = APART(k + 2), y = APART(k + 3);
            ADD(q, ones, x, y, ones);
            ADD(p, twos, p, q, twos);
            x = APART(k + 4), y = APART(k + 5);
            ADD(q, ones, x, y, ones);
            x = APART(k + 6), y = APART(k + 7);
            ADD(eights, ones, x, y, ones);
            ADD(q, twos, q, eights, twos);
            ADD(eights, fours, p, q, fours);
            total = _mm256_add_epi64(total, lanes_set(eights));
        }
        total = _mm256_slli_epi64(total, 3);
        total = _mm256_add_epi64(total, _mm256_slli_epi64(lanes_set(fours), 2));
        total = _mm256_add_epi64(total, _mm256_slli_epi64(lanes_set(twos), 1));
        total = _mm256_add_epi64(total, lanes_set(ones));
    }
    for (; k < words; k++)
        total = _mm256_add_epi64(total, lanes_set(APART(k)));
#undef APART
    return total;
}

static inline __m128i narrowed(__m256i lanes)
{
    const __m256i even = _mm256_permutevar8x32_epi32(lanes, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
    return _mm256_castsi256_si128(even);
}

static inline void count_row(const uint64_t *a, const uint64_t *b, int64_t words, int32_t *counts)
{
    _mm_storeu_si128((__m128i *)counts, narrowed(count_four(a, b, words)));
    _mm_storeu_si128((__m128i *)(counts + 4), narrowed(count_four(a, b + 4, words)));
}

#else

static inline int32_t bits_set(uint64_t v)
{
#if defined(__GNUC__) && (defined(__POPCNT__) || defined(__aarch64__))
    return __builtin_popcountll(v);
#else
    v = v - ((v >> 1) & 0x5555555555555555u);
    v = (v & 0x3333333333333333u) + ((v >> 2) & 0x3333333333333333u);
    return (int32_t)((((v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u) >> 56);
#endif
}

static inline void count_row(const uint64_t *a, const uint64_t *b, int64_t words, int32_t *counts)
{
    int32_t sums[PANEL] = {0};
    for (int64_t k = 0; k < words; k++)
        for (int64_t j = 0; j < PANEL; j++)
            sums[j] += bits_set(a[k] ^ b[k * PANEL + j]);
    memcpy(counts, sums, sizeof sums);
}

#endif

#if !defined(BITS_512)
static inline void count_tile(const uint64_t *a, const uint64_t *b, int64_t words, int32_t *counts)
{
    for (int64_t r = 0; r < TILE; r++)
        count_row(a + r * words, b, words, counts + r * PANEL);
}
#endif

/* ---- what becomes of a product ---------------------------------------------------------------------------------------- */

/* Exactly one of `whole`, `real`, `bits` is where it goes. */
typedef struct {
    int32_t *whole;        /* (rows, outputs): the product itself */
    float *real;           /* (rows, outputs): product * scale + bias, each rounded once */
    uint64_t *bits;        /* (rows, words of outputs), zeroed before: product >= least, turned round where flip is 1 */
    const float *scale;    /* (outputs) or NULL: 1 */
    const float *bias;     /* (outputs) or NULL: 0 */
    const int32_t *least;  /* (outputs) */
    const uint8_t *flip;   /* (outputs) */
    int64_t stride;        /* numbers, or words, from one row to the next */
    int64_t first;         /* the output that the first column is: a group begins there */
} Sink;

static inline void pour(const int32_t *counts, int64_t rows, int64_t row, int64_t column, int64_t outputs, int32_t length, const Sink *to)
{
    const int64_t many = outputs - column < PANEL ? outputs - column : PANEL;
    const int64_t at = to->first + column;
    for (int64_t r = 0; r < rows; r++) {
        const int32_t *count = counts + r * PANEL;
        if (to->real) {
            float *out = to->real + (row + r) * to->stride + at;
            const float *scale = to->scale ? to->scale + at : 0, *bias = to->bias ? to->bias + at : 0;
            float scaled[PANEL];
            for (int64_t j = 0; j < PANEL; j++)
                scaled[j] = (float)(length - 2 * count[j]);
            if (scale)
                for (int64_t j = 0; j < many; j++)
                    scaled[j] *= scale[j];
            if (bias)
                for (int64_t j = 0; j < many; j++)
                    scaled[j] += bias[j];
            if (many == PANEL)
                memcpy(out, scaled, sizeof scaled);
            else
                for (int64_t j = 0; j < many; j++)
                    out[j] = scaled[j];
        } else if (to->bits) {
            uint64_t *out = to->bits + (row + r) * to->stride;
            for (int64_t j = 0; j < many; j++) {
                const uint64_t up = (uint64_t)((length - 2 * count[j] >= to->least[at + j]) != to->flip[at + j]);
                out[(at + j) / 64] |= up << ((at + j) % 64);
            }
        } else {
            int32_t *out = to->whole + (row + r) * to->stride + at;
            for (int64_t j = 0; j < many; j++)
                out[j] = length - 2 * count[j];
        }
    }
}

/* ---- products --------------------------------------------------------------------------------------------------------- */

/* Numbers of panels that stay in the first cache beside a tile of rows. */
static inline int64_t panels_at_once(int64_t words)
{
    const int64_t fit = (20 << 10) / (words * PANEL * 8);
    return fit < 1 ? 1 : fit;
}

/* a (rows, words), panels of b (outputs, words) -> rows x outputs products of `length` signs. */
static inline void multiply_signs(const uint64_t *a, const uint64_t *panels, int64_t rows, int64_t outputs, int64_t words, int32_t length, const Sink *to)
{
    const int64_t all = panels_of(outputs), step = panels_at_once(words);
    int32_t counts[TILE * PANEL];
    for (int64_t begin = 0; begin < all; begin += step) {
        const int64_t end = begin + step < all ? begin + step : all;
        int64_t r = 0;
        for (; r + TILE <= rows; r += TILE)
            for (int64_t p = begin; p < end; p++) {
                count_tile(a + r * words, panels + p * words * PANEL, words, counts);
                pour(counts, TILE, r, p * PANEL, outputs, length, to);
            }
        for (; r < rows; r++)
            for (int64_t p = begin; p < end; p++) {
                count_row(a + r * words, panels + p * words * PANEL, words, counts);
                pour(counts, 1, r, p * PANEL, outputs, length, to);
            }
    }
}

/* A convolution over (height, width), each tap a run of words. A series has height 1. */
typedef struct {
    int64_t height, width, groups, channels; /* that come in; channels are those of one group */
    int64_t outputs;                         /* of all groups */
    int64_t kernel[2], stride[2], pad[2], dilation[2];
} Shape;

static inline int64_t size_after(const Shape *s, int axis)
{
    const int64_t size = axis ? s->width : s->height;
    return (size + 2 * s->pad[axis] - s->dilation[axis] * (s->kernel[axis] - 1) - 1) / s->stride[axis] + 1;
}

/* What is outside counts as -1, bit 0. `x` (height, width, groups, words) -> out (kernel, words) of one place and group. */
static inline void gather_taps(const uint64_t *x, const Shape *s, int64_t group, int64_t down, int64_t across, uint64_t *out)
{
    const int64_t words = words_of(s->channels);
    for (int64_t i = 0; i < s->kernel[0]; i++) {
        const int64_t h = down * s->stride[0] - s->pad[0] + i * s->dilation[0], left = across * s->stride[1] - s->pad[1];
        if (s->groups == 1 && s->dilation[1] == 1 && h >= 0 && h < s->height && left >= 0 && left + s->kernel[1] <= s->width) {
            memcpy(out, x + (h * s->width + left) * words, (size_t)(s->kernel[1] * words) * 8); /* all taps of a line at once */
            out += s->kernel[1] * words;
            continue;
        }
        for (int64_t j = 0; j < s->kernel[1]; j++) {
            const int64_t w = left + j * s->dilation[1];
            if (h < 0 || h >= s->height || w < 0 || w >= s->width)
                memset(out, 0, (size_t)words * 8);
            else if (words == 1)
                *out = x[(h * s->width + w) * s->groups + group];
            else
                memcpy(out, x + ((h * s->width + w) * s->groups + group) * words, (size_t)words * 8);
            out += words;
        }
    }
}

/* Words of scratch that a convolution needs: a tile of places with all their taps. */
static inline int64_t convolution_scratch(const Shape *s)
{
    return TILE * s->kernel[0] * s->kernel[1] * words_of(s->channels);
}

/* x (rows, height, width, groups, words), panels (groups, panels, kernel * words, PANEL) -> (rows, height', width', outputs).
   Only a tile of places is ever laid out with its taps. `from` and `to_place` say which of all places to do. */
static inline void convolve_signs(const uint64_t *x, const uint64_t *panels, const Shape *s, int64_t from, int64_t to_place, uint64_t *scratch, const Sink *to)
{
    const int64_t words = words_of(s->channels), taps = s->kernel[0] * s->kernel[1], deep = taps * words;
    const int64_t high = size_after(s, 0), wide = size_after(s, 1), each = s->outputs / s->groups;
    const int64_t all = panels_of(each), image = s->height * s->width * s->groups * words;
    const int32_t length = (int32_t)(taps * s->channels);
    int32_t counts[TILE * PANEL];
    for (int64_t g = 0; g < s->groups; g++) {
        Sink there = *to;
        there.first += g * each;
        for (int64_t place = from; place < to_place; place += TILE) {
            const int64_t many = to_place - place < TILE ? to_place - place : TILE;
            for (int64_t t = 0; t < many; t++) {
                const int64_t row = (place + t) / (high * wide), at = (place + t) % (high * wide);
                gather_taps(x + row * image, s, g, at / wide, at % wide, scratch + t * deep);
            }
            for (int64_t p = 0; p < all; p++) {
                const uint64_t *panel = panels + (g * all + p) * deep * PANEL;
                if (many == TILE)
                    count_tile(scratch, panel, deep, counts);
                else
                    for (int64_t t = 0; t < many; t++)
                        count_row(scratch + t * deep, panel, deep, counts + t * PANEL);
                pour(counts, many, place, p * PANEL, each, length, &there);
            }
        }
    }
}

#endif
