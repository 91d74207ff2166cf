/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Which way to keep MXCSR is the faster one on this machine. Contracts in switch.h.
**
** Loading it without a look is, where a load is cheap. On some processors a load takes a hundred nanoseconds when the
** sticky flags are others than before, as long as twenty switches; reading back what the switch has stored takes one or
** two everywhere. No list says which are which, so a process tries it once.
*/

#include <time.h>

#include "switch.h"

#ifdef KCI_SWITCH_X86_64

#define LOADS 32 /* of each word */
#define TRIES 5
#define INEXACT 0x20 /* a sticky flag */
#define USUAL 0x1f80

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* The shortest of some tries: in the others something else had the processor. */
static int64_t nanoseconds(uint32_t one, uint32_t other) {
    const uint32_t words[2] = {one, other};
    int64_t least = INT64_MAX;
    for (int i = 0; i < TRIES; i++) {
        int64_t began = now();
        kci_switch_load(words, LOADS);
        int64_t took = now() - began;
        least = took < least ? took : least;
    }
    return least;
}

void kci_switch_tune(void) {
    int64_t same = nanoseconds(USUAL, USUAL), different = nanoseconds(USUAL, USUAL | INEXACT);
    kci_switch_use(different > 3 * same);
}

int kci_switch_ways(void) {
    return 2;
}

void kci_switch_use(int way) {
    kci_switch_compares = way;
}

#else

void kci_switch_tune(void) {}

int kci_switch_ways(void) {
    return 1;
}

void kci_switch_use(int way) {
    (void)way;
}

#endif
