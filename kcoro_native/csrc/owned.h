/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Moves of coroutines that somebody else keeps in order: each belongs to one thread, and whoever moves them knows who
** may go on. So nothing is asked here, and nothing is claimed, which takes longer than the switch.
**
** Rule 1: such a coroutine is RUNNING from kci_own until its function has returned, also while it waits: so the calls
** of kcoro/coroutine.h refuse it, whoever has got hold of it.
** Rule 2: these moves end in a return. Where all of them come from one place of a program's code, that return, and
** those of the callers, go where the processor expects them; see kci_switch_back.
*/
#ifndef KCI_OWNED_H
#define KCI_OWNED_H

#include "coro.h"

/* Take a new coroutine, before it is gone to for the first time. */
static inline void kci_own(kc_coro_t *co) {
    kc_atomic_store(&co->state, KC_CORO_RUNNING);
}

/* Behind a watched switch: what was left stays what it is. */
static inline void kci_owned_stays(void *left) {
    (void)left;
}

/* Leave whoever runs in this thread for `to`. Returns when somebody comes back. */
static inline void kci_owned_go(kci_thread_t *here, kc_coro_t *to) {
    kc_coro_t *from = here->current;
    if (from->is_watched || to->is_watched) {
        kci_go_watched(here, from, to, kci_owned_stays, false);
        return;
    }
    here->current = to;
    kci_switch_back(from, to);
}

#endif
