/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Clauses about time and tokens; contracts in kcoro/clauses.h. */

#include "kcoro/clauses.h"

#include <string.h>

#include "claim.h"
#include "tokens.h"

/* -- After */

static void passed(kc_timer_t *timer) {
    kc_after_t *after = (kc_after_t *)(void *)timer;
    after->has_passed = true; /* for the next poll, should the arm be claimed now */
    kc_waiter_complete(&after->clause->arm, NULL);
}

static int after_poll(kc_clause_t *self) {
    const kc_after_t *after = self->subject;
    return (after->has_passed || after->deadline == 0) && kc_waiter_complete(&self->arm, NULL);
}

static int after_enlist(kc_clause_t *self) {
    kc_after_t *after = self->subject;
    after->has_passed = false;
    return kc_timer_start(after->timers, &after->timer, after->deadline, passed);
}

static void after_withdraw(kc_clause_t *self) {
    kc_after_t *after = self->subject;
    after->has_passed = false;
    kc_timer_cancel(&after->timer);
}

int kc_clause_after(kc_clause_t *clause, kc_after_t *memory, kc_timers_t *timers, uint64_t deadline) {
    static const kc_clause_ops_t ops = {after_poll, after_enlist, after_withdraw, NULL};
    if (memory == NULL || timers == NULL || kc_clause_custom(clause, &ops, memory) != 0)
        return -EINVAL;
    memset(memory, 0, sizeof *memory);
    memory->clause = clause;
    memory->timers = timers;
    memory->deadline = deadline;
    return 0;
}

/* -- Triggered */

static void triggered(kc_subscription_t *subscription) {
    kc_triggered_t *memory = (kc_triggered_t *)(void *)subscription;
    kc_waiter_complete(&memory->clause->arm, memory->token->reason);
}

int kci_triggered_poll(kc_clause_t *self) {
    const kc_token_t *token = ((kc_triggered_t *)self->subject)->token;
    return token->is_set && kc_waiter_complete(&self->arm, token->reason);
}

int kci_triggered_enlist(kc_clause_t *self) {
    kc_triggered_t *memory = self->subject;
    int rc = kc_token_subscribe(memory->token, &memory->subscription, triggered);
    if (rc != -ECANCELED)
        return rc;
    kc_waiter_complete(&self->arm, memory->token->reason);
    return 0;
}

void kci_triggered_withdraw(kc_clause_t *self) {
    kc_token_forget(&((kc_triggered_t *)self->subject)->subscription);
}

int kc_clause_triggered(kc_clause_t *clause, kc_triggered_t *memory, kc_token_t *token) {
    static const kc_clause_ops_t ops = {kci_triggered_poll, kci_triggered_enlist, kci_triggered_withdraw, NULL};
    if (memory == NULL || token == NULL || kc_clause_custom(clause, &ops, memory) != 0)
        return -EINVAL;
    memset(memory, 0, sizeof *memory);
    memory->clause = clause;
    memory->token = token;
    return 0;
}
