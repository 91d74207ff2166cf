/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* One channel: send, receive and wait. Contracts in kcoro/channel.h, invariants in chan.h; its life
** and its books are in channel_life.c and channel_books.c. */

#include "kcoro/channel.h"

#include "chan.h"
#include "claim.h"

/* -- the two directions */

int kci_chan_append(kc_chan_t *ch, void *element) {
    if (ch->ring.length == ch->ring.room && kci_ring_reserve(&ch->ring, 1) != 0)
        return -ENOMEM;
    ch->accepted++;
    kci_ring_push(&ch->ring, element);
    kci_chan_note_peak(ch);
    return 0;
}

int kci_chan_overflow(kc_chan_t *ch, void *element) {
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
    if (ch->guarded)
        return kci_chan_send_guarded(ch, element);
    kc_waiter_t *w = kci_chan_winner(ch, &ch->receivers);
    if (w != NULL) {
        ch->handoffs++;
        kci_finish(w, element);
        return 0;
    }
    if (ch->ring.length < ch->limit)
        return kci_chan_append(ch, element);
    return ch->suspends ? -EAGAIN : kci_chan_overflow(ch, element);
}

/* One slot became free: it goes to the oldest sender that can be won. */
static void refill(kc_chan_t *ch) {
    kc_waiter_t *w;
    ch->references++; /* a parker may release the channel, or bring a link to it */
    while (!ch->guarded && ch->ring.length < ch->limit && ch->ring.length < ch->ring.room &&
           (w = kci_chan_winner(ch, &ch->senders)) != NULL) {
        kci_chan_append(ch, w->value);
        kci_finish(w, NULL);
    }
    if (ch->guarded || kci_chan_grows(ch)) /* those whose room is fixed have it */
        kci_chan_admit(ch);
    kci_chan_drop(ch);
}

int kc_chan_recv_now(kc_chan_t *ch, void **element) {
    if (kci_unusable(ch) || element == NULL)
        return -EINVAL;
    if (ch->guarded)
        return kci_chan_recv_guarded(ch, element);
    if (ch->ring.length != 0) {
        *element = kci_ring_pop(&ch->ring);
        if (kci_chan_grows(ch))
            kci_ring_shrink(&ch->ring);
        if (ch->senders.length != 0)
            refill(ch);
        return 0;
    }
    kc_waiter_t *w = kci_chan_winner(ch, &ch->senders);
    if (w != NULL) {
        *element = w->value;
        ch->handoffs++;
        kci_finish(w, NULL);
        return 0;
    }
    return -EAGAIN;
}

int kc_chan_send_must_wait(const kc_chan_t *ch) {
    if (kci_unusable(ch))
        return -EINVAL;
    return ch->receivers.length == 0 && ch->ring.length >= ch->limit && ch->suspends && !ch->guarded;
}

int kc_chan_recv_must_wait(const kc_chan_t *ch) {
    if (kci_unusable(ch))
        return -EINVAL;
    return ch->ring.length == 0 && ch->senders.length == 0 && !ch->guarded;
}

/* -- waiting */

bool kci_chan_is_there(const kc_chan_t *ch, bool sending) {
    if (sending)
        return ch->closed || (ch->borrower == NULL && (!ch->suspends || kci_chan_has_room(ch)));
    if (ch->keeper != NULL)
        return false;
    return ch->ring.length != 0 || (ch->closed && kci_chan_is_settled(ch));
}

int kc_chan_enqueue(kc_chan_t *ch, kc_waiter_t *w) {
    if (kci_unusable(ch) || w == NULL || w->op == NULL || w->list != NULL)
        return -EINVAL;
    if (kci_can_be_won(w) && kci_chan_is_there(ch, w->sending))
        return -EINVAL;
    kci_push(w->sending ? &ch->senders : &ch->receivers, w);
    return 0;
}

int kc_chan_withdraw(kc_chan_t *ch, kc_waiter_t *w) {
    if (kci_unusable(ch) || w == NULL)
        return -EINVAL;
    if (w->list != (w->sending ? &ch->senders : &ch->receivers) && w->list != &ch->ending)
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

/* Those who come meanwhile are not told. */
void kci_chan_shut(kc_chan_t *ch, kc_waitlist_t *waiters) {
    for (size_t n = waiters->length; n != 0 && waiters->first != NULL; n--) {
        kc_waiter_t *w = waiters->first;
        kci_chan_part(ch, w, false);
        kc_waiter_shut(w);
    }
}

static void close_now(kc_chan_t *ch, void *reason) {
    if (ch->closed)
        return;
    ch->closed = ch->guarded = true;
    ch->recalled = ch->borrower != NULL; /* a borrower takes the news of a close as a recall */
    ch->reason = reason;
    kci_chan_shut(ch, &ch->senders);
    if (ch->ring.length == 0)
        kci_chan_drained(ch);
}

int kc_chan_close(kc_chan_t *ch, void *reason) {
    if (kci_unusable(ch))
        return -EINVAL;
    ch->references++; /* a parker may release the channel */
    close_now(ch, reason);
    kci_chan_drop(ch);
    return 0;
}

/* All of them are counted before the first hook, which may look at the books. */
static void give_up(kc_chan_t *ch, kci_ring_t *unwanted) {
    ch->dropped += unwanted->length;
    while (unwanted->length != 0)
        kci_chan_tell(ch, kci_ring_pop(unwanted), ch->why);
}

void kci_chan_end(kc_chan_t *ch, void *reason, kc_undelivered_t why) {
    kci_ring_t unwanted = ch->ring;
    ch->ring.slots = NULL;
    ch->ring.room = ch->ring.head = ch->ring.length = 0;
    ch->limit = 0; /* it is closed from now on, and takes in nothing that would need the slots */
    if (!ch->given_up)
        ch->why = why;
    ch->given_up = true;
    close_now(ch, reason);
    kci_chan_drained(ch);
    give_up(ch, &unwanted);
    kci_ring_free(&unwanted);
}

int kc_chan_cancel(kc_chan_t *ch, void *reason, kc_undelivered_t why) {
    if (kci_unusable(ch) || !kci_is_a_reason(why))
        return -EINVAL;
    ch->references++;
    kci_chan_end(ch, reason, why);
    kci_chan_drop(ch);
    return 0;
}
