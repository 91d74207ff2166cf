/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Elements that travel, or that a link keeps ahead of its receives; contracts in kcoro/lending.h, and see lending.c. */

#include "chan.h"
#include "claim.h"

/* -- elements that travel */

int kc_chan_hand_out(kc_chan_t *ch) {
    if (kci_unusable(ch))
        return -EINVAL;
    ch->travelling++;
    return 0;
}

/* Whether so many can be settled, and the queue has room for what comes back. */
static int can_settle(kc_chan_t *ch, size_t count, void *const *put_back, size_t back) {
    if (kci_unusable(ch) || count > ch->travelling || back > ch->travelling || (back != 0 && put_back == NULL))
        return -EINVAL;
    return ch->given_up ? 0 : kci_ring_reserve(&ch->ring, back);
}

static void report_all(kc_chan_t *ch, void *const *elements, size_t count) {
    ch->dropped += count; /* all of them before the first hook, as when a queue is given up */
    for (size_t i = 0; i < count; i++)
        kci_chan_tell(ch, elements[i], ch->why);
}

/* All go to the head before the first is given to who waits, so that none is lost if that one ends the channel. */
static void put_back_all(kc_chan_t *ch, void *const *elements, size_t count) {
    kc_waiter_t *w;
    for (size_t i = count; i != 0; i--)
        kci_ring_put_back(&ch->ring, elements[i - 1]);
    for (size_t i = 0; i < count && ch->keeper == NULL && ch->ring.length != 0; i++) {
        if ((w = kci_chan_winner(ch, &ch->receivers)) == NULL)
            break;
        kci_finish(w, kci_ring_pop(&ch->ring));
    }
    kci_chan_note_peak(ch);
}

static void settle(kc_chan_t *ch, size_t count, void *const *put_back, size_t back) {
    ch->travelling -= count;
    if (ch->given_up) {
        kci_chan_drained(ch);
        report_all(ch, put_back, back);
    } else {
        put_back_all(ch, put_back, back);
        kci_chan_drained_if_empty(ch);
        if (ch->ring.length != 0 && ch->keeper != NULL)
            ch->keeper->arrived(ch->keeper);
    }
    kci_chan_end_tries(ch);
}

int kc_chan_settle(kc_chan_t *ch, size_t count, void *const *put_back, size_t back) {
    int rc = can_settle(ch, count, put_back, back);
    if (rc != 0)
        return rc;
    ch->references++;
    settle(ch, count, put_back, back);
    kci_chan_drop(ch);
    return 0;
}

int kc_chan_settle_ahead(kc_chan_t *ch, size_t count, void *const *put_back, size_t back) {
    int rc = kci_unusable(ch) || count > ch->kept ? -EINVAL : can_settle(ch, count, put_back, back);
    if (rc != 0)
        return rc;
    ch->references++;
    ch->kept -= count;
    kci_chan_watch(ch);
    settle(ch, count, put_back, back);
    kci_chan_slot_freed(ch);
    kci_chan_drop(ch);
    return 0;
}

/* -- elements kept ahead */

int kc_chan_keep(kc_chan_t *ch, kc_keeper_t *keeper) {
    if (kci_unusable(ch) || keeper == NULL || !keeper->arrived || !keeper->recall || !keeper->drained)
        return -EINVAL;
    if (ch->keeper != NULL || ch->receivers.length != 0 || !ch->suspends || ch->kind == KC_RENDEZVOUS)
        return 0;
    ch->keeper = keeper;
    ch->guarded = true;
    return 1;
}

int kc_chan_take_ahead(kc_chan_t *ch, void **element) {
    if (kci_unusable(ch) || element == NULL || ch->keeper == NULL)
        return -EINVAL;
    if (ch->ring.length == 0)
        return kci_chan_nothing_there(ch);
    ch->kept++;
    ch->travelling++;
    *element = kci_ring_pop(&ch->ring);
    return 0;
}

int kc_chan_end_keeping(kc_chan_t *ch) {
    kc_waiter_t *w;
    if (kci_unusable(ch) || ch->keeper == NULL)
        return -EINVAL;
    ch->references++;
    ch->keeper = NULL;
    kci_chan_watch(ch);
    while (ch->ring.length != 0 && ch->keeper == NULL && (w = kci_chan_winner(ch, &ch->receivers)) != NULL)
        kci_finish(w, kci_ring_pop(&ch->ring));
    kci_chan_after_take(ch);
    kci_chan_end_tries(ch);
    kci_chan_drop(ch);
    return 0;
}
