/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** One waiter: the claim word that decides, exactly once, how a waiting call ends; twin of reference/waiter.py.
**
** Each call that may wait is one kc_op_t with one claim word, and one kc_waiter_t for each clause (a plain send or
** receive has one clause, index 0):
**
**     KC_WAITING --win------> 0 .. n-1      a counterpart, or a clause, took part: the value has moved or will
**                --expire---> KC_TIMED_OUT  the deadline passed
**                --revoke---> KC_CANCELLED  a token was set, or the owner gave up
**                --shut-----> i | KC_CLOSED its channel closed
**                --begin_claim(i)--> KC_CLAIMING - i   a clause of another process is being asked for ...
**     KC_CLAIMING - i --win_claim--> i                 ... and was granted,
**                     --end_claim--> KC_WAITING        ... or denied
**
** Rule 1: whoever moves the claim word away from KC_WAITING first wins, moves the value, then finishes or fails it.
** Rule 2: a claimed word never changes again; the parker is told once for each operation.
** Rule 3: partners skip a waiter that is being claimed; it stays in their queues and may win later.
** Rule 4: nothing here knows a channel, allocates, or suspends; the parker makes the owner runnable.
**
** All of this is the caller's memory. It stays where it is from init until every one of its waiters has left its queue
** (kc_waiter_leave, or the withdraw of its clause) *and* its parker was told, or the owner decided it (kc_op_give_up
** gave 1). Within a callback for somebody else that matters: an operation may be decided there and not told yet.
*/
#ifndef KCORO_WAITER_H
#define KCORO_WAITER_H

#include <stdbool.h>
#include <stddef.h>

#include "atomic.h"
#include "semantics.h"

typedef struct kc_op kc_op_t;
typedef struct kc_parker kc_parker_t;
typedef struct kc_waiter kc_waiter_t;
typedef struct kc_waitlist kc_waitlist_t;

/* Who is told that an operation has been decided. Put it first in a structure of your own to find your way back. */
struct kc_parker {
    /* Make the owner of `op` runnable, or run it. Called once, after claim word, value and error are set, and as the
    ** last thing that is done with `op`, so that it may be finished and freed from here. It must not block. */
    void (*unpark)(kc_parker_t *self, kc_op_t *op);
};

/* One call that may wait, with its claim word. Read it; write it by the functions below only. */
struct kc_op {
    kc_atomic_int claim;          /* an enum kc_claim, or the index of the clause that won */
    int late;                     /* a decision that arrived while it was claimed and waits for the answer */
    int error;                    /* 0, or the negative code with which the clause that won ended */
    kc_closed_rule_t closed_rule; /* what a closed channel means */
    kc_atomic_int open_arms;      /* under KC_SKIP: the clauses that can still win */
    void *value;                  /* what a receiver got; the receiver's from then on */
    kc_parker_t *parker;          /* NULL: the owner is running and looks itself */
    void *task;                   /* the owner's; never looked into */
};

/* One clause of an operation, in at most one queue. Read it; write it by the functions below only. */
struct kc_waiter {
    kc_waiter_t *prev, *next; /* its neighbours in `list` */
    kc_waitlist_t *list;      /* the queue in which it stands, or NULL */
    kc_op_t *op;              /* the operation that it can win */
    void *value;              /* what a sender offers; the sender's until it has won without an error */
    int index;                /* which clause of the operation it is */
    bool sending;             /* which direction it waits for */
    bool dead;                /* under KC_SKIP: its channel is closed, it cannot win any more */
    bool is_try;              /* it waits only for an answer of a link; see kcoro/lending.h */
};

/* A queue of waiters, oldest first; leaving it takes the same time from any place. All zero is an empty one. */
struct kc_waitlist {
    kc_waiter_t *first, *last;
    size_t length;
};

/* -- the operation and its clauses */

/*
** Begin a plain operation, of one clause.
**
** parker  borrowed until the operation is decided; NULL while the owner is running and looks at the claim word itself
**
** Returns 0, or -EINVAL.
*/
int kc_op_init(kc_op_t *op, kc_parker_t *parker);

/*
** Begin the operation of a select over `clauses` clauses, at least 1. It has nobody to wake until op->parker is set.
**
** Returns 0, or -EINVAL.
*/
int kc_op_init_select(kc_op_t *op, kc_closed_rule_t rule, size_t clauses);

/*
** Begin a clause of `op`. `value` is what a sender offers; it stays the sender's until the clause has won.
**
** Returns 0, or -EINVAL: a NULL or a negative index.
*/
int kc_waiter_init(kc_waiter_t *w, kc_op_t *op, int index, bool sending, void *value);

/* The claim word now; KC_CANCELLED of a NULL. */
int kc_op_claim(const kc_op_t *op);

/*
** What became of the operation.
**
** Returns the index of the clause that won, -EAGAIN while it is undecided, -ETIME, -ECANCELED, -EPIPE, or -EINVAL.
** A clause that won with an error gives that error; op->claim is its index then.
*/
int kc_op_result(const kc_op_t *op);

/* -- a counterpart decides; what clauses and channels call */

/* Claim the whole operation for this clause. 1, or 0: decided already, or being claimed remotely, or dead. */
int kc_waiter_win(kc_waiter_t *w);

/* Hand over the result after a won claim, and wake the owner. 0, or -EINVAL. */
int kc_waiter_finish(kc_waiter_t *w, void *value);

/* Win and finish in one, where nothing has to happen between the two. 1, or 0 as kc_waiter_win. */
int kc_waiter_complete(kc_waiter_t *w, void *value);

/* End with the negative code `error` after a won claim, and wake the owner. 0, or -EINVAL. */
int kc_waiter_fail(kc_waiter_t *w, int error);

/* Tell that the clause's channel is closed: 1 when that decided the operation, else 0. See kc_closed_rule_t. */
int kc_waiter_shut(kc_waiter_t *w);

/* -- the owner's side decides */

/* The deadline passed. 1 when this decided the operation; remembered while it is claimed. */
int kc_op_expire(kc_op_t *op);

/* A token was set. 1 when this decided the operation; remembered while it is claimed. */
int kc_op_revoke(kc_op_t *op);

/* The owner ends the wait itself: as kc_op_revoke, but nobody is woken. */
int kc_op_give_up(kc_op_t *op);

/* -- a clause of another process */

/* Have partners skip the operation while clause `index` is asked for. 1, 0 unless it was waiting, or -EINVAL. */
int kc_op_begin_claim(kc_op_t *op, int index);

/* The claim was granted: it wins over all that arrived meanwhile. Returns the index, or -EINVAL without a claim. */
int kc_op_win_claim(kc_op_t *op);

/*
** The claim was denied. 1 when it waits again, 0 when what arrived meanwhile decided it, -EINVAL without a claim.
**
** Whoever drives the operation polls its other clauses again, because partners skipped it.
*/
int kc_op_end_claim(kc_op_t *op);

/* -- queues, for clauses of your own */

/* Stand at the end of a queue. 0, or -EINVAL: a NULL, or it stands in one. */
int kc_waitlist_push(kc_waitlist_t *list, kc_waiter_t *w);

/* Leave the queue. 1, or 0 when it stood in none (that is harmless, and needs no queue to exist any more). */
int kc_waiter_leave(kc_waiter_t *w);

#endif
