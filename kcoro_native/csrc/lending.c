/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* A channel while a link has a share in it, or after it was closed; rules and contracts in kcoro/lending.h. Everything
** here is off the path of a channel that no link has a share in: one flag, `guarded`, leads here. What is kept ahead is
** in keeping.c, tries are in tries.c.
**
** Callbacks and parkers may end a share, release or destroy the channel: each function that goes on after one holds a
** reference, and looks again. */

#include "kcoro/lending.h"

#include "chan.h"
#include "claim.h"

/* -- the two directions, guarded */

static int append(kc_chan_t *ch, void *element) {
    int rc = kci_chan_append(ch, element);
    if (rc == 0 && ch->keeper != NULL)
        ch->keeper->arrived(ch->keeper);
    return rc;
}

/* Take an element in from whoever may send now; what is on its way to others is left alone. */
static int accept(kc_chan_t *ch, void *element) {
    kc_waiter_t *w = ch->keeper == NULL ? kci_chan_winner(ch, &ch->receivers) : NULL;
    if (w != NULL) {
        ch->handoffs++;
        kci_finish(w, element);
        return 0;
    }
    if (kci_chan_has_room(ch))
        return append(ch, element);
    return ch->suspends ? -EAGAIN : kci_chan_overflow(ch, element);
}

void kci_chan_recall(kc_chan_t *ch) {
    if (ch->recalled)
        return;
    ch->recalled = true;
    ch->borrower->recall(ch->borrower);
}

int kci_chan_send_guarded(kc_chan_t *ch, void *element) {
    if (ch->closed)
        return -EPIPE;
    if (ch->borrower == NULL)
        return accept(ch, element);
    kci_chan_recall(ch);
    return -EAGAIN;
}

/* The oldest sender that can be won. Memory comes first: from the win on the element is the channel's. */
static bool admit_one(kc_chan_t *ch) {
    if (ch->senders.length == 0)
        return false;
    bool fits = !kci_chan_has_room(ch) || kci_ring_reserve(&ch->ring, 1) == 0;
    kc_waiter_t *w = kci_chan_claim(ch, &ch->senders, fits);
    if (w == NULL)
        return false;
    if (!fits) {
        kc_waiter_fail(w, -ENOMEM);
        return true;
    }
    accept(ch, w->value);
    kci_finish(w, NULL);
    return true;
}

static bool may_admit(const kc_chan_t *ch) {
    return !ch->destroyed && !ch->closed && !ch->recalled && (kci_chan_has_room(ch) || !ch->suspends);
}

void kci_chan_admit(kc_chan_t *ch) {
    ch->references++;
    while (may_admit(ch) && admit_one(ch))
        continue;
    kci_chan_drop(ch);
}

void kci_chan_slot_freed(kc_chan_t *ch) {
    kci_chan_admit(ch);
    if (ch->borrower != NULL && !ch->recalled)
        ch->borrower->freed(ch->borrower);
}

void kci_chan_drained(kc_chan_t *ch) {
    if (!kci_chan_is_settled(ch))
        return;
    kci_chan_shut(ch, &ch->receivers);
    if (ch->keeper != NULL)
        ch->keeper->drained(ch->keeper);
}

void kci_chan_drained_if_empty(kc_chan_t *ch) {
    if (ch->closed && ch->ring.length == 0)
        kci_chan_drained(ch);
}

/* A slot may be free: for the oldest sender, or else to be lent. */
void kci_chan_after_take(kc_chan_t *ch) {
    if (kci_chan_grows(ch))
        kci_ring_shrink(&ch->ring);
    kci_chan_slot_freed(ch);
    kci_chan_drained_if_empty(ch);
}

int kci_chan_nothing_there(const kc_chan_t *ch) {
    return ch->closed && kci_chan_is_settled(ch) ? -EPIPE : -EAGAIN;
}

static int recv_held(kc_chan_t *ch, void **element) {
    if (ch->keeper != NULL)
        ch->keeper->recall(ch->keeper);
    if (ch->destroyed)
        return -EINVAL;
    if (ch->keeper != NULL)
        return -EAGAIN;
    if (ch->ring.length != 0) {
        *element = kci_ring_pop(&ch->ring);
        kci_chan_after_take(ch);
        return 0;
    }
    kc_waiter_t *w = ch->recalled ? NULL : kci_chan_winner(ch, &ch->senders);
    if (w == NULL)
        return kci_chan_nothing_there(ch);
    *element = w->value;
    ch->handoffs++;
    kci_finish(w, NULL);
    return 0;
}

int kci_chan_recv_guarded(kc_chan_t *ch, void **element) {
    ch->references++;
    int rc = recv_held(ch, element);
    kci_chan_drop(ch);
    return rc;
}

/* Somebody has a share no more: which half the next call goes to. */
void kci_chan_watch(kc_chan_t *ch) {
    ch->guarded = ch->closed || ch->borrower != NULL || ch->keeper != NULL || ch->kept != 0;
}

/* -- lent slots */

int kc_chan_lend(kc_chan_t *ch, kc_borrower_t *borrower) {
    if (kci_unusable(ch) || borrower == NULL || !borrower->recall || !borrower->ask || !borrower->freed)
        return -EINVAL;
    bool lendable = ch->kind == KC_CONFLATED || (ch->suspends && ch->limit != 0);
    if (ch->closed || ch->borrower != NULL || ch->senders.length != 0 || !lendable)
        return 0;
    ch->borrower = borrower;
    ch->guarded = true;
    return 1;
}

size_t kc_chan_lendable(const kc_chan_t *ch) {
    if (kci_unusable(ch) || ch->borrower == NULL || ch->recalled || ch->senders.length != 0)
        return 0;
    if (ch->kind == KC_CONFLATED) /* it takes any element in; the second slot is for the one that waits there */
        return 2 - ch->lent;
    if (ch->limit == SIZE_MAX)
        return SIZE_MAX;
    size_t taken = ch->ring.length + ch->kept + ch->lent;
    return taken < ch->limit ? ch->limit - taken : 0;
}

int kc_chan_lend_slots(kc_chan_t *ch, size_t count) {
    if (kci_unusable(ch) || ch->borrower == NULL)
        return -EINVAL;
    if (count > kc_chan_lendable(ch) || count > SIZE_MAX / 2 - ch->lent)
        return -EINVAL;
    ch->lent += count;
    return 0;
}

static int fill_slot(kc_chan_t *ch, void *element) {
    if (ch->lent == 0)
        return -EINVAL;
    ch->lent--;
    if (ch->given_up) {
        ch->accepted++;
        return kc_chan_report(ch, element, ch->why);
    }
    int rc = accept(ch, element);
    if (rc == -EAGAIN) /* only where elements came back over a link */
        rc = append(ch, element);
    if (rc != 0)
        ch->lent++; /* nothing has been called yet */
    return rc;
}

int kc_chan_fill(kc_chan_t *ch, void *element, bool slot) {
    if (kci_unusable(ch) || ch->borrower == NULL)
        return -EINVAL;
    if (slot)
        return fill_slot(ch, element);
    if (ch->closed)
        return -EPIPE;
    return ch->recalled || ch->senders.length != 0 ? -EAGAIN : accept(ch, element);
}

int kc_chan_replaced(kc_chan_t *ch, size_t count) {
    if (kci_unusable(ch))
        return -EINVAL;
    ch->accepted += count;
    ch->dropped += count;
    return 0;
}

int kc_chan_hold_back(kc_chan_t *ch, bool full) {
    if (kci_unusable(ch) || ch->borrower == NULL || ch->kind != KC_UNLIMITED)
        return -EINVAL;
    ch->limit = full ? 0 : SIZE_MAX;
    if (!full)
        kci_chan_admit(ch);
    return 0;
}

int kc_chan_end_lending(kc_chan_t *ch) {
    if (kci_unusable(ch) || ch->borrower == NULL)
        return -EINVAL;
    ch->references++;
    ch->borrower = NULL;
    ch->recalled = false;
    ch->lent = 0;
    ch->answered = ch->asked;
    if (ch->kind == KC_UNLIMITED)
        ch->limit = SIZE_MAX;
    kci_chan_watch(ch);
    kci_chan_admit(ch);
    kci_chan_drained_if_empty(ch);
    kci_chan_end_tries(ch);
    kci_chan_drop(ch);
    return 0;
}
