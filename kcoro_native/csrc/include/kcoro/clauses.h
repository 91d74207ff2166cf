/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Clauses about time and tokens; the twins of After and Triggered in kcoro_core/clauses/events.py.
**
** Each needs a little memory of its own beside the clause; the caller's, for as long as the clause is used.
*/
#ifndef KCORO_CLAUSES_H
#define KCORO_CLAUSES_H

#include "cancel.h"
#include "clause.h"
#include "timer.h"

/* What a clause about a deadline needs. */
typedef struct kc_after {
    kc_timer_t timer;
    kc_clause_t *clause;
    kc_timers_t *timers;
    uint64_t deadline;
    bool has_passed;
} kc_after_t;

/* What a clause about a token needs. */
typedef struct kc_triggered {
    kc_subscription_t subscription;
    kc_clause_t *clause;
    kc_token_t *token;
} kc_triggered_t;

/*
** Ready once `timers` have expired at `deadline`; gives NULL. A deadline of 0 is ready at once: in the last place that
** is a default clause.
**
** Returns 0, or -EINVAL.
*/
int kc_clause_after(kc_clause_t *clause, kc_after_t *memory, kc_timers_t *timers, uint64_t deadline);

/* Ready once the token is set; gives its reason. Unlike the token of a call it ends nothing. 0, or -EINVAL. */
int kc_clause_triggered(kc_clause_t *clause, kc_triggered_t *memory, kc_token_t *token);

#endif
