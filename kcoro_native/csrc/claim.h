/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The claim word and the queues of waiters, inline: the part of reference/waiter.py that channels run on.
**
** Nothing here checks its arguments. Public functions do, once, and then come here.
*/
#ifndef KCI_CLAIM_H
#define KCI_CLAIM_H

#include "kcoro/waiter.h"

/* C11 loads from words that are not const only; reading changes nothing. */
static inline int kci_claim(const kc_op_t *op) {
    return kc_atomic_load((kc_atomic_int *)&op->claim);
}

/* Move the claim word away from KC_WAITING; whoever gets true has decided the operation. */
static inline bool kci_take(kc_op_t *op, int to) {
    return kc_atomic_swap_if(&op->claim, KC_WAITING, to);
}

static inline bool kci_can_be_won(const kc_waiter_t *w) {
    return !w->dead && kci_claim(w->op) == KC_WAITING;
}

static inline bool kci_win(kc_waiter_t *w) {
    return !w->dead && kci_take(w->op, w->index);
}

static inline void kci_wake(kc_op_t *op) {
    if (op->parker != NULL)
        op->parker->unpark(op->parker, op);
}

static inline void kci_finish(kc_waiter_t *w, void *value) {
    w->op->value = value;
    kci_wake(w->op);
}

static inline void kci_push(kc_waitlist_t *list, kc_waiter_t *w) {
    w->list = list;
    w->is_try = false; /* kc_chan_ask says otherwise, later */
    w->prev = list->last;
    w->next = NULL;
    *(list->last != NULL ? &list->last->next : &list->first) = w;
    list->last = w;
    list->length++;
}

static inline void kci_unlink(kc_waiter_t *w) {
    kc_waitlist_t *list = w->list;
    *(w->prev != NULL ? &w->prev->next : &list->first) = w->next;
    *(w->next != NULL ? &w->next->prev : &list->last) = w->prev;
    w->list = NULL;
    w->prev = w->next = NULL;
    list->length--;
}

/* Claim the oldest waiter that can be won and take it out of its queue; NULL when there is none. */
static inline kc_waiter_t *kci_winner(kc_waitlist_t *list) {
    for (kc_waiter_t *w = list->first; w != NULL; w = w->next)
        if (kci_win(w)) {
            kci_unlink(w);
            return w;
        }
    return NULL;
}

#endif
