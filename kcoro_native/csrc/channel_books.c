/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* One channel: what it counts and tells of itself. Contracts in kcoro/channel.h. */

#include "chan.h"

void kci_chan_tell(kc_chan_t *ch, void *element, kc_undelivered_t why) {
    kc_chan_hooks_t hooks = ch->hooks; /* the first hook may release the channel */
    if (hooks.undelivered != NULL)
        hooks.undelivered(hooks.ctx, element, why);
    if (hooks.destroy != NULL)
        hooks.destroy(hooks.ctx, element);
}

int kc_chan_report(kc_chan_t *ch, void *element, kc_undelivered_t why) {
    if (kci_unusable(ch) || !kci_is_a_reason(why))
        return -EINVAL;
    ch->dropped++;
    kci_chan_tell(ch, element, why);
    return 0;
}

int kc_chan_count_failure(kc_chan_t *ch, int claim) {
    if (kci_unusable(ch))
        return -EINVAL;
    switch (claim) {
    case KC_WAITING:
        ch->failures[FAILED_WOULD_BLOCK]++;
        return 0;
    case KC_TIMED_OUT:
        ch->failures[FAILED_DEADLINE]++;
        return 0;
    case KC_CANCELLED:
        ch->failures[FAILED_CANCELLED]++;
        return 0;
    case KC_CLOSED:
        ch->failures[FAILED_CLOSED]++;
        return 0;
    default:
        return -EINVAL;
    }
}

void *kc_chan_reason(const kc_chan_t *ch) {
    return ch == NULL ? NULL : ch->reason;
}

int kc_chan_is_closed(const kc_chan_t *ch) {
    return kci_unusable(ch) ? -EINVAL : ch->closed;
}

int kc_chan_is_drained(const kc_chan_t *ch) {
    return kci_unusable(ch) ? -EINVAL : ch->closed && ch->ring.length == 0 && kci_chan_is_settled(ch);
}

size_t kc_chan_length(const kc_chan_t *ch) {
    return kci_unusable(ch) ? 0 : ch->ring.length;
}

size_t kc_chan_there(const kc_chan_t *ch, bool sending) {
    if (kc_chan_is_shared(ch, sending) != 0)
        return 0;
    if (!sending)
        return ch->ring.length;
    if (ch->closed)
        return 0;
    if (!ch->suspends || ch->limit == SIZE_MAX)
        return SIZE_MAX;
    size_t taken = ch->ring.length + ch->kept;
    return taken < ch->limit ? ch->limit - taken : 0;
}

int kc_chan_snapshot(const kc_chan_t *ch, kc_snapshot_t *out) {
    if (kci_unusable(ch) || out == NULL)
        return -EINVAL;
    uint64_t sent = ch->handoffs + ch->accepted;
    *out = (kc_snapshot_t){
        .kind = ch->kind,
        .overflow = ch->overflow,
        .capacity = ch->capacity,
        .length = ch->ring.length,
        .peak_length = ch->peak,
        .closed = ch->closed,
        .waiting_senders = ch->senders.length,
        .waiting_receivers = ch->receivers.length,
        .sent = sent,
        .received = sent - ch->dropped - ch->ring.length,
        .dropped = ch->dropped,
        .handoffs = ch->handoffs,
        .failed_would_block = ch->failures[FAILED_WOULD_BLOCK],
        .failed_deadline = ch->failures[FAILED_DEADLINE],
        .failed_cancelled = ch->failures[FAILED_CANCELLED],
        .failed_closed = ch->failures[FAILED_CLOSED],
    };
    return 0;
}
