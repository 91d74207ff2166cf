/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Halves of a channel; contracts in kcoro/half.h. */

#include "kcoro/half.h"

#include "chan.h"

/* -- sending */

int kc_sender_open(kc_sender_t *half, kc_chan_t *ch) {
    if (half == NULL)
        return -EINVAL;
    half->ch = NULL;
    if (kci_unusable(ch))
        return -EINVAL;
    ch->references++;
    ch->open_senders++;
    half->ch = ch;
    return 0;
}

int kc_sender_clone(kc_sender_t *half, const kc_sender_t *of) {
    return kc_sender_open(half, of == NULL ? NULL : of->ch);
}

int kc_sender_send_now(kc_sender_t *half, void *element) {
    return half == NULL ? -EINVAL : kc_chan_send_now(half->ch, element);
}

int kc_sender_close(kc_sender_t *half) {
    if (half == NULL)
        return -EINVAL;
    kc_chan_t *ch = half->ch;
    half->ch = NULL;
    if (ch == NULL)
        return 0;
    if (--ch->open_senders == 0)
        kc_chan_close(ch, NULL);
    kci_chan_drop(ch);
    return 0;
}

/* -- receiving */

int kc_receiver_open(kc_receiver_t *half, kc_chan_t *ch) {
    if (half == NULL)
        return -EINVAL;
    half->ch = NULL;
    if (kci_unusable(ch))
        return -EINVAL;
    ch->references++;
    ch->open_receivers++;
    half->ch = ch;
    return 0;
}

int kc_receiver_clone(kc_receiver_t *half, const kc_receiver_t *of) {
    return kc_receiver_open(half, of == NULL ? NULL : of->ch);
}

int kc_receiver_recv_now(kc_receiver_t *half, void **element) {
    return half == NULL ? -EINVAL : kc_chan_recv_now(half->ch, element);
}

int kc_receiver_close(kc_receiver_t *half) {
    if (half == NULL)
        return -EINVAL;
    kc_chan_t *ch = half->ch;
    half->ch = NULL;
    if (ch == NULL)
        return 0;
    if (--ch->open_receivers == 0)
        kc_chan_cancel(ch, NULL, KC_UNDELIVERED_CANCELLED);
    kci_chan_drop(ch);
    return 0;
}
