/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What a thread keeps for its next coroutines. Contracts in near.h. */

#include "near.h"

size_t kci_near_room;

/* The stacks end at a multiple of 64, and so a coroutine begins at one. */
static kc_coro_t *place(kci_stack_t *stack) {
    return (kc_coro_t *)(void *)(stack->top - kci_near_room - KCI_CORO_BYTES);
}

kc_coro_t *kci_near_new(kci_thread_t *here, unsigned size) {
    kci_stack_t *stack = kci_stack_take(size);
    if (stack == NULL)
        return NULL;
    kc_coro_t *co = place(stack);
    co->stack = stack;
    co->size = (unsigned char)size;
    co->is_watched = here->watches_all || (KCORO_CTX_DIAGNOSTICS && !stack->has_guard);
    return co;
}

void kci_near_leave(kci_thread_t *here) {
    for (unsigned size = 0; size < KCI_STACK_SIZES; size++) {
        kci_near_t *near = &here->near[size];
        for (kc_coro_t *co; (co = near->first) != NULL; near->count--) {
            near->first = co->resumer;
            kci_stack_give(co->stack); /* with it goes what is in it */
        }
    }
}
