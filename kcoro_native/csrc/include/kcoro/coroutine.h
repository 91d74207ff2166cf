/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Coroutines in C: functions with a stack of their own, that stop in the middle and go on later.
**
**     CREATED --resume--> RUNNING --yield, yield_to--> SUSPENDED --resume--> RUNNING
**                                 --park--> PARKED --unpark--> READY --resume--> RUNNING
**                                 --its body returns--> FINISHED
**
** Rule 1: whoever resumes a coroutine waits until it yields, parks or finishes; there is no scheduler here. It stays
** RUNNING meanwhile, if it is a coroutine itself.
** Rule 2: an unpark is never lost: one that comes before the park makes the park return at once. Several are one.
** Rule 3: any thread may resume what is not RUNNING, and unpark what exists; of two that resume at once one is refused.
** Rule 4: misuse is -EINVAL and changes nothing. A coroutine that was destroyed must not be touched, as after free.
** Rule 5: the registers that a callee keeps are kept, with the rounding mode and the traps of floating point; errno and
** the variables of a thread are the thread's. A body that was resumed by another thread must not use an address of such
** a variable from before.
**
** A stack that is used up ends the process: at a guard page, or by a check where there is none; see kcoro/stack.h.
*/
#ifndef KCORO_COROUTINE_H
#define KCORO_COROUTINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codes.h"

/* Room for a name with its end; a longer one is cut. */
#define KC_CORO_NAME 32

/* The bytes of a stack where nothing else is asked for. */
#define KC_CORO_STACK 65536

typedef struct kc_coro kc_coro_t;

/* The body of a coroutine. What it returns is its result; see kc_coro_result. */
typedef int (*kc_coro_fn)(void *arg);

/* What becomes of a coroutine. */
typedef enum kc_coro_state {
    /* It was created, and its body has not begun.
    ** Resume it to begin it; destroying it now never runs the body. */
    KC_CORO_CREATED = 0,
    /* It was parked and may go on.
    ** Whoever unparked it, or saw it come back like this, resumes it. */
    KC_CORO_READY = 1,
    /* Its body runs now, or waits until a coroutine that it resumed comes back.
    ** Neither resume nor destroy is possible meanwhile. */
    KC_CORO_RUNNING = 2,
    /* It has yielded, for others to have their turn.
    ** It waits for nothing: whoever likes may resume it. */
    KC_CORO_SUSPENDED = 3,
    /* It has parked, and waits for kc_coro_unpark.
    ** Resuming it is too early: -EAGAIN. */
    KC_CORO_PARKED = 4,
    /* Its body has returned, and there is a result.
    ** All that is left to do is to destroy it. */
    KC_CORO_FINISHED = 5
} kc_coro_state_t;

/* What may be said of a new coroutine; all zero is what NULL means. */
typedef struct kc_coro_options {
    size_t stack_size; /* bytes that its body may use, rounded up to a power of two; 0 is KC_CORO_STACK */
    const char *name;  /* borrowed, copied; NULL is no name */
} kc_coro_options_t;

/* -- from outside */

/*
** Make a coroutine. Its body begins with the first resume, and with the rounding mode and traps of this call.
**
** arg      passed to the body, never looked into
** options  borrowed, may be NULL
**
** Returns 0 and sets *out, which is the caller's to destroy; -ENOMEM; -ENOTSUP: this build has no switcher; -EINVAL.
*/
int kc_coro_create(kc_coro_t **out, kc_coro_fn fn, void *arg, const kc_coro_options_t *options);

/*
** Have it run until it yields, parks or finishes; kc_coro_state says which. May be called from any coroutine.
**
** Returns 0; -EAGAIN: it is parked; -EINVAL: NULL, RUNNING or FINISHED, or another thread was first.
*/
int kc_coro_resume(kc_coro_t *co);

/*
** Let a parked coroutine go on, or have its next park return at once. From any thread, and from any coroutine.
**
** Returns 1: it was PARKED and is READY now, so that somebody has to resume it; 0: it was not parked, and will not stop
** at its next park; -EINVAL.
*/
int kc_coro_unpark(kc_coro_t *co);

/*
** Free it and its stack. What has not finished ends where it stands: nothing of its body runs any more, and what it
** owns is not freed.
**
** Returns 0; -EINVAL: NULL or RUNNING.
*/
int kc_coro_destroy(kc_coro_t *co);

/* -- from the body */

/* Go back to whoever resumed this coroutine. 0 when it was resumed again; -EINVAL outside of a coroutine. */
int kc_coro_yield(void);

/*
** Go on in `co` instead; it comes back to whoever resumed this one, which is SUSPENDED now.
**
** Returns 0 when this one was resumed again; -EAGAIN and -EINVAL as kc_coro_resume, or outside of a coroutine.
*/
int kc_coro_yield_to(kc_coro_t *co);

/*
** Go back to whoever resumed this coroutine, and stay PARKED until somebody unparks it.
**
** Returns 0: it was unparked, perhaps before it could stop; -EINVAL outside of a coroutine.
*/
int kc_coro_park(void);

/* The coroutine that runs in this thread, or NULL. */
kc_coro_t *kc_coro_current(void);

/* -- what it is */

/* Its state, an enum kc_coro_state, as it was a moment ago where other threads have it; or -EINVAL. */
int kc_coro_state(const kc_coro_t *co);

/* What its body returned, into *out. 0; -EAGAIN: it has not finished; -EINVAL. */
int kc_coro_result(const kc_coro_t *co, int *out);

/* Its number, never given twice in a process; 0 of a NULL. */
uint64_t kc_coro_id(const kc_coro_t *co);

/* Its name, "" without one; valid until it is renamed or destroyed. NULL of a NULL. */
const char *kc_coro_name(const kc_coro_t *co);

/* Give it another name; NULL takes it away. 0, or -EINVAL. */
int kc_coro_rename(kc_coro_t *co, const char *name);

/*
** Where its body runs: the lowest byte of its stack that may be used into *low, and how many there are from there on
** into *bytes; those at the high end are the library's own. For a language that watches over its depth.
**
** Returns 0, or -EINVAL.
*/
int kc_coro_stack(const kc_coro_t *co, void **low, size_t *bytes);

/*
** Write "name#id STATE, stack of N bytes" for people, as snprintf does.
**
** Returns the length without an end, which may be more than fits into `room`; or -EINVAL.
*/
int kc_coro_describe(const kc_coro_t *co, char *text, size_t room);

/* -- the machine */

/* How this build switches: "x86-64", "aarch64", "riscv64", "ucontext"; "none": it cannot. Static. */
const char *kc_coro_switcher(void);

/*
** Which stacks are checked at each switch, for their canary and for where their stack pointer stands. A check that
** fails ends the process, with words on standard error that name the coroutine.
**
** Returns 1: all, because KCORO_DEBUG_CTX_CHECK is set in the environment to something else than 0; 0: those without a
** guard page; -ENOTSUP: none, because the library was compiled with KCORO_CTX_DIAGNOSTICS=0.
*/
int kc_coro_checks(void);

/*
** Have a fault at a guard page say on standard error whose stack it was, before the process dies of it as ever; false
** ends that. It takes the signals SIGSEGV and SIGBUS, hands on what is no overflow to whoever had them, and gives the
** calling thread an alternate signal stack, if it has none: call it in each thread that is to report.
**
** Returns 0, -ENOMEM, or -ENOTSUP: the system refused.
*/
int kc_coro_report_overflow(bool on);

#endif
