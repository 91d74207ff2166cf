/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The inside of tokens, for cancel.c, clauses_of_events.c and those who give them a lock: shared_token.c, shared.c and
** shared_select.c.
**
** The root's `lock` guards all that is plain in its tree, and the operations that wait by it until they have taken
** their subscription back. Whoever holds locks of channels may take it, never the other way round; of several trees
** that with the lower address comes first.
*/
#ifndef KCI_TOKENS_H
#define KCI_TOKENS_H

#include <pthread.h>

#include "kcoro/clause.h"
#include "kcoro/shared_token.h"
#include "kcoro/cancel.h"

struct kc_shared_token {
    kc_token_t token;
    kc_atomic_int is_set; /* as token.is_set, for those without the lock */
    kc_atomic_int references;
    kc_shared_token_t *parent, *root;
    pthread_mutex_t lock; /* a root's */
};

/* An operation that ends when a token is set. */
typedef struct kci_heed {
    kc_subscription_t subscription;
    kc_shared_token_t *token; /* NULL: there is none */
    kc_op_t *op;
} kci_heed_t;

/* -- cancel.c */

/* Set this token and all below it, chained by `found`, and take their subscriptions over into `pending`. */
void kci_token_set(kc_token_t *token, void *reason, kc_subscriptions_t *pending);

/* Call what was taken over. */
void kci_token_tell(kc_subscriptions_t *pending);

/* -- clauses_of_events.c: what a clause about a token does */

int kci_triggered_poll(kc_clause_t *self);
int kci_triggered_enlist(kc_clause_t *self);
void kci_triggered_withdraw(kc_clause_t *self);

/* -- shared_token.c */

/* The shared token that has this token inside. */
static inline kc_shared_token_t *kci_shared_of(kc_token_t *token) {
    return (kc_shared_token_t *)(void *)((char *)token - offsetof(kc_shared_token_t, token));
}

/* Whether it is set; a NULL is not. Then whoever had to be told of it has been. No tree is locked by the caller. */
bool kci_token_is_set(kc_shared_token_t *token);

/* Have `token`, unless it is NULL, end `op` until kci_forget, with its tree locked. 0; or -ECANCELED: it is set. */
int kci_heed(kci_heed_t *heed, kc_shared_token_t *token, kc_op_t *op);

/* Behind it nobody knows the operation by its token any more; with its tree locked. */
void kci_forget(kci_heed_t *heed);

/* The same two, and they lock the tree themselves. */
int kci_heed_alone(kci_heed_t *heed, kc_shared_token_t *token, kc_op_t *op);
void kci_forget_alone(kci_heed_t *heed);

#endif
