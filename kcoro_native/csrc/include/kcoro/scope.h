/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Scopes: children that live and end together; the bookkeeping of kcoro_core/scope.py, without the children's code.
**
** Rule 1: a scope is left only when no child runs.
** Rule 2: the first failure sets the token, so that the siblings end; the first failure is what the scope ends with.
** Rule 3: a child that ends with -ECANCELED was cancelled, which is no failure.
**
** The memory of scopes and children is the caller's: a child's until it has ended and nobody waits for it.
*/
#ifndef KCORO_SCOPE_H
#define KCORO_SCOPE_H

#include "cancel.h"
#include "event.h"

/* Children that live and end together. Read token, running and error; write it by the functions below only. */
typedef struct kc_scope {
    kc_token_t token; /* set when the scope is cancelled, or a child has failed */
    size_t running;
    int error;           /* 0, or what the first child that failed ended with */
    kc_waitlist_t idle;  /* who waits until no child is running */
    bool is_left;
} kc_scope_t;

/* One child of a scope. `done` is set when it has ended, however; its value is the child. */
typedef struct kc_child {
    kc_scope_t *scope;
    kc_event_t done;
    int code; /* what it ended with; 0 while it runs */
} kc_child_t;

/* Open a scope; it is cancelled when `parent` is, unless that is NULL. 0, or -EINVAL. */
int kc_scope_open(kc_scope_t *scope, kc_token_t *parent);

/*
** Count one more child; starting what it does is the caller's part.
**
** Returns 0, -ECANCELED: the scope is cancelled, and nothing was counted; or -EINVAL.
*/
int kc_scope_launch(kc_scope_t *scope, kc_child_t *child);

/*
** A child has ended.
**
** code  0 or more: it did its work; -ECANCELED: it was cancelled; any other negative code: it failed
**
** Returns 0, or -EINVAL: it had ended before.
*/
int kc_child_end(kc_child_t *child, int code);

/*
** Wait until no child is running, with a waiter of one's own.
**
** Returns 0 and has completed the waiter; -EAGAIN: it waits now; or -EINVAL.
*/
int kc_scope_wait(kc_scope_t *scope, kc_waiter_t *w);

/* Set the token: nothing can be launched any more, and children that listen to it end. As kc_token_trigger. */
int kc_scope_cancel(kc_scope_t *scope, void *reason);

/*
** Leave a scope.
**
** Returns 0, the negative code of the first child that failed, or -EAGAIN: children are running, or somebody uses its
** token, and it stays open.
*/
int kc_scope_leave(kc_scope_t *scope);

#endif
