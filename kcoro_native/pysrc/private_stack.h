/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Python on private stacks: what the interpreter keeps in its thread state about the C stack that it runs on, and how
** that is changed together with the stack.
**
**                            3.11                        3.12                       3.13          3.14
**     the running frame      in a _PyCFrame, on the C stack  as 3.11                in the thread state
**     whether it is traced   in the same _PyCFrame           of the interpreter     as 3.12
**     recursion              one counter                     Python's, and C's      as 3.12       Python's
**     ends of the stack      -                               -                      -             told by a function
**     frames of Python       chunks of memory, the first of which is never freed by who leaves a frame
**     exception handled      a list of items, the first in the thread state
**     context                of the thread; the cache of context variables goes by its version
**     trashcan               nesting and list                as 3.11                a list
**     critical section       -                               -                      one word
**     compiled trace         -                               -                      -             one word
**
** Only fields of the public struct are touched, and no function of the interpreter that is not public is called.
**
** Rule 1: whoever leaves a stack keeps these fields on it, and takes them up again when it is come back to; so nobody
** else has to know them.
** Rule 2: a stack belongs to the thread that began it: the frames of its base hang on that thread's state.
** Rule 3: the first chunk for frames lies on the private stack itself, so that a stack which is used again costs no
** call of the system, and one that is thrown away leaves nothing behind.
** Rule 4: what is being raised is taken out before a switch; the field is the same for all stacks.
** Rule 5: where the interpreter looks at the stack pointer, the first that whoever comes to a stack does is to tell it
** the ends of that stack: they are asked of libkcoro, which knows who runs, and not kept.
*/
#ifndef KPY_PRIVATE_STACK_H
#define KPY_PRIVATE_STACK_H

#include <kcoro/coroutine.h>
#include <stdbool.h>

#include "owned.h"
#include "python.h"

/*
** The bytes of a private stack for Python where nothing else is asked for, in address space: what the first thread of a
** process has nearly everywhere, and what the interpreter's own limits of recursion are made for. What is not touched
** costs no memory.
*/
#define KPY_STACK_BYTES ((size_t)8 << 20)
#define KPY_STACK_LEAST ((size_t)256 << 10) /* less is refused */

/*
** For frames of Python, at the high end of a stack: nearly as much as the interpreter takes at once. It begins in the
** middle of a page, the lower part of which is enough for the coroutine and for 2.7 KiB of calls in C: so what waits in
** a few small frames has touched one page.
*/
#define KPY_CHUNK_BYTES (3 * 4096 + 1024)

#if KPY_HAS_PRIVATE_STACKS

/* What is kept on a stack while it is left. */
typedef struct kpy_stack_state {
#if KPY_HAS_CFRAME
    _PyCFrame *frames;
    int trash_nesting;
#else
    struct _PyInterpreterFrame *frames;
#endif
#if KPY_HAS_C_RECURSION
    int c_remaining;
#endif
#if KPY_HAS_CRITICAL_SECTION
    uintptr_t critical_section;
#endif
#if KPY_HAS_EXECUTOR
    PyObject *executor;
#endif
    int depth;    /* of Python's recursion: its limit may change meanwhile */
    int headroom; /* beyond the limit, while a RecursionError is made */
    _PyStackChunk *chunk;
    PyObject **chunk_top, **chunk_limit;
    _PyErr_StackItem *handled;
    PyObject *context; /* a reference */
    PyObject *trash;
} kpy_stack_state_t;

/* The lowest things on a private stack. */
typedef struct kpy_stack_base {
    _PyErr_StackItem handled;
#if KPY_HAS_CFRAME
    _PyCFrame frames;
#endif
} kpy_stack_base_t;

#if KPY_HAS_PY_RECURSION
#define KPY_DEPTH_LEFT py_recursion_remaining
#define KPY_DEPTH_MOST py_recursion_limit
#else
#define KPY_DEPTH_LEFT recursion_remaining
#define KPY_DEPTH_MOST recursion_limit
#endif

#if KPY_HAS_BOUNDS
/* Tell the interpreter the ends of the stack that runs: a coroutine's, or the thread's own. */
static inline void kpy_stack_tell(PyThreadState *thread) {
    void *low;
    size_t bytes;
    if (kc_coro_stack(kc_coro_current(), &low, &bytes) == 0)
        KPY_SET_BOUNDS(thread, low, bytes); /* it refuses only what is smaller than kpy_private_begin allows */
    else
        KPY_RESET_BOUNDS(thread);
}
#endif

/* Keep what belongs to the stack that runs, before it is left. */
static inline void kpy_stack_leave(PyThreadState *thread, kpy_stack_state_t *mine) {
#if KPY_HAS_CFRAME
    mine->frames = thread->cframe;
#else
    mine->frames = thread->current_frame;
#endif
#if KPY_HAS_CFRAME && KPY_HAS_USE_TRACING
    mine->trash_nesting = thread->trash_delete_nesting;
    mine->trash = thread->trash_delete_later;
#elif KPY_HAS_CFRAME
    mine->trash_nesting = thread->trash.delete_nesting;
    mine->trash = thread->trash.delete_later;
#else
    mine->trash = thread->delete_later;
#endif
#if KPY_HAS_C_RECURSION
    mine->c_remaining = thread->c_recursion_remaining;
#endif
#if KPY_HAS_CRITICAL_SECTION
    mine->critical_section = thread->critical_section;
#endif
#if KPY_HAS_EXECUTOR
    mine->executor = thread->current_executor;
#endif
    mine->depth = thread->KPY_DEPTH_MOST - thread->KPY_DEPTH_LEFT;
    mine->headroom = thread->recursion_headroom;
    mine->chunk = thread->datastack_chunk;
    mine->chunk_top = thread->datastack_top;
    mine->chunk_limit = thread->datastack_limit;
    mine->handled = thread->exc_info;
    mine->context = thread->context;
}

/* Take it up again, when it has been come back to. */
static inline void kpy_stack_return(PyThreadState *thread, const kpy_stack_state_t *mine) {
#if KPY_HAS_BOUNDS
    kpy_stack_tell(thread);
#endif
#if KPY_HAS_CFRAME && KPY_HAS_USE_TRACING
    mine->frames->use_tracing = thread->cframe->use_tracing; /* as it is now; it may have been switched on meanwhile */
    thread->trash_delete_nesting = mine->trash_nesting;
    thread->trash_delete_later = mine->trash;
#elif KPY_HAS_CFRAME
    thread->trash.delete_nesting = mine->trash_nesting;
    thread->trash.delete_later = mine->trash;
#else
    thread->delete_later = mine->trash;
#endif
#if KPY_HAS_CFRAME
    thread->cframe = mine->frames;
#else
    thread->current_frame = mine->frames;
#endif
#if KPY_HAS_C_RECURSION
    thread->c_recursion_remaining = mine->c_remaining;
#endif
#if KPY_HAS_CRITICAL_SECTION
    thread->critical_section = mine->critical_section;
#endif
#if KPY_HAS_EXECUTOR
    thread->current_executor = mine->executor;
#endif
    thread->KPY_DEPTH_LEFT = thread->KPY_DEPTH_MOST - mine->depth;
    thread->recursion_headroom = mine->headroom;
    thread->datastack_chunk = mine->chunk;
    thread->datastack_top = mine->chunk_top;
    thread->datastack_limit = mine->chunk_limit;
    thread->exc_info = mine->handled;
    if (thread->context != mine->context) {
        thread->context = mine->context;
        thread->context_ver++;
    }
}

#else /* nothing of this is ever called */

typedef struct kpy_stack_state {
    char none;
} kpy_stack_state_t;

static inline void kpy_stack_leave(PyThreadState *thread, kpy_stack_state_t *mine) {
    (void)thread, (void)mine;
}

static inline void kpy_stack_return(PyThreadState *thread, const kpy_stack_state_t *mine) {
    (void)thread, (void)mine;
}

#endif

/* -- one private stack */

/*
** A function of Python's on a stack of its own. Its owner is some object, which embeds it.
**
** Between two switches it is left: then `left` is where its state is kept.
*/
typedef struct kpy_private {
    kc_coro_t *co;         /* NULL before it has begun and when it has ended */
    PyThreadState *thread; /* which began it */
    kci_thread_t *here;    /* the same to libkcoro */
    uint64_t thread_id;    /* which no other has, also when it has ended; 0 before it has begun */
    kpy_stack_state_t *left;
    void (*body)(void *owner);
    void *owner;
    PyObject *context; /* which it begins in */
    int c_calls;       /* of C that may be nested on it */
    const char *base;  /* the address of what lies lowest on it */
} kpy_private_t;

/* Before the first of them begins. */
void kpy_private_prepare(void);

/* Whether it belongs to another thread than the one that asks. The address of the thread state would not say: the next
** thread may have it, when the first has ended. */
static inline bool kpy_private_is_foreign(const kpy_private_t *self) {
    return self->thread_id != PyThreadState_Get()->id;
}

/* Why this build cannot have private stacks, for NotSupported; NULL: it can. */
const char *kpy_private_missing(void);

/*
** Give it a stack, in this thread; its body begins when it is entered for the first time.
**
** bytes    of the stack, 0 for KPY_STACK_BYTES
** name     a text, for the words of a process that dies of an overflow
** context  taken over; NULL: the one of the thread, shared
**
** Returns 0, or -1 and MemoryError or RuntimeError; then the context is still the caller's.
*/
int kpy_private_begin(kpy_private_t *self, size_t bytes, PyObject *name, PyObject *context);

/*
** Leave the stack that runs for another, until somebody comes back. Its thread is the one that runs; nothing is being
** raised.
**
** left     the one that runs, to be left; NULL: it waits, as in a call
** entered  who goes on, and comes back to whoever `left` would come back to, or to this call; NULL: whoever entered
**          `left` goes on
*/
static inline void kpy_private_switch(kpy_private_t *left, kpy_private_t *entered) {
    kpy_stack_state_t mine, *nobody_looks, **place = left != NULL ? &left->left : &nobody_looks;
    const kpy_private_t *known = left != NULL ? left : entered;
    PyThreadState *thread = known->thread;
    kci_thread_t *here = known->here;
    kc_coro_t *resumer = left != NULL ? left->co->resumer : here->current, *to = resumer;
    if (entered != NULL) {
        to = entered->co;
        to->resumer = resumer;
    }
    kpy_stack_leave(thread, &mine);
    *place = &mine;
    kci_owned_go(here, to);
    *place = NULL;
    kpy_stack_return(thread, &mine);
}

/* Whether its body has returned. It has begun. */
static inline bool kpy_private_is_over(const kpy_private_t *self) {
    return kc_coro_state(self->co) == KC_CORO_FINISHED;
}

/* Give the stack of a body that has returned back. */
void kpy_private_end(kpy_private_t *self);

/* The frame in which it was left, a new reference, or NULL without an exception: it is not left. */
PyObject *kpy_private_frame(const kpy_private_t *self);

/*
** Whether the stack that runs may be left here: 0; or -1 and RuntimeError, inside of a finalizer or a function that
** traces, which have to come to their end before anything else runs.
**
** finalizer  the text "__del__", interned as the names of functions are
*/
int kpy_private_may_leave(const kpy_private_t *self, PyObject *finalizer);

/* -- private_depth.c: for versions that do not count the calls of C */

/* To be called once, before the first stack begins: 0, or -1 and an exception. */
int kpy_private_measure(void);

/* Whether so little lies between the base and the call that asks that C cannot have called Python there. */
bool kpy_private_is_shallow(const kpy_private_t *self);

#endif
