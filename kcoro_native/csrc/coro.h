/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* The inside of coroutines, for the files that make them; rules in kcoro/coroutine.h. */
#ifndef KCI_CORO_H
#define KCI_CORO_H

#include "fibers.h"
#include "kcoro/atomic.h"
#include "kcoro/coroutine.h"
#include "stacks.h"
#include "switch.h"

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
** (the functions "behind a switch", in coroutine.c); and out of PARKED whoever took KCI_PARKED from `permit`. So nobody
** resumes what is still being left.
**
** What a switch needs stands first, in one line of the cache.
*/
struct kc_coro {
    void *sp;             /* where it goes on, while it is left; the first word, see switch.h */
    kc_atomic_int state;  /* an enum kc_coro_state */
    kc_atomic_int permit; /* an enum kci_permit */
    kc_coro_t *resumer;   /* who goes on when it yields, parks or finishes; of a free one the next (near.h) */
    kci_stack_t *stack;
    kc_coro_fn fn;
    void *arg;
    uint64_t id;
    int result;
    bool is_watched;    /* switches to and from it are those of watched.c */
    unsigned char size; /* of its stack, see stacks.h */
    char name[KC_CORO_NAME];
    kci_then_t *then; /* of a watched one: what becomes of it, now that it is left */
    kci_fiber_t fiber;
};

/* Free coroutines of one size that a thread keeps, see near.h; all zero is none. */
typedef struct kci_near {
    kc_coro_t *first;
    size_t count;
} kci_near_t;

/* What a thread knows. */
typedef struct kci_thread {
    kc_coro_t main;     /* stands for the thread's own stack */
    kc_coro_t *current; /* a coroutine, or main */
    bool is_known;
    bool watches_all; /* each new coroutine is watched */
    uint64_t next_id, last_id;
    void *signal_stack; /* ours, or NULL */
    kci_near_t near[KCI_STACK_SIZES];
} kci_thread_t;

/* The thread that runs. Never inlined: a compiler must not keep its address over a switch, which may change it. */
kci_thread_t *kci_here(void);

extern _Thread_local kci_thread_t kci_thread; /* use the functions */

/* The same, for functions that look once, and before they switch; in files that are kept out of optimisation at link
** time. */
static inline kci_thread_t *kci_here_now(void) {
    return kci_thread.is_known ? &kci_thread : kci_here();
}

/* The same in a signal handler: NULL when the thread never had to do with coroutines. */
kci_thread_t *kci_here_if_known(void);

/* Give a thread numbers for its next coroutines. */
void kci_more_ids(kci_thread_t *thread);

/* Whether stacks with a guard are checked as well. */
bool kci_checks_all(void);

/* The first function on the stack of a coroutine, which is its argument. */
void kci_begin(void *co);

/* Begin to look at a new coroutine. */
void kci_watch(kc_coro_t *co);

/* A switch of which one side is watched: as `go` in coroutine.c; `from` never goes on when it `ends`. */
int kci_go_watched(kci_thread_t *here, kc_coro_t *from, kc_coro_t *to, kci_then_t *then, bool ends);

/* End the process, with words about the stack of this coroutine. */
void kci_die(const kc_coro_t *co, const char *why);

/* Write "kcoro: coroutine 'name' (id 7): " and `why` to standard error; for signal handlers as well. */
void kci_say(const kc_coro_t *co, const char *why);

/* Take the signal stack of this thread back. */
void kci_signal_stack_end(kci_thread_t *thread);

#endif
