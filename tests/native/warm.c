/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Creates, runs and destroys with the cache of stacks and without; says how many times the processor time is. */

#include <stdio.h>
#include <time.h>

#include "kcoro/kcoro.h"

static int returns(void *arg) {
    (void)arg;
    return 0;
}

static double seconds_of(int rounds) {
    clock_t began = clock();
    for (int i = 0; i < rounds; i++) {
        kc_coro_t *co;
        if (kc_coro_create(&co, returns, NULL, NULL) != 0 || kc_coro_resume(co) != 0 || kc_coro_destroy(co) != 0)
            return 0;
    }
    return (double)(clock() - began) / CLOCKS_PER_SEC;
}

int main(void) {
    const kc_stack_rules_t off = {8192, 0, 0};
    enum { WARM = 1000000, COLD = 5000 };
    double warm = seconds_of(WARM) / WARM;
    kc_stacks_use(&off);
    kc_stacks_trim();
    double cold = seconds_of(COLD) / COLD;
    printf("%.0f times as fast warm\n", cold / warm);
    return 0;
}
