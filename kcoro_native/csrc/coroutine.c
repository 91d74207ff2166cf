/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Coroutines: their life and their moves; contracts in kcoro/coroutine.h.
**
** Rule 1: what becomes of the one that was left is said behind the switch, by a function that the switch calls there:
** before, another thread could resume it while its registers are not yet on its stack.
** Rule 2: behind the switch nothing is known but what it passed: the thread may be another one.
** Rule 3: a move ends in the switch, and nothing of it is left to return through: a return to another place than its
** call is mispredicted, which costs more than the switch.
**
** Kept out of optimisation at link time, as here.c: its functions look at the thread once, before they switch, and a
** compiler that made them part of a body would keep the address for the next time.
*/

#include "kcoro/coroutine.h"

#include <string.h>

#include "near.h"
#include "switch.h"

/* -- behind a switch */

static void suspend(void *left) {
    kc_coro_t *co = left;
    kc_atomic_store(&co->state, KC_CORO_SUSPENDED);
}

static void finish(void *left) {
    kc_coro_t *co = left;
    kc_atomic_store(&co->state, KC_CORO_FINISHED);
}

/* An unpark may have come since its park began; then it is ready at once. */
static void park(void *left) {
    kc_coro_t *co = left;
    kc_atomic_store(&co->state, KC_CORO_PARKED);
    if (kc_atomic_swap_if(&co->permit, KCI_NONE, KCI_PARKED))
        return;
    kc_atomic_swap_if(&co->permit, KCI_PERMIT, KCI_NONE); /* no store: this one sees what the last unpark had written */
    kc_atomic_store(&co->state, KC_CORO_READY);
}

/* -- a switch */

/*
** Leave `from`, the current one, for `to`, which is RUNNING already; `then` says there what becomes of `from`, and NULL
** that it waits.
**
** Returns 0 when somebody comes back to `from`.
*/
static inline int go(kci_thread_t *here, kc_coro_t *from, kc_coro_t *to, kci_then_t *then) {
    if (from->is_watched || to->is_watched)
        return kci_go_watched(here, from, to, then, false);
    here->current = to;
    return kci_switch(from, to, then);
}

/* The same for ever. Returns if somebody comes back all the same. */
static inline void end(kci_thread_t *here, kc_coro_t *from, kc_coro_t *to) {
    if (from->is_watched || to->is_watched) {
        kci_go_watched(here, from, to, finish, true);
        return;
    }
    here->current = to;
    kci_switch_last(from, to, finish);
}

void kci_begin(void *co) {
    kc_coro_t *self = co;
    self->result = self->fn(self->arg);
    end(kci_here(), self, self->resumer);
    kci_die(kci_here()->current, "it went on after its end: somebody switched to a coroutine that had finished");
}

/* -- its life */

#ifdef KCI_SWITCH_NONE
/* Never called: there is nothing to switch to. */
int kci_switch(void *from, void *to, kci_then_t *then) {
    (void)from, (void)to, (void)then;
    return 0;
}

int kci_switch_back(void *from, void *to) {
    return kci_switch(from, to, NULL);
}

int kci_switch_last(void *from, void *to, kci_then_t *then) {
    return kci_switch(from, to, then);
}

int kc_coro_create(kc_coro_t **out, kc_coro_fn fn, void *arg, const kc_coro_options_t *options) {
    (void)arg, (void)options;
    return out == NULL || fn == NULL ? -EINVAL : -ENOTSUP;
}
#else

static inline uint64_t number(kci_thread_t *here) {
    if (here->next_id == here->last_id)
        kci_more_ids(here);
    return ++here->next_id;
}

/* The index of the default, without a search. */
#define USUAL 2
_Static_assert((size_t)KC_STACK_LEAST << USUAL == KC_CORO_STACK, "another default has another index");

int kc_coro_create(kc_coro_t **out, kc_coro_fn fn, void *arg, const kc_coro_options_t *options) {
    unsigned size = options != NULL && options->stack_size != 0 ? kci_stack_size(options->stack_size) : USUAL;
    if (out == NULL || fn == NULL || size == KCI_STACK_SIZES)
        return -EINVAL;
    *out = NULL;
    kci_thread_t *here = kci_here_now();
    kc_coro_t *co = kci_near_take(here, size);
    if (co == NULL)
        return -ENOMEM;
    co->fn = fn;
    co->arg = arg;
    co->id = number(here);
    co->name[0] = '\0';
    if (options != NULL)
        kc_coro_rename(co, options->name);
    if (co->is_watched)
        kci_watch(co);
    kc_atomic_store(&co->state, KC_CORO_CREATED);
    kc_atomic_store(&co->permit, KCI_NONE);
    co->sp = kci_switch_prepare(co, kci_begin);
    *out = co;
    return 0;
}

#endif

/* Looking is enough: where another thread may resume it meanwhile, it may as well do so after this call. */
int kc_coro_destroy(kc_coro_t *co) {
    if (co == NULL || kc_atomic_load(&co->state) == KC_CORO_RUNNING)
        return -EINVAL;
    kc_atomic_store(&co->state, KC_CORO_RUNNING); /* so that most who touch it all the same are refused */
    kci_fiber_end(&co->fiber);
    kci_near_give(kci_here_now(), co);
    return 0;
}

/* -- from outside */

#define MAY_RUN (1U << KC_CORO_CREATED | 1U << KC_CORO_READY | 1U << KC_CORO_SUSPENDED)

/* Take it, so that nobody else resumes it. */
static inline int claim(kc_coro_t *co) {
    if (co == NULL)
        return -EINVAL;
    int state = kc_atomic_load(&co->state);
    if ((MAY_RUN >> state & 1) == 0)
        return state == KC_CORO_PARKED ? -EAGAIN : -EINVAL;
    return kc_atomic_swap_if(&co->state, state, KC_CORO_RUNNING) ? 0 : -EINVAL;
}

int kc_coro_resume(kc_coro_t *co) {
    int rc = claim(co);
    if (rc != 0)
        return rc;
    kci_thread_t *here = kci_here_now();
    co->resumer = here->current;
    return go(here, here->current, co, NULL);
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
    kci_thread_t *here = kci_here_now();
    kc_coro_t *self = here->current;
    if (self == &here->main)
        return -EINVAL;
    return go(here, self, self->resumer, suspend);
}

int kc_coro_yield_to(kc_coro_t *co) {
    kci_thread_t *here = kci_here_now();
    kc_coro_t *self = here->current;
    if (self == &here->main)
        return -EINVAL;
    int rc = claim(co);
    if (rc != 0)
        return rc;
    co->resumer = self->resumer;
    return go(here, self, co, suspend);
}

int kc_coro_park(void) {
    kci_thread_t *here = kci_here_now();
    kc_coro_t *self = here->current;
    if (self == &here->main)
        return -EINVAL;
    if (kc_atomic_load(&self->permit) == KCI_PERMIT && kc_atomic_swap_if(&self->permit, KCI_PERMIT, KCI_NONE))
        return 0;
    return go(here, self, self->resumer, park);
}

kc_coro_t *kc_coro_current(void) {
    kci_thread_t *here = kci_here_now();
    return here->current == &here->main ? NULL : here->current;
}
