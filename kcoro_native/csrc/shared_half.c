/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Halves of a channel that threads share. Contracts in kcoro/shared_half.h. */

#include "kcoro/shared_half.h"

#include "share.h"

/* One more half that is counted in `open`. 0, or -EINVAL. */
static int open_half(kc_shared_t **half, kc_shared_t *ch, bool sending) {
    *half = NULL;
    if (kc_shared_retain(ch) != 0)
        return -EINVAL;
    kc_atomic_add_sc(sending ? &ch->open_senders : &ch->open_receivers, 1);
    *half = ch;
    return 0;
}

/* -- sending */

int kc_shared_sender_open(kc_shared_sender_t *half, kc_shared_t *ch) {
    return half == NULL ? -EINVAL : open_half(&half->ch, ch, true);
}

int kc_shared_sender_clone(kc_shared_sender_t *half, const kc_shared_sender_t *of) {
    return kc_shared_sender_open(half, of == NULL ? NULL : of->ch);
}

int kc_shared_sender_close(kc_shared_sender_t *half) {
    if (half == NULL)
        return -EINVAL;
    kc_shared_t *ch = half->ch;
    half->ch = NULL;
    if (ch == NULL)
        return 0;
    if (kc_atomic_add_sc(&ch->open_senders, -1) == 0)
        kc_shared_close(ch, NULL);
    return kc_shared_release(ch);
}

/* -- receiving */

int kc_shared_receiver_open(kc_shared_receiver_t *half, kc_shared_t *ch) {
    return half == NULL ? -EINVAL : open_half(&half->ch, ch, false);
}

int kc_shared_receiver_clone(kc_shared_receiver_t *half, const kc_shared_receiver_t *of) {
    return kc_shared_receiver_open(half, of == NULL ? NULL : of->ch);
}

int kc_shared_receiver_close(kc_shared_receiver_t *half) {
    if (half == NULL)
        return -EINVAL;
    kc_shared_t *ch = half->ch;
    half->ch = NULL;
    if (ch == NULL)
        return 0;
    if (kc_atomic_add_sc(&ch->open_receivers, -1) == 0)
        kc_shared_cancel(ch, NULL, KC_UNDELIVERED_CANCELLED);
    return kc_shared_release(ch);
}
