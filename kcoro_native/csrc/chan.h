/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The inside of a channel, for channel.c, channel_life.c, channel_books.c and half.c.
**
** Invariants, whenever no function is running; the numbers are those of reference/channel.py:
**
** 1. ring.length <= limit.
** 2. A receiver that can be won waits only while the ring is empty and no sender can be won.
** 3. A sender that can be won waits only while the ring is full.
** 4. sent == handoffs + accepted, and received == sent - dropped - ring.length.
*/
#ifndef KCI_CHAN_H
#define KCI_CHAN_H

#include "claim.h"
#include "kcoro/channel.h"
#include "ring.h"

enum { FAILED_WOULD_BLOCK, FAILED_DEADLINE, FAILED_CANCELLED, FAILED_CLOSED, FAILURES };

struct kc_chan {
    kci_ring_t ring;
    size_t limit; /* SIZE_MAX: no limit */
    kc_waitlist_t senders, receivers;
    bool suspends, closed, destroyed;
    kc_kind_t kind;
    kc_overflow_t overflow;
    size_t capacity;
    size_t references;
    size_t open_senders, open_receivers; /* halves */
    kc_chan_hooks_t hooks;
    void *reason;
    uint64_t accepted, dropped, handoffs;
    size_t peak;
    uint64_t failures[FAILURES];
};

/* Whether a call on this channel is misuse. */
static inline bool kci_unusable(const kc_chan_t *ch) {
    return ch == NULL || ch->destroyed;
}

/* Take a waiter out of its queue, and say so. */
static inline void kci_chan_part(kc_chan_t *ch, kc_waiter_t *w, bool won) {
    kci_unlink(w);
    if (ch->hooks.left != NULL)
        ch->hooks.left(ch->hooks.ctx, w, won);
}

/* Claim the oldest waiter of a queue that can be won and take it out; NULL when there is none. */
static inline kc_waiter_t *kci_chan_winner(kc_chan_t *ch, kc_waitlist_t *list) {
    for (kc_waiter_t *w = list->first; w != NULL; w = w->next)
        if (kci_win(w)) {
            kci_chan_part(ch, w, true);
            return w;
        }
    return NULL;
}

/* Close it and report what is queued, all of it counted first. The caller holds a reference, so that hooks and parkers
** may release theirs. */
void kci_chan_end(kc_chan_t *ch, void *reason, kc_undelivered_t why);

/* Give an element that was counted as dropped to the hooks. */
void kci_chan_tell(kc_chan_t *ch, void *element, kc_undelivered_t why);

/* Count one reference less, and free the channel with the last: destroyed first, if it was not. */
void kci_chan_drop(kc_chan_t *ch);

#endif
