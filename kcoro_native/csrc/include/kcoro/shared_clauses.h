/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Clauses about time and tokens for kc_select_wait; those of kcoro/clauses.h, for many threads.
**
** Each needs a little memory of its own beside the clause; the caller's, for as long as the clause is used.
*/
#ifndef KCORO_SHARED_CLAUSES_H
#define KCORO_SHARED_CLAUSES_H

#include "clauses.h"
#include "shared_token.h"

/* What a clause about time needs. */
typedef struct kc_shared_after {
    int64_t timeout_ns;
} kc_shared_after_t;

/*
** Ready `timeout_ns` nanoseconds after each wait of its select has begun; gives NULL. 0 is ready at once: in the last
** place that is a default clause. Negative is never. Where several are due the shortest wins, and of equal ones the
** first, also over the timeout of the wait.
**
** Returns 0, or -EINVAL.
*/
int kc_shared_clause_after(kc_clause_t *clause, kc_shared_after_t *memory, int64_t timeout_ns);

/* Ready once the token is set; gives its reason. Unlike the token of a call it ends nothing. 0, or -EINVAL. */
int kc_shared_clause_triggered(kc_clause_t *clause, kc_triggered_t *memory, kc_shared_token_t *token);

#endif
