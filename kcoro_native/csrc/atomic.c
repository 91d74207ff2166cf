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

/* What a mutex guards is in one order anyway. */
int kc_atomic_load_sc(kc_atomic_int *a) {
    return kc_atomic_load(a);
}

void kc_atomic_store_sc(kc_atomic_int *a, int to) {
    kc_atomic_store(a, to);
}

bool kc_atomic_swap_if_sc(kc_atomic_int *a, int from, int to) {
    return kc_atomic_swap_if(a, from, to);
}

int kc_atomic_add_sc(kc_atomic_int *a, int by) {
    pthread_mutex_lock(&lock);
    int sum = a->word += by;
    pthread_mutex_unlock(&lock);
    return sum;
}

void *kc_atomic_load_ptr(kc_atomic_ptr *a) {
    pthread_mutex_lock(&lock);
    void *word = a->word;
    pthread_mutex_unlock(&lock);
    return word;
}

void *kc_atomic_load_ptr_sc(kc_atomic_ptr *a) {
    return kc_atomic_load_ptr(a);
}

void kc_atomic_store_ptr(kc_atomic_ptr *a, void *to) {
    kc_atomic_swap_ptr_sc(a, to);
}

void *kc_atomic_swap_ptr_sc(kc_atomic_ptr *a, void *to) {
    pthread_mutex_lock(&lock);
    void *was = a->word;
    a->word = to;
    pthread_mutex_unlock(&lock);
    return was;
}

uint64_t kc_atomic_count_load(kc_atomic_count *a) {
    pthread_mutex_lock(&lock);
    uint64_t word = a->word;
    pthread_mutex_unlock(&lock);
    return word;
}

void kc_atomic_count_add(kc_atomic_count *a, uint64_t by) {
    pthread_mutex_lock(&lock);
    a->word += by;
    pthread_mutex_unlock(&lock);
}
#else
/* ISO C forbids an empty file. */
extern const char kci_atomics_are_of_the_compiler;
const char kci_atomics_are_of_the_compiler = 1;
#endif
