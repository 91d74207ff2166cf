/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* One channel: send, receive and wait. Contracts in kcoro/channel.h, invariants in chan.h; its life
** and its books are in channel_life.c and channel_books.c. */

#include "kcoro/channel.h"

#include "chan.h"
#include "claim.h"

/* -- the two directions */

static int accept(kc_chan_t *ch, void *element) {
    if (ch->ring.length == ch->ring.room && kci_ring_grow(&ch->ring) != 0)
        return -ENOMEM;
    ch->accepted++;
    kci_ring_push(&ch->ring, element);
    if (ch->ring.length > ch->peak)
        ch->peak = ch->ring.length;
    return 0;
}

/* The hook may destroy the channel: nothing touches it after the report. */
static int overflow(kc_chan_t *ch, void *element) {
    void *dropped = element;
    ch->accepted++;
    if (ch->overflow != KC_DROP_LATEST) {
        dropped = kci_ring_pop(&ch->ring);
        kci_ring_push(&ch->ring, element);
    }
    return kc_chan_report(ch, dropped, ch->kind == KC_CONFLATED ? KC_UNDELIVERED_CONFLATED : KC_UNDELIVERED_OVERFLOW);
}

int kc_chan_send_now(kc_chan_t *ch, void *element) {
    if (kci_unusable(ch))
        return -EINVAL;
    if (ch->closed)
        return -EPIPE;
    kc_waiter_t *w = kci_chan_winner(ch, &ch->receivers);
    if (w != NULL) {
        ch->handoffs++;
        kci_finish(w, element);
        return 0;
    }
    if (ch->ring.length < ch->limit)
        return accept(ch, element);
    return ch->suspends ? -EAGAIN : overflow(ch, element);
}

/* One slot became free: it goes to the oldest sender that can be won. Only kinds whose room is fixed have senders that
** wait for one, so that this cannot fail. */
static void refill(kc_chan_t *ch) {
    kc_waiter_t *w;
    ch->references++; /* a parker may release the channel */
    while (!ch->destroyed && ch->ring.length < ch->limit && (w = kci_chan_winner(ch, &ch->senders)) != NULL) {
        accept(ch, w->value);
        kci_finish(w, NULL);
    }
    kci_chan_drop(ch);
}

static void shut(kc_chan_t *ch, kc_waitlist_t *waiters) {
    ch->references++; /* as in refill */
    for (size_t n = waiters->length; n != 0 && waiters->first != NULL; n--) {
        kc_waiter_t *w = waiters->first;
        kci_chan_part(ch, w, false);
        kc_waiter_shut(w);
    }
    kci_chan_drop(ch);
}

static void after_take(kc_chan_t *ch) {
    if (ch->limit == SIZE_MAX)
        kci_ring_shrink(&ch->ring);
    if (ch->senders.length != 0 && !ch->closed)
        refill(ch);
    else if (ch->closed && ch->ring.length == 0)
        shut(ch, &ch->receivers);
}

int kc_chan_recv_now(kc_chan_t *ch, void **element) {
    if (kci_unusable(ch) || element == NULL)
        return -EINVAL;
    if (ch->ring.length != 0) {
        *element = kci_ring_pop(&ch->ring);
        after_take(ch);
        return 0;
    }
    kc_waiter_t *w = kci_chan_winner(ch, &ch->senders);
    if (w != NULL) {
        *element = w->value;
        ch->handoffs++;
        kci_finish(w, NULL);
        return 0;
    }
    return ch->closed ? -EPIPE : -EAGAIN;
}

int kc_chan_send_must_wait(const kc_chan_t *ch) {
    if (kci_unusable(ch))
        return -EINVAL;
    return ch->receivers.length == 0 && ch->ring.length >= ch->limit && ch->suspends && !ch->closed;
}

int kc_chan_recv_must_wait(const kc_chan_t *ch) {
    if (kci_unusable(ch))
        return -EINVAL;
    return ch->ring.length == 0 && ch->senders.length == 0 && !ch->closed;
}

/* -- waiting */

/* Whether what it would wait for is there: it would wait in vain, and break invariant 2 or 3. */
static bool is_there(const kc_chan_t *ch, bool sending) {
    if (ch->closed && (sending || ch->ring.length == 0))
        return true;
    return sending ? !ch->suspends || ch->ring.length < ch->limit : ch->ring.length != 0;
}

int kc_chan_enqueue(kc_chan_t *ch, kc_waiter_t *w) {
    if (kci_unusable(ch) || w == NULL || w->op == NULL || w->list != NULL)
        return -EINVAL;
    if (kci_can_be_won(w) && is_there(ch, w->sending))
        return -EINVAL;
    kci_push(w->sending ? &ch->senders : &ch->receivers, w);
    return 0;
}

int kc_chan_withdraw(kc_chan_t *ch, kc_waiter_t *w) {
    if (kci_unusable(ch) || w == NULL)
        return -EINVAL;
    if (w->list != (w->sending ? &ch->senders : &ch->receivers))
        return 0;
    kci_unlink(w);
    return 1;
}

const kc_waiter_t *kc_chan_waiting(const kc_chan_t *ch, bool sending) {
    if (kci_unusable(ch))
        return NULL;
    return sending ? ch->senders.first : ch->receivers.first;
}

/* -- the end */

static void close_now(kc_chan_t *ch, void *reason) {
    if (ch->closed)
        return;
    ch->closed = true;
    ch->reason = reason;
    shut(ch, &ch->senders);
    if (ch->ring.length == 0)
        shut(ch, &ch->receivers);
}

int kc_chan_close(kc_chan_t *ch, void *reason) {
    if (kci_unusable(ch))
        return -EINVAL;
    ch->references++; /* as in refill */
    close_now(ch, reason);
    kci_chan_drop(ch);
    return 0;
}

/* All of them are counted before the first hook, which may look at the books. */
static void give_up(kc_chan_t *ch, kci_ring_t *unwanted, kc_undelivered_t why) {
    ch->dropped += unwanted->length;
    while (unwanted->length != 0)
        kci_chan_tell(ch, kci_ring_pop(unwanted), why);
}

void kci_chan_end(kc_chan_t *ch, void *reason, kc_undelivered_t why) {
    kci_ring_t unwanted = ch->ring;
    ch->ring.slots = NULL;
    ch->ring.room = ch->ring.head = ch->ring.length = 0;
    ch->limit = 0; /* it is closed from now on, and takes in nothing that would need the slots */
    close_now(ch, reason);
    shut(ch, &ch->receivers);
    give_up(ch, &unwanted, why);
    kci_ring_free(&unwanted);
}

int kc_chan_cancel(kc_chan_t *ch, void *reason) {
    if (kci_unusable(ch))
        return -EINVAL;
    ch->references++;
    kci_chan_end(ch, reason, KC_UNDELIVERED_CANCELLED);
    kci_chan_drop(ch);
    return 0;
}
