/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** A switch that is looked at: checks of stacks, and what sanitizers are told. Contracts in coro.h.
**
** Apart from the others, which then only ask whether there is anything to do.
*/

#include "coro.h"
#include "switch.h"

#define USED_UP "more than its stack was used; create it with a larger stack_size"

static inline bool is_checked(const kc_coro_t *co) {
    return KCORO_CTX_DIAGNOSTICS && co->stack != NULL && (!co->stack->has_guard || kci_checks_all());
}

static inline void check(const kc_coro_t *co) {
    const char *sp = co->sp;
    if (!is_checked(co))
        return;
    if (sp < co->stack->low || sp >= co->stack->top)
        kci_die(co, "its stack pointer is outside of its stack: " USED_UP);
    if (!kci_canary_holds(co->stack))
        kci_die(co, "the canary of its stack is gone: " USED_UP);
}

void kci_watch(kc_coro_t *co) {
    kci_fiber_begin(&co->fiber, co->stack->low, (size_t)((char *)co - co->stack->low));
    if (is_checked(co))
        kci_canary_write(co->stack);
}

/* Who waits is not looked at: it is somewhere in the middle of its stack, and will be when it goes on. */
static void arrive(void *arg) {
    kc_coro_t *left = arg;
    kci_then_t *then = left->then;
    kci_fiber_arrive(&left->fiber);
    if (then == NULL)
        return;
    check(left);
    then(left);
}

int kci_go_watched(kci_thread_t *here, kc_coro_t *from, kc_coro_t *to, kci_then_t *then, bool ends) {
    check(to);
    from->then = then;
    here->current = to;
    kci_fiber_leave(&from->fiber, &to->fiber, ends);
    return kci_switch(from, to, arrive);
}
