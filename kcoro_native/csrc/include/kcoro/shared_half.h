/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Halves of a channel that threads share: counted, clonable, and closed on their own; those of kcoro/half.h, for many
** threads.
**
** Rule 1: the last sender out closes the channel; the last receiver out cancels it, so that no sender waits for nobody.
** Rule 2: a half that is closed has no channel: kc_send and kc_recv of it are -EINVAL. Closing it again is harmless.
** Rule 3: a half belongs to one task or thread at a time; give each a clone of its own.
**
**     kc_send(sender.ch, element, -1);
**
** A half is the caller's memory, and holds a reference to its channel while it is open.
*/
#ifndef KCORO_SHARED_HALF_H
#define KCORO_SHARED_HALF_H

#include "shared.h"

/* The sending half of a channel. `ch` is NULL once it is closed. */
typedef struct kc_shared_sender {
    kc_shared_t *ch;
} kc_shared_sender_t;

/* The receiving half of a channel. `ch` is NULL once it is closed. */
typedef struct kc_shared_receiver {
    kc_shared_t *ch;
} kc_shared_receiver_t;

/* Open a sending half. 0, or -EINVAL; then the half is closed. */
int kc_shared_sender_open(kc_shared_sender_t *half, kc_shared_t *ch);

/* Another open half of the same channel. 0, or -EINVAL: `of` is closed. */
int kc_shared_sender_clone(kc_shared_sender_t *half, const kc_shared_sender_t *of);

/* Give up this half; the last one closes the channel. 0, or -EINVAL. */
int kc_shared_sender_close(kc_shared_sender_t *half);

/* Open a receiving half. 0, or -EINVAL; then the half is closed. */
int kc_shared_receiver_open(kc_shared_receiver_t *half, kc_shared_t *ch);

/* Another open half of the same channel. 0, or -EINVAL: `of` is closed. */
int kc_shared_receiver_clone(kc_shared_receiver_t *half, const kc_shared_receiver_t *of);

/* Give up this half; the last one cancels the channel. 0, or -EINVAL. */
int kc_shared_receiver_close(kc_shared_receiver_t *half);

#endif
