/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The only place that knows how atomic words are made: C11's where they exist, a pthread mutex where they do not.
**
** Rule 1: no other file includes <stdatomic.h> or names a memory order.
** Rule 2: success of a compare-and-swap orders everything before it (acquire and release).
** Rule 3: what ends in _sc takes part in the one order of all such operations that every thread sees. There are no
** fences: the thread sanitizer knows none.
*/
#ifndef KCORO_ATOMIC_H
#define KCORO_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

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
/* The word as it is now, in the one order. */
int kc_atomic_load_sc(kc_atomic_int *a);
/* Set the word, in the one order. */
void kc_atomic_store_sc(kc_atomic_int *a, int to);
/* Set the word to `to` if it is `from`, in the one order; whether that happened. */
bool kc_atomic_swap_if_sc(kc_atomic_int *a, int from, int to);
/* Add to the word, in the one order; what it is now. */
int kc_atomic_add_sc(kc_atomic_int *a, int by);

/* One pointer that several threads may touch. */
typedef struct kc_atomic_ptr {
    void *volatile word;
} kc_atomic_ptr;

/* The pointer as it is now. */
void *kc_atomic_load_ptr(kc_atomic_ptr *a);
/* The pointer as it is now, in the one order. */
void *kc_atomic_load_ptr_sc(kc_atomic_ptr *a);
/* Set the pointer; what was written before is seen by whoever loads it. */
void kc_atomic_store_ptr(kc_atomic_ptr *a, void *to);
/* Set the pointer, in the one order; what it was. */
void *kc_atomic_swap_ptr_sc(kc_atomic_ptr *a, void *to);

/* A counter that one thread raises and others read; it orders nothing. */
typedef struct kc_atomic_count {
    volatile uint64_t word;
} kc_atomic_count;

/* The counter, as it was a moment ago. */
uint64_t kc_atomic_count_load(kc_atomic_count *a);
/* Raise it; by its one thread only. */
void kc_atomic_count_add(kc_atomic_count *a, uint64_t by);

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

/* The word as it is now, in the one order. */
static inline int kc_atomic_load_sc(kc_atomic_int *a) {
    return atomic_load_explicit(a, memory_order_seq_cst);
}

/* Set the word, in the one order. */
static inline void kc_atomic_store_sc(kc_atomic_int *a, int to) {
    atomic_store_explicit(a, to, memory_order_seq_cst);
}

/* Set the word to `to` if it is `from`, in the one order; whether that happened. */
static inline bool kc_atomic_swap_if_sc(kc_atomic_int *a, int from, int to) {
    return atomic_compare_exchange_strong_explicit(a, &from, to, memory_order_seq_cst, memory_order_seq_cst);
}

/* Add to the word, in the one order; what it is now. */
static inline int kc_atomic_add_sc(kc_atomic_int *a, int by) {
    return atomic_fetch_add_explicit(a, by, memory_order_seq_cst) + by;
}

/* One pointer that several threads may touch. */
typedef _Atomic(void *) kc_atomic_ptr;

/* The pointer as it is now. */
static inline void *kc_atomic_load_ptr(kc_atomic_ptr *a) {
    return atomic_load_explicit(a, memory_order_acquire);
}

/* The pointer as it is now, in the one order. */
static inline void *kc_atomic_load_ptr_sc(kc_atomic_ptr *a) {
    return atomic_load_explicit(a, memory_order_seq_cst);
}

/* Set the pointer; what was written before is seen by whoever loads it. */
static inline void kc_atomic_store_ptr(kc_atomic_ptr *a, void *to) {
    atomic_store_explicit(a, to, memory_order_release);
}

/* Set the pointer, in the one order; what it was. */
static inline void *kc_atomic_swap_ptr_sc(kc_atomic_ptr *a, void *to) {
    return atomic_exchange_explicit(a, to, memory_order_seq_cst);
}

/* A counter that one thread raises and others read; it orders nothing. */
typedef _Atomic(uint64_t) kc_atomic_count;

/* The counter, as it was a moment ago. */
static inline uint64_t kc_atomic_count_load(kc_atomic_count *a) {
    return atomic_load_explicit(a, memory_order_relaxed);
}

/* Raise it; by its one thread only, so that no locked instruction is needed. */
static inline void kc_atomic_count_add(kc_atomic_count *a, uint64_t by) {
    atomic_store_explicit(a, atomic_load_explicit(a, memory_order_relaxed) + by, memory_order_relaxed);
}

#endif
#endif
