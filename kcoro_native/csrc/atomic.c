/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Atomic words for compilers without C11 atomics: one mutex for all of them. Correct, and not meant to be fast. */

#include "kcoro/atomic.h"

#ifdef KC_ATOMICS_BY_MUTEX
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int kc_atomic_load(kc_atomic_int *a) {
    pthread_mutex_lock(&lock);
    int word = a->word;
    pthread_mutex_unlock(&lock);
    return word;
}

void kc_atomic_store(kc_atomic_int *a, int to) {
    pthread_mutex_lock(&lock);
    a->word = to;
    pthread_mutex_unlock(&lock);
}

bool kc_atomic_swap_if(kc_atomic_int *a, int from, int to) {
    pthread_mutex_lock(&lock);
    bool same = a->word == from;
    if (same)
        a->word = to;
    pthread_mutex_unlock(&lock);
    return same;
}
#else
/* ISO C forbids an empty file. */
extern const char kci_atomics_are_of_the_compiler;
const char kci_atomics_are_of_the_compiler = 1;
#endif
