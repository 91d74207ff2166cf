/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Scopes; contracts in kcoro/scope.h. */

#include "kcoro/scope.h"

#include <string.h>

#include "claim.h"

int kc_scope_open(kc_scope_t *scope, kc_token_t *parent) {
    if (scope == NULL)
        return -EINVAL;
    memset(scope, 0, sizeof *scope);
    return kc_token_init(&scope->token, parent);
}

int kc_scope_launch(kc_scope_t *scope, kc_child_t *child) {
    if (scope == NULL || child == NULL || scope->is_left)
        return -EINVAL;
    if (scope->token.is_set)
        return -ECANCELED;
    memset(child, 0, sizeof *child);
    child->scope = scope;
    scope->running++;
    return 0;
}

/* Those who wait for an idle scope; the last one may leave it, and free it. */
static void tell_idle(kc_scope_t *scope) {
    for (size_t n = scope->idle.length; n != 0; n--) {
        kc_waiter_t *w = kci_winner(&scope->idle);
        if (w == NULL)
            return;
        bool last = scope->idle.length == 0;
        kci_finish(w, NULL);
        if (last)
            return;
    }
}

int kc_child_end(kc_child_t *child, int code) {
    if (child == NULL || child->scope == NULL)
        return -EINVAL;
    kc_scope_t *scope = child->scope;
    bool has_failed = code < 0 && code != -ECANCELED;
    child->scope = NULL;
    child->code = code;
    if (has_failed && scope->error == 0)
        scope->error = code;
    kc_event_set(&child->done, child); /* the child may be gone from here on; the scope is not, for it still counts */
    if (has_failed)
        kc_token_trigger(&scope->token, NULL);
    if (--scope->running == 0)
        tell_idle(scope);
    return 0;
}

int kc_scope_wait(kc_scope_t *scope, kc_waiter_t *w) {
    if (scope == NULL || w == NULL || w->op == NULL || w->list != NULL || scope->is_left)
        return -EINVAL;
    if (scope->running == 0 && kc_waiter_complete(w, NULL))
        return 0;
    kci_push(&scope->idle, w);
    return -EAGAIN;
}

int kc_scope_cancel(kc_scope_t *scope, void *reason) {
    return scope == NULL ? -EINVAL : kc_token_trigger(&scope->token, reason);
}

int kc_scope_leave(kc_scope_t *scope) {
    if (scope == NULL || scope->is_left)
        return -EINVAL;
    if (scope->running != 0 || kc_token_end(&scope->token) != 0)
        return -EAGAIN;
    scope->is_left = true;
    return scope->error;
}
