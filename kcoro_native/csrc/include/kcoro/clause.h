/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** What a select clause is: the public protocol; twin of kcoro_core/clauses/protocol.py.
**
** A clause is asked up to three things for each wait:
**
**   poll      ready now? then kc_waiter_win, move the value, kc_waiter_finish (or fail, or shut)
**   enlist    not ready: have the arm won as soon as it is; may find it ready, and finish it at once
**   withdraw  the wait is over, whoever won; forget the arm; called exactly once for each enlist that returned 0
**
** Rule 1: poll has an effect only if the win returned 1; a clause that lost has done nothing.
** Rule 2: none of them waits, and none uses a channel of the same select.
** Rule 3: after withdraw nothing of the clause refers to the arm. Withdraw may be called when what the clause waited
** for exists no more: kc_waiter_leave needs no queue.
**
** While a clause of another process is being asked for, nobody can win the arm; an event that comes then must be found
** by the next poll, which may happen after enlist.
*/
#ifndef KCORO_CLAUSE_H
#define KCORO_CLAUSE_H

#include "channel.h"

typedef struct kc_clause kc_clause_t;

/* What a kind of clause does. Static, and shared by all clauses of the kind; self->arm is the waiter. */
typedef struct kc_clause_ops {
    /* 1: the select is decided now. 0: not ready. Negative: misuse, or no memory; the select ends with it. */
    int (*poll)(kc_clause_t *self);
    /* 0, or negative: misuse; the select ends with it. */
    int (*enlist)(kc_clause_t *self);
    void (*withdraw)(kc_clause_t *self);
    /* As poll, once enlisted, without meeting the select itself. NULL: poll does that already. */
    int (*poll_again)(kc_clause_t *self);
} kc_clause_ops_t;

/* One clause; the caller's memory, for as long as its select is used. Fill it by the functions below. */
struct kc_clause {
    const kc_clause_ops_t *ops;
    void *subject;    /* the channel or the event; borrowed: the caller keeps a reference */
    kc_waiter_t arm;  /* its waiter; arm.value is what a send offers */
    size_t turn;      /* the select's: which clause is polled in this place */
    bool is_enlisted; /* the select's */
};

/* Ready when the channel has an element or a waiting sender, or is closed and drained. 0, or -EINVAL. */
int kc_clause_recv(kc_clause_t *clause, kc_chan_t *ch);

/*
** Ready when a receiver waits, there is room, or the channel is closed. A clause that loses has not sent.
**
** element  the channel's once this clause has won without an error, else still the caller's
**
** Returns 0, or -EINVAL.
*/
int kc_clause_send(kc_clause_t *clause, kc_chan_t *ch, void *element);

/* A clause of a kind of your own about `subject`. 0, or -EINVAL: a function is missing. */
int kc_clause_custom(kc_clause_t *clause, const kc_clause_ops_t *ops, void *subject);

#endif
