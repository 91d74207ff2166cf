/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Halves of a channel: counted, clonable, and closed on their own; twin of kcoro_core/halves.py.
**
** Rule 1: the last sender out closes the channel; the last receiver out cancels it, so that no sender waits for nobody.
** Rule 2: a half that is closed is misuse to call: -EINVAL. Closing it again is harmless.
**
** A half is the caller's memory, and holds a reference to its channel while it is open.
*/
#ifndef KCORO_HALF_H
#define KCORO_HALF_H

#include "channel.h"

/* The sending half of a channel. `ch` is NULL once it is closed. */
typedef struct kc_sender {
    kc_chan_t *ch;
} kc_sender_t;

/* The receiving half of a channel. `ch` is NULL once it is closed. */
typedef struct kc_receiver {
    kc_chan_t *ch;
} kc_receiver_t;

/* Open a sending half. 0, or -EINVAL; then the half is closed. */
int kc_sender_open(kc_sender_t *half, kc_chan_t *ch);

/* Another open half of the same channel. 0, or -EINVAL: `of` is closed. */
int kc_sender_clone(kc_sender_t *half, const kc_sender_t *of);

/* As kc_chan_send_now. */
int kc_sender_send_now(kc_sender_t *half, void *element);

/* Give up this half; the last one closes the channel. 0, or -EINVAL. */
int kc_sender_close(kc_sender_t *half);

/* Open a receiving half. 0, or -EINVAL; then the half is closed. */
int kc_receiver_open(kc_receiver_t *half, kc_chan_t *ch);

/* Another open half of the same channel. 0, or -EINVAL: `of` is closed. */
int kc_receiver_clone(kc_receiver_t *half, const kc_receiver_t *of);

/* As kc_chan_recv_now. */
int kc_receiver_recv_now(kc_receiver_t *half, void **element);

/* Give up this half; the last one cancels the channel. 0, or -EINVAL. */
int kc_receiver_close(kc_receiver_t *half);

#endif
