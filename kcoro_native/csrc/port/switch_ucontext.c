/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The switcher for machines without one in assembly: ucontext, which POSIX.1-2008 has dropped. Contracts in switch.h.
**
** Taken with -DKC_USE_UCONTEXT. It keeps the signal mask as well, by system calls, so that a switch takes a hundred
** times as long; a coroutine that is resumed by another thread brings its mask along.
*/

#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "switch.h"

#ifdef KC_USE_UCONTEXT

/* Lies on the stack that it belongs to, so that the address of one is as good as a stack pointer. */
typedef struct box {
    ucontext_t context;
    kci_then_t *then; /* to be called by whoever goes on here, and ... */
    void *left;       /* ... its argument */
    void (*entry)(void *to);
    void *to;
} box_t;

static void arrive(const box_t *box) {
    if (box->then != NULL)
        box->then(box->left);
}

int kci_switch(void *from, void *to, kci_then_t *then) {
    box_t mine;
    box_t *other = *(void **)to;
    *(void **)from = &mine;
    other->then = then;
    other->left = from;
    other->to = to;
    swapcontext(&mine.context, &other->context);
    arrive(&mine);
    return 0;
}

int kci_switch_back(void *from, void *to) {
    return kci_switch(from, to, NULL);
}

int kci_switch_last(void *from, void *to, kci_then_t *then) {
    return kci_switch(from, to, then);
}

/* makecontext passes integers of the size of int; a pointer comes in two. */
static void begin(unsigned high, unsigned low) {
    box_t *box = (box_t *)(uintptr_t)((uint64_t)high << 32 | low);
    arrive(box);
    box->entry(box->to);
}

void *kci_switch_prepare(void *top, void (*entry)(void *to)) {
    enum { LEAST = 8192 }; /* makecontext wants to know a size, and uses the high end only */
    box_t *box = (box_t *)(((uintptr_t)top - sizeof(box_t)) & ~(uintptr_t)63);
    uint64_t where = (uintptr_t)box;
    getcontext(&box->context);
    box->entry = entry;
    box->context.uc_link = NULL;
    box->context.uc_stack.ss_sp = (char *)box - LEAST;
    box->context.uc_stack.ss_size = LEAST;
    makecontext(&box->context, (void (*)(void))begin, 2, (unsigned)(where >> 32), (unsigned)where);
    return box;
}

#endif
