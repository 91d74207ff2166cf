/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What a sanitizer or Valgrind gets right only where it is told of stacks and switches: one story, by its name. */

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "kcoro/kcoro.h"

/* What libkcoro says to the tools goes here instead, if the linker is asked to: then they are told nothing. */
#define UNTOLD(result, name, ...)                                                                                      \
    result __wrap_##name(__VA_ARGS__);                                                                                 \
    result __wrap_##name(__VA_ARGS__)
UNTOLD(void, __sanitizer_start_switch_fiber, void **save, const void *low, size_t size) {
    (void)save, (void)low, (void)size;
}
UNTOLD(void, __sanitizer_finish_switch_fiber, void *save, const void **low, size_t *size) {
    (void)save, (void)low, (void)size;
}
UNTOLD(void, __asan_unpoison_memory_region, const volatile void *at, size_t size) {
    (void)at, (void)size;
}
UNTOLD(void, __lsan_register_root_region, const void *at, size_t size) {
    (void)at, (void)size;
}
UNTOLD(void, __tsan_switch_to_fiber, void *fiber, unsigned flags) {
    (void)fiber, (void)flags;
}
UNTOLD(unsigned, kci_valgrind_begin, void *low, void *high) {
    (void)low, (void)high;
    return 0;
}
UNTOLD(void, kci_valgrind_end, unsigned stack) {
    (void)stack;
}

/* Functions that a compiler does not look into. */
static void puts_at(volatile int *numbers, int at) {
    numbers[at] = at;
}
static void (*volatile put)(volatile int *numbers, int at) = puts_at;
static void *(*volatile fill)(void *at, int byte, size_t size) = memset;

static kc_coro_t *begun(kc_coro_fn fn, void *arg) {
    kc_coro_t *co;
    if (kc_coro_create(&co, fn, arg, NULL) != 0 || kc_coro_resume(co) != 0)
        exit(2);
    return co;
}

static void ends(kc_coro_t *co) {
    while (kc_coro_state(co) != KC_CORO_FINISHED)
        kc_coro_resume(co);
    kc_coro_destroy(co);
}

/* One writes behind its numbers after some switches. */
static int overflow(void *count) {
    volatile int numbers[10];
    for (int i = 0; i < *(int *)count; i++) {
        put(numbers, i);
        kc_coro_yield();
    }
    return numbers[0];
}

static void overflows(void) {
    int count = 11;
    ends(begun(overflow, &count));
}

/* One leaves functions without a return, as an exception does. */
static int jump(void *arg) {
    jmp_buf back;
    volatile int numbers[10];
    (void)arg;
    kc_coro_yield();
    put(numbers, 0);
    if (setjmp(back) == 0)
        longjmp(back, 1);
    return numbers[0];
}

static void jumps(void) {
    ends(begun(jump, NULL));
}

/* One keeps memory that nobody else knows while the process ends. */
static int keep(void *arg) {
    void *volatile kept = malloc(64);
    (void)arg;
    kc_coro_yield();
    free(kept);
    return 0;
}

static void keeps(void) {
    begun(keep, NULL);
}

/* One is destroyed in the middle; its stack has no red zones for the next one, a function that knows of none. */
static int wait(void *arg) {
    volatile int numbers[100];
    (void)arg;
    put(numbers, 1);
    kc_coro_yield();
    return numbers[1];
}

__attribute__((no_sanitize("address"))) static int use(void *arg) {
    char bytes[4096];
    (void)arg;
    fill(bytes, 1, sizeof bytes);
    return bytes[0];
}

static void destroys(void) {
    kc_coro_t *first = begun(wait, NULL), *next;
    kc_coro_destroy(first);
    next = begun(use, NULL);
    if (next != first)
        exit(2);
    ends(next);
}

/* One writes what a thread has written, with nothing between them. */
static int shared, has_written;

__attribute__((noinline)) static void count(void) {
    shared++;
}

static int counts(void *arg) {
    (void)arg;
    kc_coro_yield();
    count();
    return 0;
}

static void *counts_too(void *arg) {
    shared++;
    __atomic_store_n(&has_written, 1, __ATOMIC_RELAXED);
    return arg;
}

static void races(void) {
    pthread_t thread;
    kc_coro_t *co = begun(counts, NULL);
    pthread_create(&thread, NULL, counts_too, NULL);
    while (__atomic_load_n(&has_written, __ATOMIC_RELAXED) == 0)
        sched_yield();
    ends(co);
    pthread_join(thread, NULL);
}

/* Some go to each other, on stacks side by side. */
static kc_coro_t *ring[3];

static int go_on(void *next) {
    volatile int numbers[500];
    for (int i = 0; i < 500; i++)
        put(numbers, i);
    for (int i = 0; i < 10; i++) {
        kc_coro_yield_to(*(kc_coro_t **)next);
        for (int j = 0; j < 500; j++)
            if (numbers[j] != j)
                exit(2);
    }
    return 0;
}

static void neighbours(void) {
    for (int i = 0; i < 3; i++)
        kc_coro_create(&ring[i], go_on, &ring[(i + 1) % 3], NULL);
    for (int i = 0; i < 3; i++)
        ends(ring[i]);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*tell)(void);
    } stories[] = {{"overflows", overflows}, {"jumps", jumps}, {"keeps", keeps},
                   {"destroys", destroys},   {"races", races}, {"neighbours", neighbours}};
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++)
        if (argc == 2 && strcmp(argv[1], stories[i].name) == 0) {
            stories[i].tell();
            return 0;
        }
    return 2;
}
