/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** What a thread keeps for its next coroutines: free ones, with their stacks.
**
** Rule: what never changes of a coroutine while it has its stack is written once, when it gets it: the stack, its size,
** and whether it is watched. So making and freeing one touches nothing but itself.
*/
#ifndef KCI_NEAR_H
#define KCI_NEAR_H

#include "coro.h"

#define KCI_CORO_BYTES ((sizeof(kc_coro_t) + 63) / 64 * 64) /* that it takes of its stack */

/*
** Bytes of each stack above its coroutine, for whoever has them created: a multiple of 64, and much less than a stack.
** It is set before the first is created, if at all; 0 else. So what begins there and grows upwards has its first page
** together with the coroutine and its first calls.
*/
extern size_t kci_near_room;

static inline void *kci_near_room_of(kc_coro_t *co) {
    return (char *)co + KCI_CORO_BYTES;
}

/* A coroutine on a new stack of that size; NULL without memory. */
kc_coro_t *kci_near_new(kci_thread_t *here, unsigned size);

/* A free one with a stack of that size; NULL without memory. */
static inline kc_coro_t *kci_near_take(kci_thread_t *here, unsigned size) {
    kci_near_t *near = &here->near[size];
    kc_coro_t *co = near->first;
    if (co == NULL)
        return kci_near_new(here, size);
    near->first = co->resumer;
    near->count--;
    return co;
}

/* Keep it, or give its stack back. */
static inline void kci_near_give(kci_thread_t *here, kc_coro_t *co) {
    kci_near_t *near = &here->near[co->size];
    if (near->count >= kci_stacks_near) {
        kci_stack_give(co->stack);
        return;
    }
    co->resumer = near->first;
    near->first = co;
    near->count++;
}

/* The thread ends, or nothing is to be kept: give all back. */
void kci_near_leave(kci_thread_t *here);

#endif
