/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* One waiter: how a waiting call ends, exactly once; rules and contracts in kcoro/waiter.h. */

#include "kcoro/waiter.h"

#include <limits.h>
#include <string.h>

#include "claim.h"
#include "kcoro/codes.h"

/* The largest index whose KC_CLAIMING - index is still an int. */
#define LAST_INDEX (INT_MAX + KC_CLAIMING)

/* -- the operation and its clauses */

static int op_init(kc_op_t *op, kc_parker_t *parker, kc_closed_rule_t rule, size_t clauses) {
    if (op == NULL || clauses == 0)
        return -EINVAL;
    memset(op, 0, sizeof *op);
    kc_atomic_store(&op->claim, KC_WAITING);
    op->late = KC_WAITING;
    op->closed_rule = rule;
    kc_atomic_store(&op->open_arms, (int)clauses);
    op->parker = parker;
    return 0;
}

int kc_op_init(kc_op_t *op, kc_parker_t *parker) {
    return op_init(op, parker, KC_RAISE, 1);
}

int kc_op_init_select(kc_op_t *op, kc_closed_rule_t rule, size_t clauses) {
    if (rule < KC_RAISE || rule > KC_SKIP || clauses > LAST_INDEX)
        return -EINVAL;
    return op_init(op, NULL, rule, clauses);
}

int kc_waiter_init(kc_waiter_t *w, kc_op_t *op, int index, bool sending, void *value) {
    if (w == NULL || op == NULL || index < 0 || index > LAST_INDEX)
        return -EINVAL;
    memset(w, 0, sizeof *w);
    w->op = op;
    w->index = index;
    w->sending = sending;
    w->value = value;
    return 0;
}

int kc_op_claim(const kc_op_t *op) {
    return op == NULL ? KC_CANCELLED : kci_claim(op);
}

int kc_op_result(const kc_op_t *op) {
    if (op == NULL)
        return -EINVAL;
    int claim = kci_claim(op);
    if (claim <= KC_CLAIMING || claim == KC_WAITING)
        return -EAGAIN;
    if (claim == KC_CANCELLED)
        return -ECANCELED;
    if (claim == KC_TIMED_OUT)
        return -ETIME;
    return op->error != 0 ? op->error : claim;
}

/* -- a counterpart decides */

int kc_waiter_win(kc_waiter_t *w) {
    return w != NULL && w->op != NULL && kci_win(w);
}

int kc_waiter_finish(kc_waiter_t *w, void *value) {
    if (w == NULL || w->op == NULL || kci_claim(w->op) != w->index)
        return -EINVAL;
    kci_finish(w, value);
    return 0;
}

int kc_waiter_complete(kc_waiter_t *w, void *value) {
    if (!kc_waiter_win(w))
        return 0;
    kci_finish(w, value);
    return 1;
}

static void fail(kc_op_t *op, int error) {
    op->error = error;
    kci_wake(op);
}

int kc_waiter_fail(kc_waiter_t *w, int error) {
    if (w == NULL || w->op == NULL || error >= 0 || kci_claim(w->op) != w->index)
        return -EINVAL;
    fail(w->op, error);
    return 0;
}

/* Under KC_SKIP a closed channel only counts its clause out, once; the last one ends the select. Channels with locks of
** their own may close at once: whoever was not the last to count looks at the operation no more. */
static int skip(kc_waiter_t *w) {
    kc_op_t *op = w->op;
    int left = kc_atomic_load(&op->open_arms);
    if (!w->dead) {
        w->dead = true;
        left = kc_atomic_add_sc(&op->open_arms, -1);
    }
    if (left != 0 || !kci_take(op, KC_CLOSED))
        return 0;
    fail(op, -EPIPE);
    return 1;
}

int kc_waiter_shut(kc_waiter_t *w) {
    if (w == NULL || w->op == NULL)
        return 0;
    if (w->op->closed_rule == KC_SKIP)
        return skip(w);
    if (!kci_win(w))
        return 0;
    fail(w->op, -EPIPE);
    return 1;
}

/* -- the owner's side decides */

/* A decision that comes while a claim is under way is remembered; cancel beats timeout, so a cancel stays. */
static int end(kc_op_t *op, int how) {
    if (kci_take(op, how)) {
        kci_wake(op);
        return 1;
    }
    if (kci_claim(op) <= KC_CLAIMING && op->late != KC_CANCELLED)
        op->late = how;
    return 0;
}

int kc_op_expire(kc_op_t *op) {
    return op != NULL && end(op, KC_TIMED_OUT);
}

int kc_op_revoke(kc_op_t *op) {
    return op != NULL && end(op, KC_CANCELLED);
}

int kc_op_give_up(kc_op_t *op) {
    if (op == NULL)
        return 0;
    if (kci_take(op, KC_CANCELLED))
        return 1;
    if (kci_claim(op) <= KC_CLAIMING)
        op->late = KC_CANCELLED;
    return 0;
}

/* -- a clause of another process */

int kc_op_begin_claim(kc_op_t *op, int index) {
    if (op == NULL || index < 0 || index > LAST_INDEX)
        return -EINVAL;
    if (!kci_take(op, KC_CLAIMING - index))
        return 0;
    op->late = KC_WAITING;
    return 1;
}

int kc_op_win_claim(kc_op_t *op) {
    int claim = kc_op_claim(op);
    if (op == NULL || claim > KC_CLAIMING)
        return -EINVAL;
    kc_atomic_store(&op->claim, KC_CLAIMING - claim);
    return KC_CLAIMING - claim;
}

int kc_op_end_claim(kc_op_t *op) {
    if (op == NULL || kci_claim(op) > KC_CLAIMING)
        return -EINVAL;
    int late = op->late;
    kc_atomic_store(&op->claim, KC_WAITING);
    return late == KC_WAITING || !end(op, late); /* who is woken may free the operation */
}

/* -- queues */

int kc_waitlist_push(kc_waitlist_t *list, kc_waiter_t *w) {
    if (list == NULL || w == NULL || w->list != NULL)
        return -EINVAL;
    kci_push(list, w);
    return 0;
}

int kc_waiter_leave(kc_waiter_t *w) {
    if (w == NULL || w->list == NULL)
        return 0;
    kci_unlink(w);
    return 1;
}
