/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* The inside of coroutines, for the files that make them; rules in kcoro/coroutine.h. */
#ifndef KCI_CORO_H
#define KCI_CORO_H

#include "fibers.h"
#include "kcoro/atomic.h"
#include "kcoro/coroutine.h"
#include "stacks.h"

/* Checks of stacks; -DKCORO_CTX_DIAGNOSTICS=0 leaves them out. */
#ifndef KCORO_CTX_DIAGNOSTICS
#define KCORO_CTX_DIAGNOSTICS 1
#endif

/* Parking and unparking meet here. */
enum kci_permit { KCI_NONE, KCI_PERMIT, KCI_PARKED };

/*
** One coroutine, in the high end of its own stack; or a thread, which has no stack of ours.
**
** Who may write `state`: whoever took it from another state to RUNNING, until it is left; then whoever comes after it
** (arrive, in coroutine.c); and out of PARKED whoever took KCI_PARKED from `permit`. So nobody resumes what is still
** being left.
*/
struct kc_coro {
    void *sp;             /* where it goes on, while it is left */
    kc_atomic_int state;  /* an enum kc_coro_state */
    kc_atomic_int permit; /* an enum kci_permit */
    kc_coro_t *resumer;   /* who goes on when it yields, parks or finishes */
    kc_coro_fn fn;
    void *arg;
    int result;
    kci_stack_t *stack;
    uint64_t id;
    char name[KC_CORO_NAME];
    kci_fiber_t fiber;
};

/* What a thread knows. */
typedef struct kci_thread {
    kc_coro_t main;     /* stands for the thread's own stack */
    kc_coro_t *current; /* a coroutine, or main */
    kc_coro_t *left;    /* who was left by the last switch, and ... */
    int becomes;        /* ... its state now that it has been */
    uint64_t next_id, last_id;
    kci_near_t near;
    void *signal_stack; /* ours, or NULL */
    bool is_known;
} kci_thread_t;

/* The thread that runs. Never inlined: a compiler must not keep its address over a switch, which may change it. */
kci_thread_t *kci_here(void);

/* The same in a signal handler: NULL when the thread never had to do with coroutines. */
kci_thread_t *kci_here_if_known(void);

/* Give a thread numbers for its next coroutines. */
void kci_more_ids(kci_thread_t *thread);

/* Whether stacks with a guard are checked as well. */
bool kci_checks_all(void);

/* The first function on the stack of a coroutine; `pass` is the thread. */
void kci_begin(void *pass);

/* What a coroutine falls into that returns from kci_begin: the end of the process. */
void kci_fell(void);

/* End the process, with words about the stack of this coroutine. */
void kci_die(const kc_coro_t *co, const char *why);

/* Write "kcoro: coroutine 'name' (id 7): " and `why` to standard error; for signal handlers as well. */
void kci_say(const kc_coro_t *co, const char *why);

/* Take the signal stack of this thread back. */
void kci_signal_stack_end(kci_thread_t *thread);

#endif
