/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Cancel tokens that tasks on many threads share, and threads too: those of kcoro/cancel.h, with a lock for each tree.
**
** Rule 1: triggering a token sets it and everything below it, never anything above. A token is set once; the first
** reason stays. A child made under a set token starts set.
** Rule 2: whoever has been told that a token is set, by any function, finds all below it set, and each wait ended that
** one of them ends.
** Rule 3: at the instant of a call cancel beats close beats ready beats timeout. From the moment in which it waits, the
** claim word decides: what was sent or received meanwhile stays so.
** Rule 4: who waits by a token needs a reference to it that lasts as long. A token holds one to its parent.
**
** There are no callbacks: whoever wants to know waits, by kc_shared_token_wait or by a clause (kcoro/shared_clauses.h).
** A token of which nobody asks more than that is what kcoro/event.h is for one loop.
*/
#ifndef KCORO_SHARED_TOKEN_H
#define KCORO_SHARED_TOKEN_H

#include "shared.h"

typedef struct kc_shared_token kc_shared_token_t;

/* -- its life */

/*
** Make a token, and give the caller its first reference.
**
** parent  NULL for none; under one that is set it starts set
**
** Returns 0 and sets *out; or -EINVAL, -ENOMEM, and *out is NULL.
*/
int kc_shared_token_make(kc_shared_token_t **out, kc_shared_token_t *parent);

/* Count one more reference. 0, or -EINVAL. */
int kc_shared_token_retain(kc_shared_token_t *token);

/* Count one less; with the last one its memory is free, and its reference to its parent goes. 0, or -EINVAL. */
int kc_shared_token_release(kc_shared_token_t *token);

/* -- setting it, and asking */

/*
** Set this token and all below it, and end what waits by them.
**
** reason  borrowed, never looked into; has to live as long as somebody asks for it
**
** Returns 1, 0 when it is set already, or -EINVAL.
*/
int kc_shared_token_trigger(kc_shared_token_t *token, void *reason);

/* Whether it has been triggered, or one above it: 1, 0 or -EINVAL. Never becomes 0 again. */
int kc_shared_token_is_set(kc_shared_token_t *token);

/* What was given to the trigger that set it; NULL before, and of a NULL. */
void *kc_shared_token_reason(kc_shared_token_t *token);

/*
** Wait until it is set, in a task or a thread.
**
** Returns 0; -EAGAIN (timeout_ns is 0), -ETIME; -ECANCELED: the task is cancelled; -ENOMEM, -EINVAL.
*/
int kc_shared_token_wait(kc_shared_token_t *token, int64_t timeout_ns);

/* -- calls that end when it is set; `token` NULL is a call without one */

/* As kc_send, and -ECANCELED once the token is set; the element is the caller's then. */
int kc_send_unless(kc_shared_t *ch, void *element, int64_t timeout_ns, kc_shared_token_t *token);

/* As kc_recv, and -ECANCELED once the token is set; nothing was received then. */
int kc_recv_unless(kc_shared_t *ch, void **element, int64_t timeout_ns, kc_shared_token_t *token);

/* As kc_select_wait, and -ECANCELED once the token is set; nothing was taken then. */
int kc_select_unless(kc_select_t *s, int64_t timeout_ns, kc_shared_token_t *token);

#endif
