/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Coroutines: their life and their moves; contracts in kcoro/coroutine.h.
**
** Rule 1: whoever arrives says what became of the one that was left: before, another thread could resume it while its
** registers are not yet on its stack.
** Rule 2: behind the switch nothing is known but what it passed: the thread may be another one.
*/

#include "kcoro/coroutine.h"

#include <string.h>

#include "coro.h"
#include "switch.h"

/* -- around a switch */

static inline bool is_checked(const kc_coro_t *co) {
    return KCORO_CTX_DIAGNOSTICS && co->stack != NULL && (!co->stack->has_guard || kci_checks_all());
}

#define USED_UP "more than its stack was used; create it with a larger stack_size"

static inline void check(const kc_coro_t *co) {
    const char *sp = co->sp;
    if (!is_checked(co))
        return;
    if (sp < co->stack->low || sp >= co->stack->top)
        kci_die(co, "its stack pointer is outside of its stack: " USED_UP);
    if (!kci_canary_holds(co->stack))
        kci_die(co, "the canary of its stack is gone: " USED_UP);
}

/* An unpark may have come since its park began; then it is ready at once. */
static void become_parked(kc_coro_t *co) {
    kc_atomic_store(&co->state, KC_CORO_PARKED);
    if (kc_atomic_swap_if(&co->permit, KCI_NONE, KCI_PARKED))
        return;
    kc_atomic_swap_if(&co->permit, KCI_PERMIT, KCI_NONE); /* no store: this one sees what the last unpark had written */
    kc_atomic_store(&co->state, KC_CORO_READY);
}

static inline void arrive(kci_thread_t *thread, kc_coro_t *self) {
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

/*
** Leave `from`, the current one, which will be in state `becomes` then, for `to`, which is RUNNING already.
**
** Returns when somebody comes back to `from`. Inline, because a return behind a switch is mispredicted.
*/
static inline void go(kci_thread_t *thread, kc_coro_t *from, kc_coro_t *to, int becomes) {
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
    go(kci_here(), self, self->resumer, KC_CORO_FINISHED);
}

void kci_fell(void) {
    kci_die(kci_here()->current, "it went on after its end: somebody switched to a coroutine that had finished");
}

/* -- its life */

#ifdef KCI_SWITCH_NONE
/* Never called: there is nothing to switch to. */
void *kci_switch(void **save, void *to, void *pass) {
    *save = to;
    return pass;
}

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
    go(here, here->current, co, KC_CORO_RUNNING);
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
    go(here, self, self->resumer, KC_CORO_SUSPENDED);
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
    go(here, self, co, KC_CORO_SUSPENDED);
    return 0;
}

int kc_coro_park(void) {
    kci_thread_t *here = kci_here();
    kc_coro_t *self = here->current;
    if (self == &here->main)
        return -EINVAL;
    if (!kc_atomic_swap_if(&self->permit, KCI_PERMIT, KCI_NONE))
        go(here, self, self->resumer, KC_CORO_PARKED);
    return 0;
}

kc_coro_t *kc_coro_current(void) {
    kci_thread_t *here = kci_here();
    return here->current == &here->main ? NULL : here->current;
}
