/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* The selects of a program; see harness.c. */

#include "harness_world.h"

static size_t pick_next(void *ctx, size_t n) {
    struct world *t = ctx;
    t->chance = (t->chance * 1103515245u + 12345u) & 0x7fffffffu;
    return t->chance % n;
}

static void fill(struct world *t, struct call *call, const int32_t *words) {
    for (int i = 0; i < call->count; i++) {
        int kind = words[i] % 5, which = words[i] / 5;
        if (kind == 0)
            kc_clause_event(&call->clauses[i], &t->events[which % EVENTS]);
        else if (kind <= 2)
            kc_clause_recv(&call->clauses[i], t->channels[which % t->channel_count]);
        else
            kc_clause_send(&call->clauses[i], t->channels[which % t->channel_count], next_value(t));
    }
}

void see_result(struct world *t, const struct call *call, int rc) {
    see(t, rc);
    if (rc == -EAGAIN)
        return;
    see(t, kc_op_claim(call->op));
    see(t, rc < 0 ? 0 : (intptr_t)call->op->value);
    if (kc_op_claim(call->op) >= 0)
        t->last = kc_op_claim(call->op);
}

void begin_select(struct world *t, const int32_t *step) {
    struct call *call = new_call(t, 1 + step[5] % ARMS);
    if (call == NULL)
        return;
    call->is_select = true;
    call->op = &call->select.op;
    fill(t, call, step + 6);
    kc_select_init(&call->select, call->clauses, (size_t)call->count, (kc_select_mode_t)(step[3] % 3),
        (kc_closed_rule_t)(step[4] % 3));
    kc_select_use_chance(&call->select, pick_next, t);
    call->select.last = t->last < call->count ? t->last : -1;
    call->op->task = call;
    int rc = kc_select_poll(&call->select);
    if (rc == -EAGAIN)
        rc = kc_select_enlist(&call->select, &t->parker);
    call->left = rc != -EAGAIN;
    see_result(t, call, rc);
}
