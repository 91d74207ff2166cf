/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Select; contracts in kcoro/select.h. */

#include "kcoro/select.h"

#include <limits.h>
#include <string.h>

#include "claim.h"

/* -- the order of the clauses */

size_t kc_pick_random(void *ctx, size_t n) {
    /* splitmix64, after its published description: a counter with an odd step, mixed. */
    if (ctx == NULL || n == 0)
        return 0;
    uint64_t *state = ctx, x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (size_t)((x ^ (x >> 31)) % n);
}

/* Place k of an order that lies in an array of numbers, or in the clauses themselves. */
static size_t *place(void *order, size_t stride, size_t k) {
    return (size_t *)(void *)((char *)order + k * stride);
}

/* A real shuffle: rotating from a random start would favour a clause that follows unready ones. */
static void shuffle(void *order, size_t stride, size_t count, kc_pick_fn pick, void *ctx) {
    for (size_t k = count - 1; k >= 1; k--) {
        size_t other = pick(ctx, k + 1) % (k + 1);
        size_t index = *place(order, stride, k);
        *place(order, stride, k) = *place(order, stride, other);
        *place(order, stride, other) = index;
    }
}

static void put_order(void *order, size_t stride, kc_select_mode_t mode, size_t count, int last, kc_pick_fn pick,
                      void *ctx) {
    size_t first = mode == KC_ROUND_ROBIN ? (size_t)(last + 1) % count : 0;
    for (size_t k = 0; k < count; k++)
        *place(order, stride, k) = (first + k) % count;
    if (mode == KC_UNBIASED && pick != NULL)
        shuffle(order, stride, count, pick, ctx);
}

static bool is_legal(kc_select_mode_t mode, size_t count) {
    return mode >= KC_BIASED && mode <= KC_ROUND_ROBIN && count >= 1 && count <= INT_MAX + KC_CLAIMING;
}

int kc_poll_order(kc_select_mode_t mode, size_t count, int last, kc_pick_fn pick, void *ctx, size_t *order) {
    if (order == NULL || !is_legal(mode, count) || last < -1 || (last >= 0 && (size_t)last >= count))
        return -EINVAL;
    put_order(order, sizeof *order, mode, count, last, pick, ctx);
    return 0;
}

/* -- the life of a select */

int kc_select_init(kc_select_t *s, kc_clause_t *clauses, size_t count, kc_select_mode_t mode, kc_closed_rule_t rule) {
    if (s == NULL || clauses == NULL || !is_legal(mode, count) || rule < KC_RAISE || rule > KC_SKIP)
        return -EINVAL;
    memset(s, 0, sizeof *s);
    s->clauses = clauses;
    s->count = count;
    s->mode = mode;
    s->rule = rule;
    s->last = -1;
    return kc_op_init_select(&s->op, rule, count);
}

int kc_select_use_chance(kc_select_t *s, kc_pick_fn pick, void *ctx) {
    if (s == NULL)
        return -EINVAL;
    s->pick = pick;
    s->pick_ctx = ctx;
    return 0;
}

static bool is_decided(const kc_select_t *s) {
    return kc_op_result(&s->op) != -EAGAIN;
}

/* The result, once nothing waits any more; and who won is remembered. */
static int settle(kc_select_t *s) {
    int claim = kci_claim(&s->op);
    for (size_t i = 0; i < s->count; i++)
        if (s->clauses[i].is_enlisted) {
            s->clauses[i].is_enlisted = false;
            s->clauses[i].ops->withdraw(&s->clauses[i]);
        }
    s->is_busy = false;
    if (claim >= 0)
        s->last = claim;
    return kc_op_result(&s->op);
}

/* Misuse of a clause ends the wait; nothing was taken. Something that had won meanwhile stays won. */
static int refuse(kc_select_t *s, int rc) {
    kc_op_give_up(&s->op);
    int result = settle(s);
    return result == -ECANCELED ? rc : result;
}

/* -- the steps */

/* A new operation and new arms for this wait; what clauses offer stays. */
static int begin(kc_select_t *s) {
    void *task = s->op.task;
    kc_op_init_select(&s->op, s->rule, s->count);
    s->op.task = task;
    for (size_t i = 0; i < s->count; i++) {
        kc_clause_t *clause = &s->clauses[i];
        if (clause->ops == NULL || clause->is_enlisted)
            return -EINVAL;
        kc_waiter_init(&clause->arm, &s->op, (int)i, clause->arm.sending, clause->arm.value);
    }
    put_order(&s->clauses[0].turn, sizeof *s->clauses, s->mode, s->count, s->last, s->pick, s->pick_ctx);
    return 0;
}

int kc_select_poll(kc_select_t *s) {
    if (s == NULL || s->clauses == NULL || s->is_busy || begin(s) != 0)
        return -EINVAL;
    for (size_t k = 0; k < s->count; k++) {
        kc_clause_t *clause = &s->clauses[s->clauses[k].turn];
        int rc = clause->ops->poll(clause);
        if (rc < 0)
            return refuse(s, rc);
        if (rc > 0 || kci_claim(&s->op) != KC_WAITING)
            return settle(s);
    }
    return -EAGAIN;
}

int kc_select_enlist(kc_select_t *s, kc_parker_t *parker) {
    if (s == NULL || s->clauses == NULL || s->is_busy || s->clauses[0].arm.op != &s->op || is_decided(s))
        return -EINVAL;
    s->is_busy = true;
    for (size_t i = 0; i < s->count; i++) {
        int rc = s->clauses[i].ops->enlist(&s->clauses[i]);
        if (rc < 0)
            return refuse(s, rc);
        s->clauses[i].is_enlisted = true;
        if (is_decided(s))
            return settle(s);
    }
    s->op.parker = parker;
    return -EAGAIN;
}

int kc_select_again(kc_select_t *s) {
    if (s == NULL || !s->is_busy)
        return -EINVAL;
    for (size_t k = 0; k < s->count && kci_claim(&s->op) == KC_WAITING; k++) {
        kc_clause_t *clause = &s->clauses[s->clauses[k].turn];
        int rc = clause->ops->poll_again != NULL ? clause->ops->poll_again(clause) : clause->ops->poll(clause);
        if (rc < 0)
            return refuse(s, rc);
    }
    return kc_select_finish(s);
}

int kc_select_finish(kc_select_t *s) {
    if (s == NULL || !s->is_busy)
        return -EINVAL;
    return is_decided(s) ? settle(s) : -EAGAIN;
}
