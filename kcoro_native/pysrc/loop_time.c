/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Time: clocks and timers; see loop.h.
**
** Times are doubles, and stay exact: the wheel of libkcoro gets their bits as a number, which orders as they do.
*/

#include "loop.h"

#include <math.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

typedef struct kpy_timer {
    PyObject_HEAD
    kc_timer_t timer;
    kpy_scheduler_t *owner; /* a reference */
    struct kpy_timer *before, *behind; /* in the list of its owner, while it waits */
    PyObject *fn;           /* NULL once it has fired or was cancelled */
    double deadline;
} kpy_timer_t;

static void enlist(kpy_timer_t *self) {
    self->behind = self->owner->waiting;
    if (self->behind != NULL)
        self->behind->before = self;
    self->owner->waiting = self;
}

static void delist(kpy_timer_t *self) {
    *(self->before != NULL ? &self->before->behind : &self->owner->waiting) = self->behind;
    if (self->behind != NULL)
        self->behind->before = self->before;
    self->before = self->behind = NULL;
}

static kpy_timer_t *of(kc_timer_t *timer) {
    return (kpy_timer_t *)((char *)timer - offsetof(kpy_timer_t, timer));
}

/* -- clocks */

int kpy_now(kpy_scheduler_t *self, double *now) {
    if (self->now == NULL) {
        struct timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        *now = (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
        return 0;
    }
    PyObject *answer = PyObject_CallNoArgs(self->now);
    if (answer == NULL)
        return -1;
    *now = PyFloat_AsDouble(answer);
    Py_DECREF(answer);
    return *now == -1.0 && PyErr_Occurred() ? -1 : 0;
}

uint64_t kpy_key(double seconds) {
    uint64_t key;
    if (!(seconds > 0))
        return 0;
    if (isinf(seconds))
        return KC_NEVER;
    memcpy(&key, &seconds, sizeof key);
    return key;
}

double kpy_seconds(uint64_t key) {
    double seconds;
    if (key == KC_NEVER)
        return INFINITY;
    memcpy(&seconds, &key, sizeof seconds);
    return seconds;
}

/* -- firing */

/* An interrupt leaves at once: what is due goes back, and is due the next time. */
static bool is_interrupted(const kpy_scheduler_t *self) {
    Py_ssize_t count = self->timer_errors == NULL ? 0 : PyList_GET_SIZE(self->timer_errors);
    return count != 0 && !PyErr_GivenExceptionMatches(PyList_GET_ITEM(self->timer_errors, count - 1), PyExc_Exception);
}

static void collect(kpy_scheduler_t *self) {
    PyObject *error = kpy_take_exception();
    if (self->is_loop && PyErr_GivenExceptionMatches(error, PyExc_Exception)) {
        kpy_loop_say(self->state, error, "a callback of a timer");
        Py_DECREF(error);
        return;
    }
    if (self->timer_errors == NULL)
        self->timer_errors = PyList_New(0);
    if (self->timer_errors == NULL || PyList_Append(self->timer_errors, error) != 0)
        PyErr_WriteUnraisable(error);
    Py_DECREF(error);
}

static void fire(kc_timer_t *timer) {
    kpy_timer_t *self = of(timer);
    kpy_scheduler_t *owner = self->owner;
    if (is_interrupted(owner)) {
        owner->fired--;
        kc_timer_start(&owner->timers, timer, kpy_key(self->deadline), fire);
        return;
    }
    PyObject *fn = self->fn;
    self->fn = NULL;
    delist(self);
    PyObject *answer = PyObject_CallNoArgs(fn);
    if (answer == NULL)
        collect(owner);
    Py_XDECREF(answer);
    Py_DECREF(fn);
    Py_DECREF(self); /* that of the wheel */
}

/* Raise what callbacks raised: together, or alone when it was an interrupt. */
static int raise_collected(kpy_scheduler_t *self) {
    PyObject *errors = self->timer_errors;
    self->timer_errors = NULL;
    PyObject *last = PyList_GET_ITEM(errors, PyList_GET_SIZE(errors) - 1);
    if (PyList_GET_SIZE(errors) == 1 && !PyErr_GivenExceptionMatches(last, PyExc_Exception)) {
        kpy_raise(Py_NewRef(last));
        Py_DECREF(errors);
        return -1;
    }
    PyObject *group = PyObject_CallFunction(PyExc_BaseExceptionGroup, "sO", "timer callbacks failed", errors);
    Py_DECREF(errors);
    kpy_raise(group);
    return -1;
}

int kpy_expire(kpy_scheduler_t *self) {
    double now;
    if (kc_timers_count(&self->timers) == 0 || self->timers.is_expiring) /* a callback may drive the loop */
        return 0;
    if (kpy_now(self, &now) != 0)
        return -1;
    if (kc_timers_next(&self->timers) > kpy_key(now))
        return 0;
    int fired = kc_timers_expire(&self->timers, kpy_key(now));
    if (fired > 0)
        self->fired += (uint64_t)fired;
    return self->timer_errors != NULL ? raise_collected(self) : fired;
}

/* -- timers as Python sees them */

int kpy_timers_traverse(kpy_scheduler_t *self, visitproc visit, void *arg) {
    for (kpy_timer_t *timer = self->waiting; timer != NULL; timer = timer->behind)
        Py_VISIT(timer);
    return 0;
}

static void take_back(kpy_timer_t *self) {
    delist(self);
    Py_CLEAR(self->fn);
    Py_DECREF(self); /* that of the wheel */
}

void kpy_timers_cancel(kpy_scheduler_t *self) {
    while (self->waiting != NULL && kc_timer_cancel(&self->waiting->timer) != 0)
        take_back(self->waiting);
}

PyObject *kpy_call_at(kpy_scheduler_t *self, double deadline, PyObject *fn) {
    if (isnan(deadline)) {
        PyErr_SetString(PyExc_ValueError, "a deadline must be a number of seconds, not nan");
        return NULL;
    }
    PyTypeObject *type = self->state->loops->timer;
    kpy_timer_t *timer = (kpy_timer_t *)type->tp_alloc(type, 0);
    if (timer == NULL)
        return NULL;
    timer->owner = (kpy_scheduler_t *)Py_NewRef(self);
    timer->fn = Py_NewRef(fn);
    timer->deadline = deadline;
    kc_timer_start(&self->timers, &timer->timer, kpy_key(deadline), fire);
    enlist(timer);
    return Py_NewRef(timer);
}

static PyObject *timer_cancel(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    kpy_timer_t *self = (kpy_timer_t *)obj;
    if (kc_timer_cancel(&self->timer) == 0)
        Py_RETURN_FALSE;
    take_back(self);
    Py_RETURN_TRUE;
}

static PyObject *timer_repr(PyObject *obj) {
    kpy_timer_t *self = (kpy_timer_t *)obj;
    char text[96];
    PyOS_snprintf(text, sizeof text, "<Timer at %g, %s>", self->deadline, self->fn == NULL ? "done" : "waiting");
    return PyUnicode_FromString(text);
}

static int timer_traverse(PyObject *obj, visitproc visit, void *arg) {
    kpy_timer_t *self = (kpy_timer_t *)obj;
    Py_VISIT(Py_TYPE(obj));
    Py_VISIT(self->owner);
    Py_VISIT(self->fn);
    return 0;
}

static int timer_clear(PyObject *obj) {
    Py_CLEAR(((kpy_timer_t *)obj)->fn);
    return 0;
}

static void timer_dealloc(PyObject *obj) {
    PyTypeObject *type = Py_TYPE(obj);
    PyObject_GC_UnTrack(obj);
    timer_clear(obj);
    Py_CLEAR(((kpy_timer_t *)obj)->owner);
    type->tp_free(obj);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"cancel", timer_cancel, METH_NOARGS, "Take it back: True exactly when it has not fired and now never will."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"deadline", T_DOUBLE, offsetof(kpy_timer_t, deadline), READONLY, "When it fires, in seconds on its clock."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "One callback that will run at a deadline, unless it is cancelled first."},
    {Py_tp_dealloc, timer_dealloc},
    {Py_tp_traverse, timer_traverse},
    {Py_tp_clear, timer_clear},
    {Py_tp_repr, timer_repr},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "kcoro_native._native.Timer",
    .basicsize = sizeof(kpy_timer_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

int kpy_init_time(PyObject *module, kpy_state_t *state) {
    state->loops->timer = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return state->loops->timer == NULL ? -1 : 0;
}
