/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Our side of bench/coroutines.py: `coroutines WHAT COUNT` prints the nanoseconds of processor time that one took. */

#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "coro.h"
#include "kcoro/kcoro.h"

static long count;

static double processor_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* -- the switch alone */

static int divides; /* the sticky flags of floating point differ then, once this side has divided */

static void divide(void) {
    volatile double three = 3, third;
    if (divides)
        third = 1 / three, (void)third;
}

static void *thread_sp, *other_sp;

static void comes_back(void *pass) {
    (void)pass;
    for (;;)
        kci_switch(&other_sp, &thread_sp, NULL);
}

static void bare(void) {
    static _Alignas(64) char stack[65536];
    feclearexcept(FE_ALL_EXCEPT);
    other_sp = kci_switch_prepare(stack + sizeof stack, comes_back);
    kci_switch(&thread_sp, &other_sp, NULL);
    divide();
    for (long i = 0; i < count; i++)
        kci_switch(&thread_sp, &other_sp, NULL);
}

static void flags(void) {
    divides = 1;
    bare();
}

/* -- the calls of a program */

static int yields(void *arg) {
    (void)arg;
    for (;;)
        kc_coro_yield();
    return 0;
}

static void resume(void) {
    kc_coro_t *co;
    kc_coro_create(&co, yields, NULL, NULL);
    for (long i = 0; i < count; i++)
        kc_coro_resume(co);
}

/* -- from one coroutine to another */

static kc_coro_t *pair[2];
static long left;

static int hands_over(void *other) {
    while (left-- > 0)
        kc_coro_yield_to(pair[(size_t)other]);
    return 0;
}

static int yields_at_last(void *other) {
    (void)other;
    while (left-- > 0)
        kc_coro_yield();
    return 0;
}

static void two(kc_coro_fn fn) {
    left = count;
    for (size_t i = 0; i < 2; i++)
        kc_coro_create(&pair[i], fn, (void *)(1 - i), NULL);
    for (size_t i = 0; left > 0; i++)
        kc_coro_resume(pair[i % 2]);
    for (size_t i = 0; i < 2; i++)
        kc_coro_destroy(pair[i]);
}

/* One switches to the other itself. */
static void transfer(void) {
    two(hands_over);
}

/* It goes back to whoever resumed it, who resumes the other one. */
static void resumed(void) {
    two(yields_at_last);
}

static int returns(void *arg) {
    ++*(long *)arg;
    return 0;
}

static void create(void) {
    long ran = 0;
    for (long i = 0; i < count; i++) {
        kc_coro_t *co;
        kc_coro_create(&co, returns, &ran, NULL);
        kc_coro_resume(co);
        kc_coro_destroy(co);
    }
    if (ran != count)
        exit(1);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*work)(void);
    } all[] = {{"bare", bare},         {"flags", flags},     {"resume", resume}, {"claimed", resume},
               {"transfer", transfer}, {"resumed", resumed}, {"create", create}};
    if (argc != 3)
        return 2;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(argv[1], all[i].name) == 0) {
            kci_here(); /* as each call of the library has done */
            count = 1000;
            all[i].work();
            count = atol(argv[2]);
            double began = processor_ns();
            all[i].work();
            printf("%.3f\n", (processor_ns() - began) / (double)count);
            return 0;
        }
    return 2;
}
