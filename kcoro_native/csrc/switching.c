/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** From one coroutine to another: what is done around the switch itself. Contracts in coro.h.
**
** Rule 1: whoever arrives says what became of the one that was left: before, another thread could resume it while its
** registers are not yet on its stack.
** Rule 2: behind the switch nothing is known but what it passed: the thread may be another one.
*/

#include "coro.h"
#include "switch.h"

/* -- checks */

static bool is_checked(const kc_coro_t *co) {
    return KCORO_CTX_DIAGNOSTICS && co->stack != NULL && (!co->stack->has_guard || kci_checks_all());
}

#define USED_UP "more than its stack was used; create it with a larger stack_size"

static void check(const kc_coro_t *co) {
    const char *sp = co->sp;
    if (!is_checked(co))
        return;
    if (sp < co->stack->low || sp >= co->stack->top)
        kci_die(co, "its stack pointer is outside of its stack: " USED_UP);
    if (!kci_canary_holds(co->stack))
        kci_die(co, "the canary of its stack is gone: " USED_UP);
}

/* -- arriving */

/* An unpark may have come since its park began; then it is ready at once. */
static void become_parked(kc_coro_t *co) {
    kc_atomic_store(&co->state, KC_CORO_PARKED);
    if (kc_atomic_swap_if(&co->permit, KCI_NONE, KCI_PARKED))
        return;
    kc_atomic_swap_if(&co->permit, KCI_PERMIT, KCI_NONE); /* no store: this one sees what the last unpark had written */
    kc_atomic_store(&co->state, KC_CORO_READY);
}

static void arrive(kci_thread_t *thread, kc_coro_t *self) {
    kc_coro_t *left = thread->left;
    kci_fiber_arrive(&self->fiber, &left->fiber);
    if (thread->becomes == KC_CORO_RUNNING)
        return; /* it waits for `self` */
    check(left);
    if (thread->becomes == KC_CORO_PARKED)
        become_parked(left);
    else
        kc_atomic_store(&left->state, thread->becomes);
}

/* -- leaving */

void kci_go(kci_thread_t *thread, kc_coro_t *from, kc_coro_t *to, int becomes) {
    check(to);
    thread->left = from;
    thread->becomes = becomes;
    thread->current = to;
    kci_fiber_leave(&from->fiber, &to->fiber, becomes == KC_CORO_FINISHED);
    arrive(kci_switch(&from->sp, to->sp, thread), from);
}

void kci_begin(void *pass) {
    kci_thread_t *thread = pass;
    kc_coro_t *self = thread->current;
    arrive(thread, self);
    self->result = self->fn(self->arg);
    kci_go(kci_here(), self, self->resumer, KC_CORO_FINISHED);
}

void kci_fell(void) {
    kci_die(kci_here()->current, "it went on after its end: somebody switched to a coroutine that had finished");
}
