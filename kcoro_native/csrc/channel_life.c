/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* One channel: how it is made, counted and destroyed. Contracts in kcoro/channel.h. */

#include <string.h>

#include "alloc.h"
#include "chan.h"
#include "tell.h"

static bool is_legal(kc_kind_t kind, size_t capacity, kc_overflow_t overflow) {
    if (kind < KC_RENDEZVOUS || kind > KC_UNLIMITED || overflow < KC_SUSPEND || overflow > KC_DROP_LATEST)
        return false;
    if (kind == KC_BUFFERED)
        return capacity >= 1 && capacity < SIZE_MAX;
    return capacity == 0 && overflow == KC_SUSPEND;
}

static size_t limit_of(kc_kind_t kind, size_t capacity) {
    switch (kind) {
    case KC_RENDEZVOUS:
        return 0;
    case KC_BUFFERED:
        return capacity;
    case KC_CONFLATED:
        return 1;
    case KC_UNLIMITED:
    default:
        return SIZE_MAX;
    }
}

int kc_chan_make(kc_chan_t **out, kc_kind_t kind, size_t capacity, kc_overflow_t overflow,
                 const kc_chan_hooks_t *hooks) {
    if (out == NULL)
        return -EINVAL;
    *out = NULL;
    if (!is_legal(kind, capacity, overflow))
        return -EINVAL;
    kc_chan_t *ch = kci_alloc(1, sizeof *ch);
    if (ch == NULL)
        return -ENOMEM;
    memset(ch, 0, sizeof *ch);
    ch->limit = limit_of(kind, capacity);
    ch->kind = kind;
    ch->overflow = overflow;
    ch->capacity = capacity;
    if (kci_ring_make(&ch->ring, kci_chan_grows(ch) ? 0 : ch->limit) != 0) {
        kci_free(ch);
        return -ENOMEM;
    }
    ch->suspends = overflow == KC_SUSPEND && kind != KC_CONFLATED;
    ch->references = 1;
    if (hooks != NULL)
        ch->hooks = *hooks;
    *out = ch;
    return 0;
}

static void destroy(kc_chan_t *ch) {
    if (ch->senders.length != 0 || ch->receivers.length != 0)
        kci_tell(KC_LOG_WARNING, "a channel is destroyed while %zu senders and %zu receivers wait", ch->senders.length,
                 ch->receivers.length);
    ch->borrower = NULL; /* what is on its way cannot come here any more */
    ch->travelling = 0;
    kci_chan_end(ch, NULL, KC_UNDELIVERED_DESTROYED);
    ch->keeper = NULL;
    ch->destroyed = true;
    kci_chan_shut(ch, &ch->senders); /* those who came after a close, because they could not be won */
    kci_chan_shut(ch, &ch->receivers);
}

void kci_chan_drop(kc_chan_t *ch) {
    if (--ch->references != 0)
        return;
    ch->references = 1; /* for the hooks that run now, as for everybody else's calls */
    if (!ch->destroyed)
        destroy(ch);
    if (--ch->references != 0)
        return; /* a hook kept it */
    kci_ring_free(&ch->ring);
    kci_free(ch);
}

int kc_chan_retain(kc_chan_t *ch) {
    if (ch == NULL)
        return -EINVAL;
    ch->references++;
    return 0;
}

int kc_chan_release(kc_chan_t *ch) {
    if (ch == NULL)
        return -EINVAL;
    kci_chan_drop(ch);
    return 0;
}

int kc_chan_destroy(kc_chan_t *ch) {
    if (kci_unusable(ch))
        return -EINVAL;
    destroy(ch);
    kci_chan_drop(ch);
    return 0;
}
