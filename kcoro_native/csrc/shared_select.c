/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Select over shared channels. Contracts in kcoro/shared.h.
**
** Rule 1: all locks are held from the first poll until the select waits, and again while it is withdrawn: nobody comes
** between, as in one loop. They are taken in one order, so that two selects cannot block each other: channels by their
** addresses, and then trees of tokens by those of their roots.
** Rule 2: whoever takes a waiter of a select holds the lock of one of its channels, or of the tree of one token, or of
** the timers; the claim word decides between two.
** Under KC_SKIP they count closed clauses out by an atomic word, and the one that counts the last one ends the select.
*/

#include "claim.h"
#include "kcoro/shared_clauses.h"
#include "share.h"
#include "tokens.h"

/* -- the clauses: those of csrc/clauses.c, under locks that are held already */

static int poll(kc_clause_t *self) {
    kc_shared_t *ch = self->subject;
    void *got = NULL;
    int rc = self->arm.sending ? kc_chan_send_now(ch->ch, self->arm.value) : kci_share_recv_now(ch, &got);
    if (rc == 0)
        return kc_waiter_complete(&self->arm, got);
    if (rc == -EPIPE)
        return kc_waiter_shut(&self->arm);
    return rc == -EAGAIN ? 0 : rc;
}

static int enlist(kc_clause_t *self) {
    return kc_chan_enqueue(((kc_shared_t *)self->subject)->ch, &self->arm);
}

static void withdraw(kc_clause_t *self) {
    kc_waiter_leave(&self->arm);
}

static const kc_clause_ops_t of_shared = {poll, enlist, withdraw, NULL};

int kc_shared_clause_recv(kc_clause_t *clause, kc_shared_t *ch) {
    return ch == NULL ? -EINVAL : kc_clause_custom(clause, &of_shared, ch);
}

int kc_shared_clause_send(kc_clause_t *clause, kc_shared_t *ch, void *element) {
    int rc = kc_shared_clause_recv(clause, ch);
    if (rc != 0)
        return rc;
    clause->arm.sending = true;
    clause->arm.value = element;
    return 0;
}

/* -- clauses about time and tokens */

static int after_poll(kc_clause_t *self) {
    return ((kc_shared_after_t *)self->subject)->timeout_ns == 0 && kc_waiter_complete(&self->arm, NULL);
}

/* There is one timer for all of them, and for the timeout of the wait: see shortest. */
static int after_enlist(kc_clause_t *self) {
    (void)self;
    return 0;
}

static void after_withdraw(kc_clause_t *self) {
    (void)self;
}

static const kc_clause_ops_t of_time = {after_poll, after_enlist, after_withdraw, NULL};
static const kc_clause_ops_t of_tokens = {kci_triggered_poll, kci_triggered_enlist, kci_triggered_withdraw, NULL};

int kc_shared_clause_after(kc_clause_t *clause, kc_shared_after_t *memory, int64_t timeout_ns) {
    if (memory == NULL || kc_clause_custom(clause, &of_time, memory) != 0)
        return -EINVAL;
    memory->timeout_ns = timeout_ns;
    return 0;
}

int kc_shared_clause_triggered(kc_clause_t *clause, kc_triggered_t *memory, kc_shared_token_t *token) {
    if (token == NULL || kc_clause_triggered(clause, memory, &token->token) != 0)
        return -EINVAL;
    clause->ops = &of_tokens;
    return 0;
}

/* How long the wait lasts, and which clause wins then; NULL: none does. */
static int64_t shortest(const kc_select_t *s, int64_t timeout_ns, kc_waiter_t **in_time) {
    *in_time = NULL;
    for (size_t i = 0; i < s->count; i++) {
        if (s->clauses[i].ops != &of_time)
            continue;
        int64_t after = ((kc_shared_after_t *)s->clauses[i].subject)->timeout_ns;
        bool is_as_long = after == timeout_ns && *in_time == NULL;
        if (after >= 0 && (timeout_ns < 0 || after < timeout_ns || is_as_long)) {
            timeout_ns = after;
            *in_time = &s->clauses[i].arm;
        }
    }
    return timeout_ns;
}

/* -- the locks of all clauses */

/* A select, and what is locked for it beside its channels. */
typedef struct held {
    kc_select_t *s;
    bool has_trees;           /* those of clauses about tokens */
    kc_shared_token_t *token; /* the token whose tree is locked as well; or NULL */
} held_t;

/* The channel behind `last` in the order of addresses; NULL: there is none. Nothing is sorted: selects are short, and
** have no memory for that. */
static kc_shared_t *behind(const held_t *held, const kc_shared_t *last) {
    kc_shared_t *next = NULL;
    for (size_t i = 0; i < held->s->count; i++) {
        const kc_clause_t *clause = &held->s->clauses[i];
        kc_shared_t *ch = clause->ops == &of_shared ? clause->subject : NULL;
        if ((uintptr_t)ch > (uintptr_t)last && (next == NULL || (uintptr_t)ch < (uintptr_t)next))
            next = ch;
    }
    return next;
}

/* The root of the token of a clause, and behind the last clause that of the call; NULL: there is none. */
static kc_shared_token_t *root_at(const held_t *held, size_t i) {
    if (i == held->s->count)
        return held->token != NULL ? held->token->root : NULL;
    const kc_clause_t *clause = &held->s->clauses[i];
    return clause->ops == &of_tokens ? kci_shared_of(((kc_triggered_t *)clause->subject)->token)->root : NULL;
}

/* The same, among trees. */
static kc_shared_token_t *tree_behind(const held_t *held, const kc_shared_token_t *last) {
    kc_shared_token_t *next = NULL;
    if (!held->has_trees && held->token == NULL)
        return NULL;
    for (size_t i = 0; i <= held->s->count; i++) {
        kc_shared_token_t *root = root_at(held, i);
        if ((uintptr_t)root > (uintptr_t)last && (next == NULL || (uintptr_t)root < (uintptr_t)next))
            next = root;
    }
    return next;
}

static void lock_all(const held_t *held) {
    for (kc_shared_t *ch = behind(held, NULL); ch != NULL; ch = behind(held, ch))
        pthread_mutex_lock(&ch->lock);
    for (kc_shared_token_t *root = tree_behind(held, NULL); root != NULL; root = tree_behind(held, root))
        pthread_mutex_lock(&root->lock);
}

static void leave_trees(const held_t *held) {
    for (kc_shared_token_t *next, *root = tree_behind(held, NULL); root != NULL; root = next) {
        next = tree_behind(held, root);
        pthread_mutex_unlock(&root->lock);
    }
}

/* At most one clause has sent, so that at most one element was dropped. */
static void leave_all(const held_t *held) {
    kci_dropped_t dropped = {NULL, KC_UNDELIVERED_OVERFLOW, false};
    const kc_shared_t *by = NULL;
    leave_trees(held);
    for (kc_shared_t *next, *ch = behind(held, NULL); ch != NULL; ch = next) {
        next = behind(held, ch);
        if (ch->dropped.is_there) {
            dropped = ch->dropped;
            by = ch;
        }
        ch->dropped.is_there = false;
        pthread_mutex_unlock(&ch->lock);
    }
    kci_wake_owners();
    if (by != NULL)
        kci_share_tell(by, &dropped);
}

/* -- waiting */

/* Whether all clauses are of this file; and what is to be locked for them. */
static bool is_legal(held_t *held) {
    const kc_select_t *s = held->s;
    if (s == NULL || s->clauses == NULL || s->is_busy)
        return false;
    for (size_t i = 0; i < s->count; i++) {
        const kc_clause_ops_t *ops = s->clauses[i].ops;
        if (ops != &of_shared && ops != &of_time && ops != &of_tokens)
            return false;
        held->has_trees |= ops == &of_tokens;
    }
    return true;
}

/* A tree that is locked already says more than the word for those without the lock. */
static int try_now(const held_t *held, kc_shared_token_t *token) {
    if (held->token != NULL ? token->token.is_set : kci_token_is_set(token))
        return -ECANCELED;
    return kc_select_poll(held->s);
}

/* With all locks. -EAGAIN: it waits; else it need not, or -ECANCELED, -ENOMEM. */
static int begin(const held_t *held, kci_wait_t *wait, kci_heed_t *heed) {
    int rc = kci_wait_begin(wait, &held->s->op);
    if (rc != 0)
        return rc;
    rc = kci_heed(heed, held->token, &held->s->op);
    if (rc == 0)
        rc = kc_select_enlist(held->s, &wait->parker);
    if (rc == -EAGAIN)
        return rc;
    kci_forget(heed);
    kci_wait_end(wait);
    return rc;
}

/* With all locks but, perhaps, that of the token, which comes last where no clause has a tree; leaves them. */
static int wait(held_t *held, int64_t timeout_ns, kc_shared_token_t *token) {
    kci_wait_t wait;
    kci_heed_t heed;
    if (token != NULL && held->token == NULL)
        pthread_mutex_lock(&token->root->lock);
    held->token = token;
    int rc = begin(held, &wait, &heed);
    leave_all(held);
    if (rc != -EAGAIN)
        return rc;
    timeout_ns = shortest(held->s, timeout_ns, &wait.in_time);
    kci_wait(&wait, timeout_ns);
    lock_all(held);
    kci_forget(&heed);
    rc = kc_select_finish(held->s);
    leave_all(held);
    return rc;
}

int kc_select_unless(kc_select_t *s, int64_t timeout_ns, kc_shared_token_t *token) {
    held_t held = {s, false, NULL};
    if (!is_legal(&held))
        return -EINVAL;
    if (held.has_trees)
        held.token = token;
    lock_all(&held);
    int rc = try_now(&held, token);
    if (rc == -EAGAIN && timeout_ns != 0)
        return wait(&held, timeout_ns, token);
    leave_all(&held);
    return kci_share_over(rc);
}

int kc_select_wait(kc_select_t *s, int64_t timeout_ns) {
    return kc_select_unless(s, timeout_ns, NULL);
}
