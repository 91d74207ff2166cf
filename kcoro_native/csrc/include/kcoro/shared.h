/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Channels that tasks on many threads share, and threads too: those of kcoro/channel.h, each with a lock.
**
** Rule 1: what a send, a receive and a select mean is what kcoro/channel.h and kcoro/select.h say, for whoever comes at
** once: there is an order of all calls, in which each call has its place between its beginning and its end.
** Rule 2: a task that waits lets its worker go on; a thread that waits sleeps. No call polls.
** Rule 3: hooks are called by whoever caused it, once no lock is held. They may use the channel.
** Rule 4: a task that never has to wait lets others run now and then: after KC_SCHED_BUDGET calls in a row.
**
** timeout_ns  nanoseconds; 0 tries once, negative waits for ever. A deadline hides nothing that is there already
*/
#ifndef KCORO_SHARED_H
#define KCORO_SHARED_H

#include "channel.h"
#include "scheduler.h"
#include "select.h"

#ifndef KC_SCHED_BUDGET
/* After how many calls in a row that did not have to wait a task yields. */
#define KC_SCHED_BUDGET 128
#endif

typedef struct kc_shared kc_shared_t;

/* -- its life */

/*
** Make a channel, and give the caller its first reference; as kc_chan_make.
**
** hooks  borrowed, copied; NULL for none. `left` has to be NULL
**
** Returns 0 and sets *out; or -EINVAL, -ENOMEM, and *out is NULL.
*/
int kc_shared_make(kc_shared_t **out, kc_kind_t kind, size_t capacity, kc_overflow_t overflow,
                   const kc_chan_hooks_t *hooks);

/* Count one more reference: whoever waits needs one that lasts as long. 0, or -EINVAL. */
int kc_shared_retain(kc_shared_t *ch);

/* Count one less; with the last one what is queued is undelivered (KC_UNDELIVERED_DESTROYED), and the memory free.
** 0, or -EINVAL. */
int kc_shared_release(kc_shared_t *ch);

/* Take no more sends: who waits to send fails with -EPIPE, receivers drain what is queued. 0, or -EINVAL. */
int kc_shared_close(kc_shared_t *ch, void *reason);

/* Close, and report what is queued as undelivered, oldest first; nobody receives it any more. 0, or -EINVAL. */
int kc_shared_cancel(kc_shared_t *ch, void *reason, kc_undelivered_t why);

/* State and counters at one instant. 0, or -EINVAL. */
int kc_shared_snapshot(kc_shared_t *ch, kc_snapshot_t *out);

/* Whether it takes no more sends: 1, 0 or -EINVAL. Once 1, always. */
int kc_shared_is_closed(kc_shared_t *ch);

/* Whether it is closed and nothing will ever be received any more: 1, 0 or -EINVAL. Once 1, always. */
int kc_shared_is_drained(kc_shared_t *ch);

/* What was given to the first close or cancel; NULL before, and of a NULL. */
void *kc_shared_reason(kc_shared_t *ch);

/* The elements that are queued at one instant; 0 of a NULL. */
size_t kc_shared_length(kc_shared_t *ch);

/* -- the two directions */

/*
** Send, in a task or a thread.
**
** element  the channel's when 0 is returned, else still the caller's
**
** Returns 0; -EAGAIN (timeout_ns is 0, and nothing has changed); -ETIME; -ECANCELED: the task is cancelled;
** -EPIPE, -ENOMEM, -EINVAL.
*/
int kc_send(kc_shared_t *ch, void *element, int64_t timeout_ns);

/* Receive, in a task or a thread; *element is set when 0 is returned, and the caller's then. Returns as kc_send. */
int kc_recv(kc_shared_t *ch, void **element, int64_t timeout_ns);

/* -- select */

/* A clause that receives. 0, or -EINVAL. */
int kc_shared_clause_recv(kc_clause_t *clause, kc_shared_t *ch);

/* A clause that sends `element`, which stays the caller's unless this clause wins without an error. 0, or -EINVAL. */
int kc_shared_clause_send(kc_clause_t *clause, kc_shared_t *ch, void *element);

/*
** Wait for one of the clauses of a select that kc_select_init has begun, all of them made by the two functions above
** or by those of kcoro/shared_clauses.h.
**
** Returns the index that won, and s->op.value is what it gave; -EAGAIN, -ETIME, -ECANCELED, -ENOMEM; -EPIPE: a closed
** clause won, s->op.claim is its index, or KC_CLOSED under KC_SKIP; -EINVAL: misuse. Else nothing was taken.
*/
int kc_select_wait(kc_select_t *s, int64_t timeout_ns);

#endif
