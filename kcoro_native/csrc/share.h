/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The inside of a shared channel, for shared.c, shared_half.c and shared_select.c.
**
** `lock` guards the channel, the queues of its waiters, and all below. Whoever leaves it calls kci_share_leave: who was
** decided under it is woken, and what was dropped is shown to the hooks, once no lock is held. Behind it that of a
** tree of tokens may be taken, see tokens.h.
*/
#ifndef KCI_SHARE_H
#define KCI_SHARE_H

#include "kcoro/shared.h"
#include "work.h"

/* An element that reached nobody; there is at most one for each time that the lock was held. */
typedef struct kci_dropped {
    void *element;
    kc_undelivered_t why;
    bool is_there;
} kci_dropped_t;

struct kc_shared {
    pthread_mutex_t lock;
    kc_atomic_int references;
    kc_atomic_int open_senders, open_receivers; /* halves; without the lock */
    kc_chan_t *ch;
    kc_chan_hooks_t hooks; /* the caller's */
    kci_dropped_t dropped;
    bool is_given_up; /* what is queued is being reported, and nobody receives it */
};

/* Leave the lock, wake, and call hooks. */
void kci_share_leave(kc_shared_t *ch);

/* Show an element that was dropped to the caller's hooks. */
void kci_share_tell(const kc_shared_t *ch, const kci_dropped_t *dropped);

/* kc_chan_recv_now, under the lock. */
int kci_share_recv_now(kc_shared_t *ch, void **element);

/* A call is over: after many that did not have to wait a task yields. */
int kci_share_over(int rc);

#endif
