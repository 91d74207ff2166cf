/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Select: wait for several clauses, take the effect of exactly one; twin of kcoro_core/select.py and
** reference/select.py.
**
**     rc = kc_select_poll(&s);                        take a clause that is ready now
**     if (rc == -EAGAIN)
**         rc = kc_select_enlist(&s, parker);          wait for all of them
**     if (rc == -EAGAIN) { ... until the parker was told ...
**         rc = kc_select_finish(&s); }                withdraw from all of them
**     if (rc >= 0) clause rc has won, and s.op.value is what it gave
**
** Between poll and enlist no other code of the loop runs: that makes the poll a snapshot.
**
** Rule 1: exactly one clause takes effect, and none of the others leaves a trace.
** Rule 2: a select never meets itself, although it may send and receive on one channel.
** Rule 3: the memory is the caller's; nothing is allocated. A select may be used again and again, one wait at a time.
*/
#ifndef KCORO_SELECT_H
#define KCORO_SELECT_H

#include "clause.h"

/* Chooses a number below `n`, which is at least 1, each with equal chance; a larger answer counts modulo `n`. */
typedef size_t (*kc_pick_fn)(void *ctx, size_t n);

/* One select. Read op and last; write it by the functions below only. */
typedef struct kc_select {
    kc_op_t op;
    kc_clause_t *clauses;
    size_t count;
    kc_select_mode_t mode;
    kc_closed_rule_t rule;
    int last; /* the index that won the previous time, -1 at first; KC_ROUND_ROBIN starts behind it */
    kc_pick_fn pick;
    void *pick_ctx;
    bool is_busy; /* it waits: clauses are enlisted */
} kc_select_t;

/*
** Begin a select over an array of filled clauses, at least one.
**
** clauses  borrowed for as long as the select is used; each may be filled anew between two waits
**
** Returns 0, or -EINVAL.
*/
int kc_select_init(kc_select_t *s, kc_clause_t *clauses, size_t count, kc_select_mode_t mode, kc_closed_rule_t rule);

/* Where KC_UNBIASED gets its chance from. Without one it takes the clauses in their order. 0, or -EINVAL. */
int kc_select_use_chance(kc_select_t *s, kc_pick_fn pick, void *ctx);

/*
** Ask every clause in the order of the mode until one has decided.
**
** Returns the index that won; -EAGAIN: none is ready; -EPIPE: a closed clause won, s->op.claim is its index, or
** KC_CLOSED under KC_SKIP; -EINVAL: misuse; or -ENOMEM: a send found no memory. Then nothing was taken.
*/
int kc_select_poll(kc_select_t *s);

/*
** After -EAGAIN: wait for all clauses.
**
** parker  borrowed until the select is finished; told when it is decided
**
** Returns -EAGAIN: it waits, call kc_select_finish later; else what kc_select_finish would, which need not be called.
*/
int kc_select_enlist(kc_select_t *s, kc_parker_t *parker);

/*
** After a claim that was denied (kc_op_end_claim): ask the clauses again, which partners had passed over. Returns as
** kc_select_finish. The parker may be told meanwhile, and must not free the select before this function has returned.
*/
int kc_select_again(kc_select_t *s);

/*
** End a wait that was decided: withdraw every clause.
**
** Returns as kc_select_poll, or -ETIME, -ECANCELED; -EAGAIN: it is not decided, and still waits. To end it nevertheless
** call kc_op_give_up(&s->op) first.
*/
int kc_select_finish(kc_select_t *s);

/*
** In which order clauses are looked at: order[k] is the index in place k.
**
** last   the index that won the previous time, -1 at first
** pick   for KC_UNBIASED; NULL leaves the order as it is
**
** Returns 0, or -EINVAL.
*/
int kc_poll_order(kc_select_mode_t mode, size_t count, int last, kc_pick_fn pick, void *ctx, size_t *order);

/* A small source of chance for kc_pick_fn, good for shuffles and not for secrets; ctx is a uint64_t, any seed. */
size_t kc_pick_random(void *ctx, size_t n);

#endif
