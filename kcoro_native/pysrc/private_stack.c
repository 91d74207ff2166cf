/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Private stacks: their beginning, their end, and when they must not be left; contracts in private_stack.h. */

#include "private_stack.h"

#include <string.h>

#include "near.h"

void kpy_private_prepare(void) {
    kci_near_room = KPY_CHUNK_BYTES;
}

const char *kpy_private_missing(void) {
    if (!KPY_HAS_PRIVATE_STACKS)
        return "functions on private stacks need CPython 3.11 to 3.14; this version runs `async def` only";
#if KPY_HAS_BOUNDS
    if (KPY_SET_BOUNDS == NULL || KPY_RESET_BOUNDS == NULL)
        return "functions on private stacks need PyUnstable_ThreadState_SetStackProtection, which later versions of "
               "CPython 3.14 have; this one runs `async def` only";
#endif
    if (strcmp(kc_coro_switcher(), "none") == 0)
        return "functions on private stacks need a switch of stacks, which this build has not for this machine";
    return NULL;
}

#if KPY_HAS_PRIVATE_STACKS

/* -- the lowest function of a stack */

#if KPY_HAS_C_RECURSION
/* What one call costs, as the interpreter counts them, in the worst case that was found: the key of a sort that sorts
** takes 5 KiB and counts as 2. */
#define C_CALL_BYTES 4096

/* How many calls of C may be nested: as many as the interpreter allows elsewhere, if the stack has room for them. */
static int c_calls(size_t bytes) {
#ifdef Py_C_RECURSION_LIMIT
    int usual = Py_C_RECURSION_LIMIT;
#else
    int usual = C_RECURSION_LIMIT;
#endif
    int room = (int)(bytes / C_CALL_BYTES);
    return room < usual ? room : usual;
}
#endif

static void stand_on(kpy_private_t *self, PyThreadState *thread, kpy_stack_base_t *base) {
    _PyStackChunk *chunk = kci_near_room_of(self->co);
    chunk->previous = NULL;
    chunk->size = KPY_CHUNK_BYTES;
    chunk->top = 0;
    base->handled.exc_value = NULL;
    base->handled.previous_item = NULL;
    kpy_stack_state_t fresh = {
#if KPY_HAS_C_RECURSION
        .c_remaining = self->c_calls,
#endif
        .chunk = chunk,
        .chunk_top = &chunk->data[1], /* the first word is skipped in a chunk that is not to be freed */
        .chunk_limit = (PyObject **)(void *)((char *)chunk + KPY_CHUNK_BYTES),
        .handled = &base->handled,
        .context = self->context,
    };
#if KPY_HAS_CFRAME
    base->frames.current_frame = NULL;
    base->frames.previous = &thread->root_cframe;
    fresh.frames = &base->frames;
#endif
    self->context = NULL;
    kpy_stack_return(thread, &fresh);
}

/* Values of the context may run code when they go. */
static void let_context_go(PyThreadState *thread) {
    while (thread->context != NULL) {
        PyObject *context = thread->context;
        thread->context = NULL;
        thread->context_ver++;
        Py_DECREF(context);
    }
}

/* Whoever goes on looks at the frames that were left, when `base` is no more. */
static void stand_off(PyThreadState *thread) {
#if KPY_HAS_USE_TRACING
    thread->root_cframe.use_tracing = thread->cframe->use_tracing;
#endif
#if KPY_HAS_CFRAME
    thread->cframe = &thread->root_cframe;
#else
    thread->current_frame = NULL;
#endif
}

static int run(void *arg) {
    kpy_private_t *self = arg;
    kpy_stack_base_t base;
    PyThreadState *thread = self->thread;
    self->base = (const char *)&base;
    stand_on(self, thread, &base);
    self->body(self->owner);
    let_context_go(thread);
    Py_CLEAR(base.handled.exc_value); /* None, which whoever has handled an exception leaves there */
    stand_off(thread);
    return 0;
}

/* For the words of libkcoro; there is none if it cannot be UTF-8, for half of a surrogate is no reason not to begin. */
static const char *name_in_c(PyObject *name) {
    const char *text = PyUnicode_AsUTF8(name);
    if (text == NULL)
        PyErr_Clear();
    return text;
}

int kpy_private_begin(kpy_private_t *self, size_t bytes, PyObject *name, PyObject *context) {
    kc_coro_options_t options = {bytes != 0 ? bytes : KPY_STACK_BYTES, name_in_c(name)};
    int rc = kc_coro_create(&self->co, run, self, &options);
    if (rc == -ENOMEM)
        PyErr_NoMemory();
    else if (rc != 0)
        PyErr_SetString(PyExc_RuntimeError, "this build has no private stacks");
    if (rc != 0)
        return -1;
    kci_own(self->co);
    self->thread = PyThreadState_Get();
    self->thread_id = self->thread->id;
    self->here = kci_here();
    self->context = context != NULL ? context : Py_XNewRef(self->thread->context);
    self->left = NULL;
#if KPY_HAS_C_RECURSION
    self->c_calls = c_calls(options.stack_size);
#endif
    return 0;
}

void kpy_private_end(kpy_private_t *self) {
    kc_coro_destroy(self->co);
    self->co = NULL;
}

/* -- what its frames tell */

PyObject *kpy_private_frame(const kpy_private_t *self) {
    if (self->co == NULL || self->left == NULL || kpy_private_is_foreign(self))
        return NULL;
    PyThreadState *thread = self->thread;
    int collects = PyGC_Disable(); /* a collection would run code, on frames that do not lie on this stack */
#if KPY_HAS_CFRAME
    _PyCFrame *frames = thread->cframe;
    thread->cframe = self->left->frames;
    PyObject *frame = (PyObject *)PyThreadState_GetFrame(thread);
    thread->cframe = frames;
#else
    struct _PyInterpreterFrame *frames = thread->current_frame;
    thread->current_frame = self->left->frames;
    PyObject *frame = (PyObject *)PyThreadState_GetFrame(thread);
    thread->current_frame = frames;
#endif
    if (collects)
        PyGC_Enable();
    return frame;
}

static bool is_named(PyFrameObject *frame, PyObject *name) {
    PyCodeObject *code = PyFrame_GetCode(frame);
    bool is = code->co_name == name;
    Py_DECREF(code);
    return is;
}

/* Frame after frame down to the base; that is slow, and only done where C has called Python on this stack. */
static bool is_inside(PyThreadState *thread, PyObject *name) {
    PyFrameObject *frame = PyThreadState_GetFrame(thread);
    bool found = false;
    while (frame != NULL && !found) {
        found = is_named(frame, name);
        PyFrameObject *outer = found ? NULL : PyFrame_GetBack(frame);
        Py_DECREF(frame);
        frame = outer;
    }
    return found;
}

/* Whether nothing but functions of Python lies between the base and the call that asks: none of them is a finalizer,
** which is called by C. */
static bool is_flat(const kpy_private_t *self) {
#if KPY_HAS_CFRAME
    const _PyCFrame *below = self->thread->cframe->previous;
    return below != NULL && below->previous == &self->thread->root_cframe;
#elif KPY_HAS_BOUNDS
    return kpy_private_is_shallow(self);
#else
    /* The interpreter counts 2 for itself, and a call of C 1 at most. */
    return self->c_calls - self->thread->c_recursion_remaining < 4;
#endif
}

int kpy_private_may_leave(const kpy_private_t *self, PyObject *finalizer) {
    const char *where = NULL;
    if (self->thread->tracing != 0)
        where = "a function that traces or profiles";
    else if (!is_flat(self) && is_inside(self->thread, finalizer))
        where = "a finalizer (__del__)";
    if (where == NULL)
        return 0;
    PyErr_Format(PyExc_RuntimeError, "nothing can wait inside of %s: it has to end before anything else runs", where);
    return -1;
}
#else

int kpy_private_begin(kpy_private_t *self, size_t bytes, PyObject *name, PyObject *context) {
    (void)self, (void)bytes, (void)name, (void)context;
    PyErr_SetString(PyExc_RuntimeError, kpy_private_missing());
    return -1;
}

void kpy_private_end(kpy_private_t *self) {
    (void)self;
}

PyObject *kpy_private_frame(const kpy_private_t *self) {
    (void)self;
    return NULL;
}

int kpy_private_may_leave(const kpy_private_t *self, PyObject *finalizer) {
    (void)self, (void)finalizer;
    PyErr_SetString(PyExc_RuntimeError, kpy_private_missing());
    return -1;
}

#endif
