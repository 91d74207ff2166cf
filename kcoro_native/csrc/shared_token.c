/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Cancel tokens that tasks on many threads share. Contracts in kcoro/shared_token.h, locks in tokens.h. */

#include <string.h>

#include "alloc.h"
#include "kcoro/shared_clauses.h"
#include "tokens.h"
#include "work.h"

/* -- its life */

/* Into the tree of its parent, or a tree of its own. 0 or -ENOMEM. */
static int plant(kc_shared_token_t *token, kc_shared_token_t *parent) {
    token->parent = parent;
    token->root = parent != NULL ? parent->root : token;
    if (parent == NULL) {
        kc_token_init(&token->token, NULL);
        return pthread_mutex_init(&token->lock, NULL) != 0 ? -ENOMEM : 0;
    }
    kc_shared_token_retain(parent);
    pthread_mutex_lock(&token->root->lock);
    kc_token_init(&token->token, &parent->token);
    kc_atomic_store(&token->is_set, token->token.is_set);
    pthread_mutex_unlock(&token->root->lock);
    return 0;
}

int kc_shared_token_make(kc_shared_token_t **out, kc_shared_token_t *parent) {
    if (out == NULL)
        return -EINVAL;
    *out = NULL;
    kc_shared_token_t *token = kci_alloc(1, sizeof *token);
    if (token == NULL)
        return -ENOMEM;
    memset(token, 0, sizeof *token);
    kc_atomic_store(&token->is_set, 0);
    kc_atomic_store(&token->references, 1);
    int rc = plant(token, parent);
    if (rc != 0)
        kci_free(token);
    else
        *out = token;
    return rc;
}

int kc_shared_token_retain(kc_shared_token_t *token) {
    if (token == NULL)
        return -EINVAL;
    kc_atomic_add_sc(&token->references, 1);
    return 0;
}

/* Nobody has it, and nothing is below it: that would hold a reference. */
static void uproot(kc_shared_token_t *token) {
    if (token->parent == NULL) {
        pthread_mutex_destroy(&token->lock);
    } else {
        pthread_mutex_lock(&token->root->lock);
        kc_token_end(&token->token);
        pthread_mutex_unlock(&token->root->lock);
    }
    kci_free(token);
}

int kc_shared_token_release(kc_shared_token_t *token) {
    if (token == NULL)
        return -EINVAL;
    for (kc_shared_token_t *parent; token != NULL && kc_atomic_add_sc(&token->references, -1) == 0; token = parent) {
        parent = token->parent; /* a loop, because depth has no limit */
        uproot(token);
    }
    return 0;
}

/* -- setting it, and asking */

int kc_shared_token_trigger(kc_shared_token_t *token, void *reason) {
    kc_subscriptions_t pending = {NULL, NULL};
    if (token == NULL)
        return -EINVAL;
    pthread_mutex_lock(&token->root->lock);
    bool is_first = !token->token.is_set;
    if (is_first) {
        kci_token_set(&token->token, reason, &pending);
        for (kc_token_t *t = &token->token; t != NULL; t = t->found)
            kc_atomic_store(&kci_shared_of(t)->is_set, 1);
        kci_token_tell(&pending);
    }
    kci_leave(&token->root->lock);
    return is_first;
}

/* One that is being set is not set before all have been told: who sets it holds the lock. */
bool kci_token_is_set(kc_shared_token_t *token) {
    if (token == NULL || kc_atomic_load(&token->is_set) == 0)
        return false;
    pthread_mutex_lock(&token->root->lock);
    pthread_mutex_unlock(&token->root->lock);
    return true;
}

int kc_shared_token_is_set(kc_shared_token_t *token) {
    return token == NULL ? -EINVAL : kci_token_is_set(token);
}

void *kc_shared_token_reason(kc_shared_token_t *token) {
    return kci_token_is_set(token) ? token->token.reason : NULL;
}

/* -- waiting */

int kc_shared_token_wait(kc_shared_token_t *token, int64_t timeout_ns) {
    kc_triggered_t memory;
    kc_clause_t clause;
    kc_select_t select;
    if (kc_shared_clause_triggered(&clause, &memory, token) != 0)
        return -EINVAL;
    kc_select_init(&select, &clause, 1, KC_BIASED, KC_RAISE);
    return kc_select_wait(&select, timeout_ns);
}

static void end(kc_subscription_t *subscription) {
    kc_op_revoke(((kci_heed_t *)(void *)subscription)->op);
}

int kci_heed(kci_heed_t *heed, kc_shared_token_t *token, kc_op_t *op) {
    *heed = (kci_heed_t){.token = token, .op = op};
    return token == NULL ? 0 : kc_token_subscribe(&token->token, &heed->subscription, end);
}

void kci_forget(kci_heed_t *heed) {
    kc_token_forget(&heed->subscription);
}

int kci_heed_alone(kci_heed_t *heed, kc_shared_token_t *token, kc_op_t *op) {
    if (token == NULL)
        return kci_heed(heed, NULL, op);
    pthread_mutex_lock(&token->root->lock);
    int rc = kci_heed(heed, token, op);
    pthread_mutex_unlock(&token->root->lock);
    return rc;
}

void kci_forget_alone(kci_heed_t *heed) {
    if (heed->token == NULL)
        return;
    pthread_mutex_lock(&heed->token->root->lock);
    kci_forget(heed);
    pthread_mutex_unlock(&heed->token->root->lock);
}
