/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Parks a hundred thousand coroutines, says what each costs, and has all of them go on to their end. */

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "kcoro/kcoro.h"

#define MANY 100000

static int parks(void *arg) {
    kc_coro_park();
    return *(int *)arg;
}

static long resident_kib(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

int main(void) {
    static kc_coro_t *all[MANY];
    static int numbers[MANY];
    kc_stack_counts_t counts;
    int wrong = 0, result;
    for (int i = 0; i < MANY; i++)
        numbers[i] = i;
    long before = resident_kib();
    for (int i = 0; i < MANY; i++)
        if (kc_coro_create(&all[i], parks, &numbers[i], NULL) != 0 || kc_coro_resume(all[i]) != 0)
            return 1;
    long after = resident_kib();
    kc_stacks_count(&counts);
    printf("%d parked: %ld bytes each, %zu of their stacks with a guard page\n", MANY, (after - before) * 1024 / MANY,
           counts.guarded);
    for (int i = 0; i < MANY; i++)
        wrong += kc_coro_unpark(all[i]) != 1 || kc_coro_resume(all[i]) != 0 || kc_coro_result(all[i], &result) != 0 ||
                 result != i || kc_coro_destroy(all[i]) != 0;
    kc_stacks_trim();
    kc_stacks_count(&counts);
    return wrong != 0 || counts.slabs != 0;
}
