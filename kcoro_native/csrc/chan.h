/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The inside of a channel, for channel.c, channel_life.c, channel_books.c, lending.c, keeping.c, tries.c and
** half.c.
**
** Invariants, whenever no function is running; the numbers are those of reference/channel.py:
**
** 1. ring.length + kept + lent <= limit, but for elements that came back over a link.
** 2. A receiver that can be won waits only while the ring is empty and no sender can be won.
** 3. A sender that can be won waits only while the ring is full.
** 4. sent == handoffs + accepted, and received == sent - dropped - ring.length.
** 5. guarded == closed || borrower != NULL || keeper != NULL || kept != 0. Where it is set, 2 and 3 hold as far as
**    kcoro/lending.h lets them, and lending.c does the work.
*/
#ifndef KCI_CHAN_H
#define KCI_CHAN_H

#include "claim.h"
#include "kcoro/lending.h"
#include "ring.h"

enum { FAILED_WOULD_BLOCK, FAILED_DEADLINE, FAILED_CANCELLED, FAILED_CLOSED, FAILURES };

struct kc_chan {
    kci_ring_t ring;
    size_t limit; /* SIZE_MAX: no limit */
    kc_waitlist_t senders, receivers;
    bool suspends, guarded, closed, destroyed;
    bool given_up;  /* cancelled or destroyed: what comes is reported, with `why` */
    bool recalled;  /* the borrower's slots are asked for */
    bool has_tries; /* or may have */
    kc_kind_t kind;
    kc_overflow_t overflow;
    size_t capacity;
    size_t references;
    size_t open_senders, open_receivers; /* halves */
    kc_chan_hooks_t hooks;
    void *reason;
    kc_undelivered_t why;
    kc_borrower_t *borrower;
    kc_keeper_t *keeper;
    size_t lent, kept, travelling; /* what is kept travels, too */
    uint64_t asked, answered;      /* questions to the borrower, and its answers */
    uint64_t turns;                /* of tries, so far */
    kc_waitlist_t ending;          /* tries that are being told, out of their queues already */
    uint64_t accepted, dropped, handoffs;
    size_t peak;
    uint64_t failures[FAILURES];
};

/* Room for so many elements is taken when a channel is made; where more may come, memory comes with them. */
#define KCI_ROOM_AT_ONCE 1024

/* Whether its ring grows, so that a send may find no memory. */
static inline bool kci_chan_grows(const kc_chan_t *ch) {
    return ch->kind == KC_UNLIMITED || ch->capacity > KCI_ROOM_AT_ONCE;
}

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
static inline kc_waiter_t *kci_chan_claim(kc_chan_t *ch, kc_waitlist_t *list, bool won) {
    for (kc_waiter_t *w = list->first; w != NULL; w = w->next)
        if (kci_win(w)) {
            kci_chan_part(ch, w, won);
            return w;
        }
    return NULL;
}

static inline kc_waiter_t *kci_chan_winner(kc_chan_t *ch, kc_waitlist_t *list) {
    return kci_chan_claim(ch, list, true);
}

static inline void kci_chan_note_peak(kc_chan_t *ch) {
    if (ch->ring.length > ch->peak)
        ch->peak = ch->ring.length;
}

/* Put an element into the queue. 0 or -ENOMEM. */
int kci_chan_append(kc_chan_t *ch, void *element);

/* Drop an element as the policy says. It always returns 0, and nothing may touch the channel after it. */
int kci_chan_overflow(kc_chan_t *ch, void *element);

/* Whether what it would wait for is there: it would wait in vain, and break invariant 2 or 3. */
bool kci_chan_is_there(const kc_chan_t *ch, bool sending);

/* Fail all who wait in a queue. The caller holds a reference, as for all functions below. */
void kci_chan_shut(kc_chan_t *ch, kc_waitlist_t *waiters);

/* -- lending.c, keeping.c and tries.c */

/* kc_chan_send_now and kc_chan_recv_now where `guarded` is set. */
int kci_chan_send_guarded(kc_chan_t *ch, void *element);
int kci_chan_recv_guarded(kc_chan_t *ch, void **element);

/* Ask the borrower for its slots, once. */
void kci_chan_recall(kc_chan_t *ch);

/* kc_chan_ask of a caller who knows that what is there is kept for others; the try lies in no queue, or -EINVAL. */
int kci_chan_ask(kc_chan_t *ch, kc_try_t *t);

/* Expire the tries that nothing holds up any more. */
void kci_chan_end_tries(kc_chan_t *ch);

/* Have senders that waited move in, oldest first, as far as there is room, or fail where there is no memory for that;
** none while a recall is under way. */
void kci_chan_admit(kc_chan_t *ch);

/* A slot may be free: for the oldest sender, or else to be lent. */
void kci_chan_slot_freed(kc_chan_t *ch);

/* The same behind an element that was taken, with which a closed channel may be drained. */
void kci_chan_after_take(kc_chan_t *ch);

/* Closed and empty: tell the receivers, unless something is on its way that may still be received. */
void kci_chan_drained(kc_chan_t *ch);
void kci_chan_drained_if_empty(kc_chan_t *ch);

/* What a receive answers where nothing is queued: -EPIPE or -EAGAIN. */
int kci_chan_nothing_there(const kc_chan_t *ch);

/* Somebody has a share no more: set `guarded` anew. */
void kci_chan_watch(kc_chan_t *ch);

/* Whether nothing of this channel is on its way anywhere. */
static inline bool kci_chan_is_settled(const kc_chan_t *ch) {
    return ch->travelling == 0 && ch->borrower == NULL;
}

/* Whether there is room for one more. A KC_CONFLATED channel takes any element in: lent slots take no room away. */
static inline bool kci_chan_has_room(const kc_chan_t *ch) {
    return ch->ring.length + ch->kept + (ch->suspends ? ch->lent : 0) < ch->limit;
}

/* -- channel.c and channel_life.c */

static inline bool kci_is_a_reason(kc_undelivered_t why) {
    return why >= KC_UNDELIVERED_OVERFLOW && why <= KC_UNDELIVERED_IN_DOUBT;
}

/* Close it and report what is queued, all of it counted first. The caller holds a reference, so that hooks and parkers
** may release theirs. */
void kci_chan_end(kc_chan_t *ch, void *reason, kc_undelivered_t why);

/* Give an element that was counted as dropped to the hooks. */
void kci_chan_tell(kc_chan_t *ch, void *element, kc_undelivered_t why);

/* Count one reference less, and free the channel with the last: destroyed first, if it was not. */
void kci_chan_drop(kc_chan_t *ch);

#endif
