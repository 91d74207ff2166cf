/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The only place that knows how atomic words are made: C11's where they exist, a pthread mutex where they do not.
**
** Rule 1: no other file includes <stdatomic.h> or names a memory order.
** Rule 2: the words are int; success of a compare-and-swap orders everything before it (acquire and release).
*/
#ifndef KCORO_ATOMIC_H
#define KCORO_ATOMIC_H

#include <stdbool.h>

#if defined(__STDC_NO_ATOMICS__) || defined(KC_NO_C11_ATOMICS)
/* Set where a mutex stands in; the library and its users have to agree. */
#define KC_ATOMICS_BY_MUTEX 1

/* One word that several threads may touch; read and written by the functions below only. */
typedef struct kc_atomic_int {
    volatile int word;
} kc_atomic_int;

/* The word as it is now. */
int kc_atomic_load(kc_atomic_int *a);
/* Set the word; what was written before is seen by whoever loads it. */
void kc_atomic_store(kc_atomic_int *a, int to);
/* Set the word to `to` if it is `from`; whether that happened. */
bool kc_atomic_swap_if(kc_atomic_int *a, int from, int to);

#else
#include <stdatomic.h>

/* One word that several threads may touch; read and written by the functions below only. */
typedef atomic_int kc_atomic_int;

/* The word as it is now. */
static inline int kc_atomic_load(kc_atomic_int *a) {
    return atomic_load_explicit(a, memory_order_acquire);
}

/* Set the word; what was written before is seen by whoever loads it. */
static inline void kc_atomic_store(kc_atomic_int *a, int to) {
    atomic_store_explicit(a, to, memory_order_release);
}

/* Set the word to `to` if it is `from`; whether that happened. */
static inline bool kc_atomic_swap_if(kc_atomic_int *a, int from, int to) {
    return atomic_compare_exchange_strong_explicit(a, &from, to, memory_order_acq_rel, memory_order_acquire);
}

#endif
#endif
