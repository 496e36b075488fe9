/* A network as a list of steps over one block of memory, read and done one after the other. Plain C99 and <math.h>.

   A program is numbers: each step its code and what it works on. What a step works on is an operand: where it lies, how much of
   it a row of the batch has, and where in it to begin. Everything is float32 but signs, which are words of bits (bits.h), and a
   row of the batch always lies whole, so that a step is written for one row and done for all. `program.py` writes programs and
   can do them, too. */

#ifndef PROGRAM_H
#define PROGRAM_H

#include "bits.h"
#include <math.h>

#define RANK 8
#define NOTHING INT64_MIN

enum { DONE, MAP, REDUCE, MATMUL, CONV, PACK, SIGNS, POOL, GATHER };
enum {
    COPY, NEGATE, ABSOLUTE, EXP, LOG, SQRT, RECIPROCAL, RELU, SIGMOID, TANH, ERF, FLOOR, ROUND, NOT, SIGN, SOFTPLUS, HARDSIGMOID,
    SINE, COSINE, IS_NAN, /* of one */
    PLUS, MINUS, TIMES, OVER, POWER, LESS, GREATER, AT_LEAST, AT_MOST, SAME, BOTH, EITHER, LARGER, SMALLER, /* of two */
    CHOOSE /* of three: where the first is not 0 the second, else the third */
};
enum { SUM, MEAN, MOST, LEAST, PRODUCT };
enum { POOL_MOST, POOL_MEAN, POOL_MEAN_INSIDE }; /* the mean counts what is outside as 0, or not at all */

typedef struct {
    const int64_t *next;  /* what is to be read */
    const float *weights; /* constants, 64-byte aligned */
    float *memory;
    int64_t rows;
} Machine;

typedef struct {
    float *at;
    int64_t step; /* from one row of the batch to the next; 0 for constants */
} Operand;

static inline int64_t read_one(Machine *m) { return *m->next++; }

static inline const int64_t *read_many(Machine *m, int64_t n)
{
    const int64_t *here = m->next;
    m->next += n;
    return here;
}

static inline Operand read_operand(Machine *m)
{
    const int64_t base = m->next[0], size = m->next[1], start = m->next[2];
    Operand found = {0, 0};
    m->next += 3;
    if (base == NOTHING)
        return found;
    if (base < 0)
        found.at = (float *)m->weights + (-1 - base) + start;
    else {
        found.at = m->memory + base * m->rows + start;
        found.step = size;
    }
    return found;
}

static inline Shape read_shape(Machine *m)
{
    const int64_t *n = read_many(m, 13);
    const Shape s = {n[0], n[1], n[2], n[3], n[4], {n[5], n[6]}, {n[7], n[8]}, {n[9], n[10]}, {n[11], n[12]}};
    return s;
}

/* ---- one number for each place ---------------------------------------------------------------------------------------- */

#define LINE1(expression)                                                                                              \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
        const float x = a[i * sa];                                                                                     \
        out[i * so] = (expression);                                                                                    \
    }                                                                                                                  \
    break
#define LINE2(expression)                                                                                              \
    if (so == 1 && sa == 1 && sb == 1)                                                                                 \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const float x = a[i], y = b[i];                                                                            \
            out[i] = (expression);                                                                                     \
        }                                                                                                              \
    else if (so == 1 && sa == 1 && sb == 0) {                                                                          \
        const float y = *b;                                                                                            \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const float x = a[i];                                                                                      \
            out[i] = (expression);                                                                                     \
        }                                                                                                              \
    } else                                                                                                             \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const float x = a[i * sa], y = b[i * sb];                                                                  \
            out[i * so] = (expression);                                                                                \
        }                                                                                                              \
    break

static void map_line(int64_t kind, int64_t n, float *out, int64_t so, const float *a, int64_t sa, const float *b, int64_t sb, const float *c, int64_t sc)
{
    switch (kind) {
    case COPY: LINE1(x);
    case NEGATE: LINE1(-x);
    case ABSOLUTE: LINE1(fabsf(x));
    case EXP: LINE1(expf(x));
    case LOG: LINE1(logf(x));
    case SQRT: LINE1(sqrtf(x));
    case RECIPROCAL: LINE1(1.0f / x);
    case RELU: LINE1(x > 0.0f ? x : 0.0f);
    case SIGMOID: LINE1(1.0f / (1.0f + expf(-x)));
    case TANH: LINE1(tanhf(x));
    case ERF: LINE1(erff(x));
    case FLOOR: LINE1(floorf(x));
    case ROUND: LINE1(nearbyintf(x));
    case NOT: LINE1(x == 0.0f ? 1.0f : 0.0f);
    case SIGN: LINE1(x != x ? x : (float)(x > 0.0f) - (float)(x < 0.0f));
    case SOFTPLUS: LINE1(x > 20.0f ? x : log1pf(expf(x)));
    case HARDSIGMOID: LINE1(x < -3.0f ? 0.0f : x > 3.0f ? 1.0f : x / 6.0f + 0.5f);
    case SINE: LINE1(sinf(x));
    case COSINE: LINE1(cosf(x));
    case IS_NAN: LINE1(x != x ? 1.0f : 0.0f);
    case PLUS: LINE2(x + y);
    case MINUS: LINE2(x - y);
    case TIMES: LINE2(x * y);
    case OVER: LINE2(x / y);
    case POWER: LINE2(y == 2.0f ? x * x : powf(x, y));
    case LESS: LINE2(x < y ? 1.0f : 0.0f);
    case GREATER: LINE2(x > y ? 1.0f : 0.0f);
    case AT_LEAST: LINE2(x >= y ? 1.0f : 0.0f);
    case AT_MOST: LINE2(x <= y ? 1.0f : 0.0f);
    case SAME: LINE2(x == y ? 1.0f : 0.0f);
    case BOTH: LINE2(x != 0.0f && y != 0.0f ? 1.0f : 0.0f);
    case EITHER: LINE2(x != 0.0f || y != 0.0f ? 1.0f : 0.0f);
    case LARGER: LINE2(x > y ? x : y);
    case SMALLER: LINE2(x < y ? x : y);
    case CHOOSE:
        for (int64_t i = 0; i < n; i++)
            out[i * so] = a[i * sa] != 0.0f ? b[i * sb] : c[i * sc];
    }
}

/* All lines along the last axis; the axes before it are walked like an odometer. */
static void do_map(Machine *m)
{
    const int64_t kind = read_one(m), arity = read_one(m), rank = read_one(m);
    const int64_t *shape = read_many(m, rank), *strides[4] = {0, 0, 0, 0};
    Operand on[4] = {{0, 0}, {0, 0}, {0, 0}, {0, 0}};
    int64_t lines = 1, last[4] = {0, 0, 0, 0};
    for (int64_t k = 0; k <= arity; k++) {
        on[k] = read_operand(m);
        strides[k] = read_many(m, rank);
        last[k] = strides[k][rank - 1];
    }
    for (int64_t d = 0; d < rank - 1; d++)
        lines *= shape[d];
    for (int64_t r = 0; r < m->rows; r++) {
        int64_t place[RANK] = {0}, at[4] = {0, 0, 0, 0};
        for (int64_t k = 0; k <= arity; k++)
            at[k] = r * on[k].step;
        for (int64_t l = 0; l < lines; l++) {
            map_line(kind, shape[rank - 1], on[0].at + at[0], last[0], on[1].at + at[1], last[1], on[2].at + at[2], last[2], on[3].at + at[3], last[3]);
            for (int64_t d = rank - 2; d >= 0; d--) {
                for (int64_t k = 0; k <= arity; k++)
                    at[k] += strides[k][d];
                if (++place[d] < shape[d])
                    break;
                place[d] = 0;
                for (int64_t k = 0; k <= arity; k++)
                    at[k] -= strides[k][d] * shape[d];
            }
        }
    }
}

/* ---- one number for many places --------------------------------------------------------------------------------------- */

static inline int64_t offset_of(int64_t index, int64_t rank, const int64_t *shape, const int64_t *strides)
{
    int64_t found = 0;
    for (int64_t d = rank - 1; d >= 0; d--) {
        found += index % shape[d] * strides[d];
        index /= shape[d];
    }
    return found;
}

static inline int64_t product_of(int64_t rank, const int64_t *shape)
{
    int64_t found = 1;
    for (int64_t d = 0; d < rank; d++)
        found *= shape[d];
    return found;
}

static void do_reduce(Machine *m)
{
    const int64_t kind = read_one(m), kept = read_one(m), gone = read_one(m);
    const int64_t *left = read_many(m, kept), *away = read_many(m, gone);
    const Operand out = read_operand(m), in = read_operand(m);
    const int64_t *across = read_many(m, kept), *along = read_many(m, gone);
    const int64_t many = product_of(kept, left), each = product_of(gone, away);
    for (int64_t r = 0; r < m->rows; r++)
        for (int64_t i = 0; i < many; i++) {
            const float *from = in.at + r * in.step + offset_of(i, kept, left, across);
            float most = from[0], least = from[0];
            double sum = 0.0, product = 1.0;
            for (int64_t j = 0; j < each; j++) {
                const float x = from[gone == 1 ? j * along[0] : offset_of(j, gone, away, along)];
                sum += x;
                product *= x;
                most = x > most ? x : most;
                least = x < least ? x : least;
            }
            out.at[r * out.step + i] = kind == MOST ? most : kind == LEAST ? least : kind == PRODUCT ? (float)product : (float)(kind == MEAN ? sum / (double)each : sum);
        }
}

static void do_matmul(Machine *m)
{
    const int64_t rank = read_one(m);
    const int64_t *shape = read_many(m, rank), *size = read_many(m, 3); /* M, N, K */
    const Operand out = read_operand(m), a = read_operand(m);
    const int64_t *sa = read_many(m, rank + 2);
    const Operand b = read_operand(m);
    const int64_t *sb = read_many(m, rank + 2);
    const int64_t many = product_of(rank, shape), am = sa[rank], ak = sa[rank + 1], bk = sb[rank], bn = sb[rank + 1];
    for (int64_t r = 0; r < m->rows; r++)
        for (int64_t i = 0; i < many; i++) {
            const float *x = a.at + r * a.step + offset_of(i, rank, shape, sa);
            const float *y = b.at + r * b.step + offset_of(i, rank, shape, sb);
            float *z = out.at + r * out.step + i * size[0] * size[1];
            memset(z, 0, (size_t)(size[0] * size[1]) * 4);
            for (int64_t p = 0; p < size[0]; p++)
                for (int64_t k = 0; k < size[2]; k++) {
                    const float one = x[p * am + k * ak];
                    const float *line = y + k * bk;
                    float *to = z + p * size[1];
                    if (bn == 1)
                        for (int64_t n = 0; n < size[1]; n++)
                            to[n] += one * line[n];
                    else
                        for (int64_t n = 0; n < size[1]; n++)
                            to[n] += one * line[n * bn];
                }
        }
}

/* x (height, width, groups * channels), weights (kernel, channels, outputs); what is outside counts as 0. */
static void do_conv(Machine *m)
{
    const Shape s = read_shape(m);
    const Operand out = read_operand(m), in = read_operand(m), weights = read_operand(m);
    const int64_t high = size_after(&s, 0), wide = size_after(&s, 1), each = s.outputs / s.groups, all = s.groups * s.channels;
    for (int64_t r = 0; r < m->rows; r++)
        for (int64_t p = 0; p < high * wide; p++) {
            float *to = out.at + r * out.step + p * s.outputs;
            memset(to, 0, (size_t)s.outputs * 4);
            for (int64_t i = 0; i < s.kernel[0]; i++) {
                const int64_t h = p / wide * s.stride[0] - s.pad[0] + i * s.dilation[0];
                if (h < 0 || h >= s.height)
                    continue;
                for (int64_t j = 0; j < s.kernel[1]; j++) {
                    const int64_t w = p % wide * s.stride[1] - s.pad[1] + j * s.dilation[1];
                    if (w < 0 || w >= s.width)
                        continue;
                    const float *x = in.at + r * in.step + (h * s.width + w) * all;
                    const float *tap = weights.at + (i * s.kernel[1] + j) * s.channels * s.outputs;
                    if (s.channels == 1 && each == 1) /* a channel by itself */
                        for (int64_t o = 0; o < s.outputs; o++)
                            to[o] += x[o] * tap[o];
                    else
                        for (int64_t g = 0; g < s.groups; g++)
                            for (int64_t c = 0; c < s.channels; c++) {
                                const float one = x[g * s.channels + c];
                                const float *line = tap + c * s.outputs + g * each;
                                float *there = to + g * each;
                                for (int64_t o = 0; o < each; o++)
                                    there[o] += one * line[o];
                            }
                }
            }
        }
}

static void do_pool(Machine *m)
{
    const int64_t kind = read_one(m), high = read_one(m), wide = read_one(m);
    const Shape s = read_shape(m);
    const Operand out = read_operand(m), in = read_operand(m);
    const int64_t all = s.outputs;
    for (int64_t r = 0; r < m->rows; r++)
        for (int64_t p = 0; p < high * wide; p++) {
            float *to = out.at + r * out.step + p * all;
            for (int64_t c = 0; c < all; c++)
                to[c] = kind == POOL_MOST ? -INFINITY : 0.0f;
            int64_t inside = 0;
            for (int64_t i = 0; i < s.kernel[0]; i++)
                for (int64_t j = 0; j < s.kernel[1]; j++) {
                    const int64_t h = p / wide * s.stride[0] - s.pad[0] + i * s.dilation[0];
                    const int64_t w = p % wide * s.stride[1] - s.pad[1] + j * s.dilation[1];
                    if (h < 0 || h >= s.height || w < 0 || w >= s.width)
                        continue;
                    const float *x = in.at + r * in.step + (h * s.width + w) * all;
                    inside++;
                    if (kind == POOL_MOST)
                        for (int64_t c = 0; c < all; c++)
                            to[c] = x[c] > to[c] ? x[c] : to[c];
                    else
                        for (int64_t c = 0; c < all; c++)
                            to[c] += x[c];
                }
            const float share = 1.0f / (float)(kind == POOL_MEAN ? s.kernel[0] * s.kernel[1] : inside);
            if (kind != POOL_MOST)
                for (int64_t c = 0; c < all; c++)
                    to[c] *= share;
        }
}

/* Rows of a table (many, width) by number; a number past either end stands for the nearest. */
static void do_gather(Machine *m)
{
    const int64_t count = read_one(m), width = read_one(m), many = read_one(m);
    const Operand out = read_operand(m), table = read_operand(m), index = read_operand(m);
    const int64_t stride = read_one(m);
    for (int64_t r = 0; r < m->rows; r++)
        for (int64_t i = 0; i < count; i++) {
            const float wanted = index.at[r * index.step + i * stride];
            int64_t row = wanted >= 0.0f ? (wanted < (float)many ? (int64_t)wanted : many - 1) : 0;
            memcpy(out.at + r * out.step + i * width, table.at + r * table.step + row * width, (size_t)width * 4);
        }
}

/* ---- signs ------------------------------------------------------------------------------------------------------------ */

static void do_pack(Machine *m)
{
    const int64_t places = read_one(m), groups = read_one(m), channels = read_one(m);
    const Operand out = read_operand(m), in = read_operand(m), threshold = read_operand(m);
    for (int64_t r = 0; r < m->rows; r++)
        pack_signs(in.at + r * in.step, threshold.at, places, groups, channels, (uint64_t *)(out.at + r * out.step));
}

static void do_signs(Machine *m)
{
    const Shape s = read_shape(m);
    const Operand out = read_operand(m), in = read_operand(m), panels = read_operand(m), scale = read_operand(m);
    const Operand bias = read_operand(m), least = read_operand(m), flip = read_operand(m), scratch = read_operand(m);
    const int64_t places = size_after(&s, 0) * size_after(&s, 1), into = s.height * s.width * s.groups * words_of(s.channels);
    Sink to = {0, 0, 0, 0, 0, 0, 0, 0, 0};
    to.scale = scale.at, to.bias = bias.at;
    if (least.at) { /* straight on to the next signs */
        to.bits = (uint64_t *)out.at, to.stride = words_of(s.outputs);
        to.least = (const int32_t *)least.at, to.flip = (const uint8_t *)flip.at;
    } else
        to.real = out.at, to.stride = s.outputs;
    /* Rows that lie close are done as one. */
    const int together = in.step == 2 * into && out.step == places * to.stride * (to.bits ? 2 : 1);
    for (int64_t r = 0; r < (together ? 1 : m->rows); r++) {
        const int64_t all = together ? m->rows * places : places;
        if (to.bits) {
            to.bits = (uint64_t *)(out.at + r * out.step);
            memset(to.bits, 0, (size_t)(all * to.stride) * 8);
        } else
            to.real = out.at + r * out.step;
        convolve_signs((const uint64_t *)(in.at + r * in.step), (const uint64_t *)panels.at, &s, 0, all, (uint64_t *)scratch.at, &to);
    }
}

/* ---- all of it -------------------------------------------------------------------------------------------------------- */

/* Do every step for `rows` rows at once. `memory` holds rows times what the program says, and its inputs already. */
static void do_steps(const int64_t *steps, const float *weights, float *memory, int64_t rows)
{
    Machine m = {steps, weights, memory, rows};
    for (;;)
        switch (read_one(&m)) {
        case MAP: do_map(&m); break;
        case REDUCE: do_reduce(&m); break;
        case MATMUL: do_matmul(&m); break;
        case CONV: do_conv(&m); break;
        case PACK: do_pack(&m); break;
        case SIGNS: do_signs(&m); break;
        case POOL: do_pool(&m); break;
        case GATHER: do_gather(&m); break;
        default: return;
        }
}

#endif
