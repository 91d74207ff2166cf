/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** A plain send or receive that may wait: the place that joins a claim word, a deadline and a token; twin of
** kcoro_core/parking.py and of Channel.send and Channel.recv.
**
**     rc = kc_recv_begin(&call, ch, &element, &wait);
**     if (rc == -EAGAIN) { ... until the parker was told ...
**         rc = kc_call_finish(&call, &element); }
**
** Rule 1: at the instant of the call cancel beats close beats ready beats timeout. A deadline that has passed never
** hides a partner or an element that is there.
** Rule 2: from the moment in which it waits, the claim word decides.
** Rule 3: each call that fails is booked once, on its channel.
*/
#ifndef KCORO_CALL_H
#define KCORO_CALL_H

#include "cancel.h"
#include "channel.h"
#include "timer.h"

/* How long a call is willing to wait, and who is told. All zero but for a parker: for ever. */
typedef struct kc_wait {
    kc_parker_t *parker; /* told when the call is decided */
    kc_timers_t *timers; /* where its deadline waits; NULL: it has none */
    uint64_t deadline;   /* on the clock of `timers` */
    kc_token_t *token;   /* ends the call when it is set; NULL: none */
} kc_wait_t;

/* One call; the caller's memory, from begin until finish. Read op; write it by the functions below only. */
typedef struct kc_call {
    kc_op_t op;
    kc_waiter_t waiter;
    kc_chan_t *ch;
    kc_timer_t timer;
    kc_subscription_t subscription;
} kc_call_t;

/* kc_chan_send_now, and a failure is booked. */
int kc_try_send(kc_chan_t *ch, void *element);

/* kc_chan_recv_now, and a failure is booked. */
int kc_try_recv(kc_chan_t *ch, void **element);

/*
** Send, or begin to wait for that.
**
** element  the channel's when 0 is returned, now or by kc_call_finish; else still the caller's
** how      borrowed for the call of this function; what it points at, until the call is finished
**
** Returns 0, -EAGAIN: it waits now; -ECANCELED, -EPIPE, -ENOMEM (as kc_chan_send_now), -EINVAL.
*/
int kc_send_begin(kc_call_t *call, kc_chan_t *ch, void *element, const kc_wait_t *how);

/*
** Receive, or begin to wait for that; *element is set when 0 is returned, and the caller's then.
**
** Returns 0, -EAGAIN: it waits now; -ECANCELED, -EPIPE, -EINVAL.
*/
int kc_recv_begin(kc_call_t *call, kc_chan_t *ch, void **element, const kc_wait_t *how);

/*
** End a call that waits: out of every line, whatever decided it. The channel must still be held.
**
** element  set to what a receive got, when 0 is returned; may be NULL for a send
**
** Returns 0, -ETIME, -ECANCELED, -EPIPE, or -EINVAL: no such call waits; -EAGAIN: it is not decided, and still waits.
** To end it nevertheless call kc_op_give_up(&call->op) first.
*/
int kc_call_finish(kc_call_t *call, void **element);

#endif
