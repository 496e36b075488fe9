// What each instruction set gives.

#ifndef KERNELS_H
#define KERNELS_H

#include "bits.h"

struct Kernels {
    void (*pack)(const float *, const float *, int64_t, int64_t, int64_t, uint64_t *);
    void (*multiply)(const uint64_t *, const uint64_t *, int64_t, int64_t, int64_t, int32_t, const Sink *);
    void (*convolve)(const uint64_t *, const uint64_t *, const Shape *, int64_t, int64_t, uint64_t *, const Sink *);
    void (*steps)(const int64_t *, const float *, float *, int64_t);
    void (*burn)(const uint64_t *, const uint64_t *, int64_t, int64_t, int32_t *);
};

#endif
