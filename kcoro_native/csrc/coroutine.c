/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Coroutines: their life and their moves; contracts in kcoro/coroutine.h. */

#include "kcoro/coroutine.h"

#include <string.h>

#include "coro.h"
#include "switch.h"

/* -- its life */

#ifdef KCI_SWITCH_NONE
int kc_coro_create(kc_coro_t **out, kc_coro_fn fn, void *arg, const kc_coro_options_t *options) {
    (void)arg, (void)options;
    return out == NULL || fn == NULL ? -EINVAL : -ENOTSUP;
}
#else

static kc_coro_t *place(kci_stack_t *stack) {
    return (kc_coro_t *)(void *)(stack->top - (sizeof(kc_coro_t) + 63) / 64 * 64);
}

static void begin(kc_coro_t *co, kci_stack_t *stack) {
    kc_atomic_store(&co->state, KC_CORO_CREATED);
    kc_atomic_store(&co->permit, KCI_NONE);
    co->resumer = NULL;
    co->stack = stack;
    kci_fiber_begin(&co->fiber, stack->low, (size_t)((char *)co - stack->low));
    if (KCORO_CTX_DIAGNOSTICS && (!stack->has_guard || kci_checks_all()))
        kci_canary_write(stack);
    co->sp = kci_switch_prepare(co, kci_begin, kci_fell);
}

int kc_coro_create(kc_coro_t **out, kc_coro_fn fn, void *arg, const kc_coro_options_t *options) {
    size_t bytes = options != NULL && options->stack_size != 0 ? options->stack_size : KC_CORO_STACK;
    if (out == NULL || fn == NULL || bytes > KC_STACK_MOST)
        return -EINVAL;
    *out = NULL;
    kci_thread_t *here = kci_here();
    kci_stack_t *stack = kci_stack_take(&here->near, kci_stack_size(bytes));
    if (stack == NULL)
        return -ENOMEM;
    kc_coro_t *co = place(stack);
    begin(co, stack);
    co->fn = fn;
    co->arg = arg;
    if (here->next_id == here->last_id)
        kci_more_ids(here);
    co->id = ++here->next_id;
    kc_coro_rename(co, options != NULL ? options->name : NULL);
    *out = co;
    return 0;
}

#endif

int kc_coro_destroy(kc_coro_t *co) {
    if (co == NULL)
        return -EINVAL;
    int state = kc_atomic_load(&co->state);
    if (state == KC_CORO_RUNNING || !kc_atomic_swap_if(&co->state, state, KC_CORO_RUNNING))
        return -EINVAL;
    kci_stack_t *stack = co->stack;
    kci_fiber_end(&co->fiber);
    kci_stack_give(&kci_here()->near, stack);
    return 0;
}

/* -- from outside */

/* Take it, so that nobody else resumes it. */
static int claim(kc_coro_t *co) {
    if (co == NULL)
        return -EINVAL;
    int state = kc_atomic_load(&co->state);
    if (state == KC_CORO_PARKED)
        return -EAGAIN;
    if (state == KC_CORO_RUNNING || state == KC_CORO_FINISHED)
        return -EINVAL;
    return kc_atomic_swap_if(&co->state, state, KC_CORO_RUNNING) ? 0 : -EINVAL;
}

int kc_coro_resume(kc_coro_t *co) {
    int rc = claim(co);
    if (rc != 0)
        return rc;
    kci_thread_t *here = kci_here();
    co->resumer = here->current;
    kci_go(here, here->current, co, KC_CORO_RUNNING);
    return 0;
}

int kc_coro_unpark(kc_coro_t *co) {
    if (co == NULL)
        return -EINVAL;
    for (;;) {
        int permit = kc_atomic_load(&co->permit);
        /* Also where nothing changes: whoever takes the permit later sees what was written before this call. */
        if (!kc_atomic_swap_if(&co->permit, permit, permit == KCI_PARKED ? KCI_NONE : KCI_PERMIT))
            continue;
        if (permit != KCI_PARKED)
            return 0;
        kc_atomic_store(&co->state, KC_CORO_READY);
        return 1;
    }
}

/* -- from the body */

int kc_coro_yield(void) {
    kci_thread_t *here = kci_here();
    kc_coro_t *self = here->current;
    if (self == &here->main)
        return -EINVAL;
    kci_go(here, self, self->resumer, KC_CORO_SUSPENDED);
    return 0;
}

int kc_coro_yield_to(kc_coro_t *co) {
    kci_thread_t *here = kci_here();
    kc_coro_t *self = here->current;
    if (self == &here->main)
        return -EINVAL;
    int rc = claim(co);
    if (rc != 0)
        return rc;
    co->resumer = self->resumer;
    kci_go(here, self, co, KC_CORO_SUSPENDED);
    return 0;
}

int kc_coro_park(void) {
    kci_thread_t *here = kci_here();
    kc_coro_t *self = here->current;
    if (self == &here->main)
        return -EINVAL;
    if (!kc_atomic_swap_if(&self->permit, KCI_PERMIT, KCI_NONE))
        kci_go(here, self, self->resumer, KC_CORO_PARKED);
    return 0;
}

kc_coro_t *kc_coro_current(void) {
    kci_thread_t *here = kci_here();
    return here->current == &here->main ? NULL : here->current;
}
