/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Stackful functions: plain functions that can be awaited, because they run on a stack of their own.
**
** What `await` is to a coroutine, wait() is to them: it steps something awaitable, and whenever that has to wait, the
** whole stack is left, whatever stands on it, and whoever steps the function gets what was yielded. So a loop, a task
** and a scope see a coroutine like any other.
**
** Rule 1: a step runs until wait() yields or the function ends; it is a call, and never leaves its thread.
** Rule 2: wait() belongs to the innermost stackful function that is being stepped here.
** Rule 3: one that is thrown away in the middle is closed, as a coroutine is; one that goes on waiting then, or whose
** thread is another one, keeps its stack for ever, and is reported.
*/
#ifndef KPY_STACKFUL_H
#define KPY_STACKFUL_H

#include "loop.h"
#include "private_stack.h"

enum kpy_life { KPY_STACKFUL_CREATED, KPY_STACKFUL_RUNNING, KPY_STACKFUL_WAITING, KPY_STACKFUL_OVER };

typedef struct kpy_stackful {
    PyObject_HEAD
    kpy_private_t stack;
    size_t bytes;
    PyObject *fn, *args, *kwargs; /* until it has begun */
    PyObject *qualname;
    PyObject *given;  /* while it goes on: what its step was given */
    PyObject *thrown; /* while it goes on: what is raised where it waits, or NULL */
    PyObject *result; /* while it is left: what it yields; at the end: what it returned */
    PyObject *error;  /* at the end: what it raised */
    PyObject *awaited; /* while it is left: what it waits in */
    PyObject *weakrefs;
    kpy_state_t *state;
    uint8_t life; /* an enum kpy_life */
    bool is_inline; /* where it waits, it runs next when another task wakes it */
} kpy_stackful_t;

/* The innermost one that is being stepped in this thread, or NULL. */
extern KPY_THREAD_WORD kpy_stackful_t *kpy_stackful_here;

/* wait(awaitable): its result, or NULL and an exception. */
PyObject *kpy_wait(PyObject *module, PyObject *awaitable);

/* Why there are no stackful functions here, or None. */
PyObject *kpy_no_stackful(PyObject *module, PyObject *unused);

/* _use_stacks(size, kept): of those that are made from now on, in bytes, and how many free ones keep their memory. */
PyObject *kpy_use_stacks(PyObject *module, PyObject *const *args, Py_ssize_t count);

/* _count_stacks(): a dict of kc_stack_counts. */
PyObject *kpy_count_stacks(PyObject *module, PyObject *unused);

int kpy_init_stackful(PyObject *module, kpy_state_t *state);

#endif
