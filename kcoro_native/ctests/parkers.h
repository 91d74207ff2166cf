/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* A parker that counts, and one call of its own: what a loop would be for a coroutine. */
#ifndef PARKERS_H
#define PARKERS_H

#include "kcoro/waiter.h"

static int wakes;

static void count_wake(kc_parker_t *self, kc_op_t *op) {
    (void)self;
    (void)op;
    wakes++;
}

static kc_parker_t counting = {count_wake};

/* A plain call: an operation and its only waiter. */
struct call {
    kc_op_t op;
    kc_waiter_t w;
};

static inline kc_waiter_t *begin(struct call *call, bool sending, void *value) {
    kc_op_init(&call->op, &counting);
    kc_waiter_init(&call->w, &call->op, 0, sending, value);
    return &call->w;
}

#endif
