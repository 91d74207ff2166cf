/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* The tree of cancel tokens; contracts in kcoro/cancel.h. */

#include "kcoro/cancel.h"

#include <stddef.h>
#include <string.h>

#include "tokens.h"

/* -- lists */

static void append(kc_subscriptions_t *list, kc_subscription_t *s) {
    s->list = list;
    s->prev = list->last;
    s->next = NULL;
    *(list->last != NULL ? &list->last->next : &list->first) = s;
    list->last = s;
}

static void cut(kc_subscription_t *s) {
    kc_subscriptions_t *list = s->list;
    *(s->prev != NULL ? &s->prev->next : &list->first) = s->next;
    *(s->next != NULL ? &s->next->prev : &list->last) = s->prev;
    s->list = NULL;
    s->prev = s->next = NULL;
}

static void adopt(kc_token_t *parent, kc_token_t *child) {
    child->parent = parent;
    child->prev = parent->last_child;
    *(parent->last_child != NULL ? &parent->last_child->next : &parent->first_child) = child;
    parent->last_child = child;
}

static void part(kc_token_t *child) {
    kc_token_t *parent = child->parent;
    if (parent == NULL)
        return;
    *(child->prev != NULL ? &child->prev->next : &parent->first_child) = child->next;
    *(child->next != NULL ? &child->next->prev : &parent->last_child) = child->prev;
    child->parent = child->prev = child->next = NULL;
}

/* -- its life */

int kc_token_init(kc_token_t *token, kc_token_t *parent) {
    if (token == NULL || token == parent)
        return -EINVAL;
    memset(token, 0, sizeof *token);
    if (parent == NULL)
        return 0;
    if (parent->is_set) {
        token->is_set = true;
        token->reason = parent->reason;
    } else {
        adopt(parent, token);
    }
    return 0;
}

int kc_token_end(kc_token_t *token) {
    if (token == NULL || token->first_child != NULL || token->waiting.first != NULL)
        return -EINVAL;
    part(token);
    return 0;
}

int kc_token_is_set(const kc_token_t *token) {
    return token == NULL ? -EINVAL : token->is_set;
}

/* -- waiting on it */

int kc_token_subscribe(kc_token_t *token, kc_subscription_t *s, void (*fn)(kc_subscription_t *self)) {
    if (token == NULL || s == NULL || fn == NULL || s->list != NULL)
        return -EINVAL;
    if (token->is_set)
        return -ECANCELED;
    s->token = token;
    s->fn = fn;
    append(&token->waiting, s);
    return 0;
}

int kc_token_forget(kc_subscription_t *s) {
    if (s == NULL || s->list == NULL)
        return 0;
    cut(s);
    s->token = NULL;
    return 1;
}

int kc_token_unsubscribe(kc_subscription_t *s) {
    return s != NULL && s->token != NULL && kc_token_forget(s);
}

/* -- setting it */

/* This token and all unset ones below it, parents first, chained by `found`. */
static void find_subtree(kc_token_t *token) {
    kc_token_t *last = token;
    token->found = NULL;
    for (kc_token_t *t = token; t != NULL; t = t->found)
        for (kc_token_t *child = t->first_child; child != NULL; child = child->next) {
            child->found = NULL;
            last = last->found = child;
        }
}

/* Set each, and take their callbacks over: no token is touched once they run, because they may free them. */
static void set_subtree(kc_token_t *token, void *reason, kc_subscriptions_t *pending) {
    for (kc_token_t *t = token, *next; t != NULL; t = next) {
        next = t->found;
        t->is_set = true;
        t->reason = reason;
        part(t);
        for (kc_subscription_t *s; (s = t->waiting.first) != NULL;) {
            cut(s);
            s->token = NULL;
            append(pending, s);
        }
    }
}

void kci_token_set(kc_token_t *token, void *reason, kc_subscriptions_t *pending) {
    find_subtree(token);
    set_subtree(token, reason, pending);
}

void kci_token_tell(kc_subscriptions_t *pending) {
    for (kc_subscription_t *s; (s = pending->first) != NULL;) {
        cut(s);
        s->fn(s);
    }
}

int kc_token_trigger(kc_token_t *token, void *reason) {
    kc_subscriptions_t pending = {NULL, NULL};
    if (token == NULL)
        return -EINVAL;
    if (token->is_set)
        return 0;
    kci_token_set(token, reason, &pending);
    kci_token_tell(&pending);
    return 1;
}
