/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** One channel: a queue of elements between two queues of waiters, without waiting; twin of reference/channel.py.
**
** Rule 1: an element is a pointer that is never looked into. The channel owns it from the moment in which a send was
** accepted (0 returned, or the waiter won) until a receive returned it.
** Rule 2: what the channel owns and cannot deliver it shows to `undelivered` and then gives to `destroy`, once.
** Rule 3: no function waits, and none allocates but kc_chan_make and a send to a channel without a limit, or with one
** of more than 1,024. A send that waited there may end with -ENOMEM.
** Rule 4: hooks run last, when the channel is consistent; they and parkers may use the channel, destroy it included.
** Rule 5: one channel belongs to one thread at a time.
**
** A channel is counted: kc_chan_make gives one reference. It may be touched by whoever holds one, also after it was
** closed (-EPIPE) or destroyed (-EINVAL).
*/
#ifndef KCORO_CHANNEL_H
#define KCORO_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codes.h"
#include "semantics.h"
#include "waiter.h"

typedef struct kc_chan kc_chan_t;

/* What a channel calls about elements that it cannot deliver, and about waiters; each may be NULL. */
typedef struct kc_chan_hooks {
    /* Look at an element that reaches nobody; it stays the channel's, and goes to `destroy` next. */
    void (*undelivered)(void *ctx, void *element, kc_undelivered_t why);
    /* Take over an element that reaches nobody. NULL where elements need no end. */
    void (*destroy)(void *ctx, void *element);
    /* Passed to all of them; kept until the channel is freed, never looked into. */
    void *ctx;
    /* A waiter has left its queue, though nobody withdrew it: it has been `won`, or its end comes next (its channel is
    ** closed, it is a try that has its answer, or there is no memory for what it offers). It must stay until the
    ** function returns in which this is called; what it offers, if it sends and has been won, is not taken yet. NULL
    ** where waiters need no counting. */
    void (*left)(void *ctx, kc_waiter_t *w, bool won);
} kc_chan_hooks_t;

/* The state and the counters of one channel at one instant; what each means: engine.ChannelSnapshot. */
typedef struct kc_snapshot {
    kc_kind_t kind;
    kc_overflow_t overflow;
    size_t capacity; /* 0 but for KC_BUFFERED */
    size_t length;
    size_t peak_length;
    bool closed;
    size_t waiting_senders;
    size_t waiting_receivers;
    uint64_t sent; /* sends that returned success */
    uint64_t received;
    uint64_t dropped; /* reported as undelivered */
    uint64_t handoffs; /* went straight from a sender to a waiting receiver, or the other way */
    uint64_t failed_would_block;
    uint64_t failed_deadline;
    uint64_t failed_cancelled;
    uint64_t failed_closed;
} kc_snapshot_t;

/* -- its life */

/*
** Make a channel, and give the caller its first reference.
**
** capacity  KC_BUFFERED: at least 1; room for up to 1,024 is taken now, for more than that as elements come. Others: 0
** overflow  other than KC_SUSPEND for KC_BUFFERED only
** hooks     borrowed, copied; NULL for none
**
** Returns 0 and sets *out; or -EINVAL, -ENOMEM, and *out is NULL.
*/
int kc_chan_make(kc_chan_t **out, kc_kind_t kind, size_t capacity, kc_overflow_t overflow,
                 const kc_chan_hooks_t *hooks);

/* Count one more reference. 0, or -EINVAL. */
int kc_chan_retain(kc_chan_t *ch);

/* Count one reference less; with the last one the channel is destroyed, and its memory free. 0, or -EINVAL. */
int kc_chan_release(kc_chan_t *ch);

/*
** End the channel for everybody, and release the caller's reference: waiters fail with -EPIPE, queued elements are
** undelivered (KC_UNDELIVERED_DESTROYED). For those who hold a reference every function answers -EINVAL from now on.
**
** Returns 0, or -EINVAL.
*/
int kc_chan_destroy(kc_chan_t *ch);

/* -- the two directions */

/*
** Hand over to the oldest receiver, or queue, or apply the overflow policy.
**
** element  the channel's when 0 is returned, else still the caller's
**
** Returns 0, -EAGAIN (nothing has changed), -EPIPE, -ENOMEM (where room is taken as elements come), -EINVAL.
*/
int kc_chan_send_now(kc_chan_t *ch, void *element);

/*
** Take the oldest element; its slot goes to the oldest sender in the same step.
**
** element  set when 0 is returned, and the caller's then
**
** Returns 0, -EAGAIN (nothing has changed), -EPIPE (closed and drained), -EINVAL.
*/
int kc_chan_recv_now(kc_chan_t *ch, void **element);

/* 1: promise, without any effect, that kc_chan_send_now would answer -EAGAIN. 0 promises nothing. Or -EINVAL. */
int kc_chan_send_must_wait(const kc_chan_t *ch);

/* 1: promise, without any effect, that kc_chan_recv_now would answer -EAGAIN. 0 promises nothing. Or -EINVAL. */
int kc_chan_recv_must_wait(const kc_chan_t *ch);

/* -- waiting */

/*
** Queue a waiter (w->sending says for what) behind those of its direction.
**
** Called right after -EAGAIN, with no turn of anybody else in between. A waiter that cannot be won, because it is being
** claimed or is dead, may be queued at any time. The channel borrows it until it was withdrawn, or has left by itself:
** won, or shut.
**
** Returns 0, or -EINVAL: it stands in a queue already, or what it would wait for is there.
*/
int kc_chan_enqueue(kc_chan_t *ch, kc_waiter_t *w);

/* Take a waiter out again. 1, 0 when it was not queued here, or -EINVAL. The same as kc_waiter_leave, with a check. */
int kc_chan_withdraw(kc_chan_t *ch, kc_waiter_t *w);

/* The oldest waiter of a direction, or NULL; the others follow by w->next. Also those that cannot be won now. */
const kc_waiter_t *kc_chan_waiting(const kc_chan_t *ch, bool sending);

/* -- the end */

/*
** Take no more sends: parked senders fail with -EPIPE and keep their element, receivers drain what is queued.
**
** reason  borrowed, never looked into; the first one stays, and has to live as long as somebody asks for it
**
** Returns 0, also when it was closed already, or -EINVAL.
*/
int kc_chan_close(kc_chan_t *ch, void *reason);

/*
** Close, and report everything that is queued as undelivered, oldest first, with `why` (KC_UNDELIVERED_CANCELLED where
** there is nothing more exact). May be repeated; the first `why` stays.
**
** Returns 0, or -EINVAL.
*/
int kc_chan_cancel(kc_chan_t *ch, void *reason, kc_undelivered_t why);

/* What was given to the first close; NULL before, and of a NULL. */
void *kc_chan_reason(const kc_chan_t *ch);

/* Whether it takes no more sends: 1, 0 or -EINVAL. */
int kc_chan_is_closed(const kc_chan_t *ch);

/* Whether it is closed and nothing will ever be received any more, not even what travels: 1, 0 or -EINVAL. */
int kc_chan_is_drained(const kc_chan_t *ch);

/* -- books */

/* The elements that are queued; 0 of a NULL or a destroyed one. */
size_t kc_chan_length(const kc_chan_t *ch);

/* How many elements a receiver would find (`sending` false), or how much room a sender would; SIZE_MAX: any number.
** 0 while a link has a share in that direction. */
size_t kc_chan_there(const kc_chan_t *ch, bool sending);

/* Count an element that reached nobody, and give it to the hooks. It is the channel's from now on. 0, or -EINVAL. */
int kc_chan_report(kc_chan_t *ch, void *element, kc_undelivered_t why);

/*
** Book a plain operation that failed, by its last claim word; KC_WAITING is a try that would block.
**
** Returns 0, or -EINVAL: no failure has such a word.
*/
int kc_chan_count_failure(kc_chan_t *ch, int claim);

/* State and counters, in constant time. 0, or -EINVAL. */
int kc_chan_snapshot(const kc_chan_t *ch, kc_snapshot_t *out);

#endif
