/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The tree of cancel tokens: triggering one sets it and everything below it, never anything above; twin of
** reference/cancel.py.
**
** Rule 1: the whole subtree is set before the first callback runs, so no callback sees half a tree.
** Rule 2: a token is set once; the first reason stays. A child made under a set token starts set.
** Rule 3: callbacks run once each, in the order in which they were added, parents before children.
** Rule 4: the memory is the caller's; nothing is allocated, and depth has no limit. A parent outlives its children,
** but for those that are set: they need it no more.
*/
#ifndef KCORO_CANCEL_H
#define KCORO_CANCEL_H

#include <stdbool.h>

#include "codes.h"

typedef struct kc_token kc_token_t;
typedef struct kc_subscription kc_subscription_t;

/* A callback that waits on a token; the caller's memory, from subscribe until it has run, or was taken back.
** Put it first in a structure of your own to find your way back. */
struct kc_subscription {
    kc_subscription_t *prev, *next;
    struct kc_subscriptions *list; /* where it stands, or NULL */
    kc_token_t *token;             /* what it waits on; NULL once that is set */
    /* What happens when the token is set; it may use any token, and free its own. */
    void (*fn)(kc_subscription_t *self);
};

/* A list of subscriptions; the token's. */
typedef struct kc_subscriptions {
    kc_subscription_t *first, *last;
} kc_subscriptions_t;

/* One node of the tree. Read is_set and reason; write it by the functions below only. */
struct kc_token {
    kc_token_t *parent;
    kc_token_t *prev, *next;              /* siblings */
    kc_token_t *first_child, *last_child; /* those that are not set */
    kc_token_t *found;                    /* the next of a subtree that is being set */
    kc_subscriptions_t waiting;
    void *reason; /* what was given to trigger; never looked into */
    bool is_set;
};

/* Begin a token, below `parent` unless that is NULL; under a parent that is set it starts set. 0, or -EINVAL. */
int kc_token_init(kc_token_t *token, kc_token_t *parent);

/* End a token's memory. 0, or -EINVAL, without effect: there are children that are not set, or callbacks. */
int kc_token_end(kc_token_t *token);

/* Whether it has been triggered, or one above it: 1, 0 or -EINVAL. Never becomes 0 again. */
int kc_token_is_set(const kc_token_t *token);

/*
** Have `fn` called when the token is set. A subscription that was used before may be used again.
**
** Returns 0, -ECANCELED: the token is set already, and `fn` will not be called; or -EINVAL.
*/
int kc_token_subscribe(kc_token_t *token, kc_subscription_t *subscription, void (*fn)(kc_subscription_t *self));

/*
** Take a callback back. 1 exactly when it has not run and now never will; else 0: it has run, or runs in the trigger
** that is under way, and its memory has to stay until then.
*/
int kc_token_unsubscribe(kc_subscription_t *subscription);

/*
** Take a callback back because its memory goes away, even out of a trigger that is under way. 1 when it would have run,
** else 0.
*/
int kc_token_forget(kc_subscription_t *subscription);

/* Set this token and all below it, then run their callbacks. 1, 0 when it is set already, or -EINVAL. */
int kc_token_trigger(kc_token_t *token, void *reason);

#endif
