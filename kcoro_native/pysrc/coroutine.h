/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Coroutines of Python on private stacks: what kcoro_core.Coroutine promises, on the native engine.
**
** A resume is a call: whoever resumes waits in it, and is where a yield, a park or the end goes back to. A yield_to
** hands that place on, so that a resume may be come back to by another coroutine than it went to.
**
** Rule 1: every field is protected by the GIL; the states are those of kcoro/coroutine.h, kept here, and libkcoro only
** switches.
** Rule 2: a coroutine that runs is held by a reference, which whoever goes on after it gives up: it cannot be freed on
** its own stack.
** Rule 3: what goes along with a switch is in kpy_coroutines_here, and is taken out before anything else is done.
** Rule 4: between the first change of a state and the switch nothing runs that could come back here.
*/
#ifndef KPY_COROUTINE_H
#define KPY_COROUTINE_H

#include "loop.h"
#include "private_stack.h"

typedef struct kpy_coroutine kpy_coroutine_t;

struct kpy_coroutine {
    PyObject_HEAD
    kpy_private_t stack;
    kpy_state_t *state;
    uint64_t id;
    PyObject *fn, *args; /* until it has begun */
    PyObject *context;   /* the same */
    PyObject *name;
    PyObject *thrown; /* to be raised where it waits, or NULL */
    PyObject *result; /* at the end, one of these; neither of one that was destroyed */
    PyObject *error;
    kpy_coroutine_t *before, *behind; /* in the list of those that have begun and not ended */
    kpy_coroutine_t *next_dropped;    /* in the list of those that another thread has dropped; a reference */
    PyObject *weakrefs;
    uint8_t moved; /* an enum kc_coro_state */
    bool permit;   /* its next park does not stop */
};

/* What is under way between two stacks of one thread. */
typedef struct kpy_switching {
    kpy_coroutine_t *current; /* who runs, or NULL */
    kpy_coroutine_t *left;    /* who went on in another one; a reference */
    PyObject *value;          /* for whoever goes on; NULL from one that has ended */
} kpy_switching_t;

extern KPY_THREAD_WORD kpy_switching_t kpy_switching_here;

/* -- coroutine.c: moves. Each returns NULL and an exception when it is refused, and has changed nothing then. */

PyObject *kpy_coroutine_resume(kpy_coroutine_t *co, PyObject *value);
PyObject *kpy_coroutine_throw(kpy_coroutine_t *co, PyObject *error);
int kpy_coroutine_destroy(kpy_coroutine_t *co);
bool kpy_coroutine_unpark(kpy_coroutine_t *co);
PyObject *kpy_coroutine_yield(PyObject *value);
PyObject *kpy_coroutine_yield_to(kpy_coroutine_t *other, PyObject *value);
PyObject *kpy_coroutine_park(void);
void kpy_coroutine_run(void *owner); /* the body of its stack */
/* The last reference to one that waits has gone; whatever comes of it. */
void kpy_coroutine_drop(kpy_coroutine_t *co);

/* -- coroutine_said.c: what is refused, in the words of kcoro_core.refusals */

/* Raise what that function answers about `co`; -1. */
int kpy_coroutine_say(const char *function, kpy_coroutine_t *co);
/* The same for refusal(verb, co, state) and outside(verb). */
int kpy_coroutine_refuse(const char *verb, kpy_coroutine_t *co);
int kpy_coroutine_outside(const char *verb);
/* kcoro_core.errors.CoroutineExit, a new reference. */
PyObject *kpy_coroutine_exit_class(void);
/* Its state, as a CoroutineState. */
PyObject *kpy_coroutine_state(kpy_coroutine_t *co);

/* What a call takes: `least` to `most` of these, by place or by name. */
typedef struct kpy_takes {
    const char *verb;
    Py_ssize_t least, most;
    const char *names[2];
} kpy_takes_t;

/* What was given, as METH_FASTCALL | METH_KEYWORDS has it, into its places in `found`, borrowed; they are NULL before.
** 0, or -1 and TypeError. */
int kpy_sort(const kpy_takes_t *takes, PyObject *const *args, Py_ssize_t count, PyObject *names, PyObject **found);

/* -- coroutine_type.c */

/* Destroy those of this thread that wait: the interpreter is about to end. */
PyObject *kpy_end_coroutines(PyObject *module, PyObject *unused);

int kpy_init_coroutine(PyObject *module, kpy_state_t *state);

#endif
