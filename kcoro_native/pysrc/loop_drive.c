/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** One run of the loop, from its first step to its last; see loop.h.
**
** Steps come first; after every `slice` of them, and whenever none is left, callers from other threads, timers and
** descriptors have their turn, so that nobody who is always runnable shuts them out.
*/

#include "loop.h"

#include <math.h>

/* How long a wait lasts at most, in nanoseconds: while only other threads could end it, and else. */
#define AMONG_THREADS INT64_C(1000000000)
#define LONGEST (INT64_C(86400) * 1000000000)

enum turn { FAILED = -1, GO_ON, ENDED, STUCK };

/* The interrupt reaches the main task where it waits; one that has been won comes first. */
static int deliver_interrupt(kpy_loop_t *self) {
    kpy_task_t *task = (kpy_task_t *)self->main;
    self->is_cancelling = true; /* cancel points are to look */
    if (task == NULL || task->state != KPY_PARKED || task->interrupted)
        return 0;
    if (task->wait_kind != KPY_NO_WAIT) {
        int rc = kpy_interrupt(task);
        if (rc != 0 || !task->interrupted)
            return rc;
    }
    else
        kpy_enqueue(task);
    Py_XSETREF(task->thrown, self->interrupt);
    self->interrupt = NULL;
    return 0;
}

static int take_steps(kpy_loop_t *self) {
    kpy_scheduler_t *base = &self->base;
    for (long i = 0; i < self->slice && base->queue.length != 0; i++)
        if (kpy_step(base, kpy_next(base)) != 0)
            return -1;
    return 0;
}

static bool has_work(const kpy_loop_t *self) {
    return self->base.queue.length != 0 || PyList_GET_SIZE(self->calls) != 0;
}

/* -- waiting for the world */

static int64_t nanoseconds(double seconds) {
    double ns = ceil(seconds * 1e9);
    return !(ns > 0) ? 0 : ns < (double)LONGEST ? (int64_t)ns : LONGEST;
}

/* How long to wait, by a clock of Python; it may jump instead, and answers 0 then. */
static int ask_clock(kpy_loop_t *self, uint64_t next, int64_t *timeout) {
    int ready = kpy_poll(self, 0);
    *timeout = 0;
    if (ready != 0 || has_work(self)) /* what was done for a descriptor may have made another one ready */
        return ready < 0 ? -1 : 0;
    PyObject *answer = PyObject_CallFunction(self->idle, "d", kpy_seconds(next));
    double seconds = answer == NULL ? -1.0 : PyFloat_AsDouble(answer);
    Py_XDECREF(answer);
    if (seconds == -1.0 && PyErr_Occurred())
        return -1;
    *timeout = nanoseconds(seconds);
    return 0;
}

static int time_left(kpy_loop_t *self, uint64_t next, int64_t *timeout) {
    double now;
    if (self->idle != NULL)
        return ask_clock(self, next, timeout);
    if (kpy_now(&self->base, &now) != 0)
        return -1;
    *timeout = nanoseconds(kpy_seconds(next) - now);
    return 0;
}

/* Whether nothing in this process could ever make a task runnable: 1, 0 or -1. */
static int is_stuck(kpy_loop_t *self) {
    PyObject *answer = PyObject_CallMethod((PyObject *)self, "_is_stuck", NULL);
    int stuck = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    return stuck;
}

static enum turn wait_for_world(kpy_loop_t *self) {
    uint64_t next = kc_timers_next(&self->base.timers);
    int64_t timeout = LONGEST;
    if (next != KC_NEVER) {
        if (time_left(self, next, &timeout) != 0)
            return FAILED;
    }
    else if (self->watching == 0) {
        int stuck = is_stuck(self);
        if (stuck < 0)
            return FAILED;
        if (stuck != 0 && !has_work(self)) /* a thread may have called in while it was asked, and have ended */
            return STUCK;
        timeout = AMONG_THREADS;
    }
    if (has_work(self) || (timeout == 0 && self->idle != NULL))
        return GO_ON;
    return kpy_poll(self, timeout) < 0 ? FAILED : GO_ON;
}

/* -- the whole */

static enum turn turn(kpy_loop_t *self) {
    if (PyList_GET_SIZE(self->calls) != 0 && kpy_run_calls(self) != 0)
        return FAILED;
    if (self->base.oldest == NULL)
        return ENDED;
    if (self->interrupt != NULL && deliver_interrupt(self) != 0)
        return FAILED;
    if (kpy_expire(&self->base) < 0 || take_steps(self) != 0)
        return FAILED;
    if (self->base.queue.length == 0 && self->base.oldest != NULL && self->interrupt == NULL)
        return wait_for_world(self);
    return self->watching != 0 && kpy_poll(self, 0) < 0 ? FAILED : GO_ON;
}

/* One thread drives a loop, from outside of its tasks: 0, or -1 and WrongLoop. */
static int begin_driving(kpy_loop_t *self) {
    if (kpy_loop_here == NULL && !self->is_driven && self->base.running == NULL) {
        kpy_loop_here = self;
        self->is_driven = true;
        return 0;
    }
    PyErr_SetString(kpy_wrong_loop(self), "a loop is running in this thread already, or this one in another thread");
    return -1;
}

static void end_driving(kpy_loop_t *self) {
    kpy_loop_here = NULL;
    self->is_driven = false;
}

static PyObject *drive(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    kpy_loop_t *self = (kpy_loop_t *)obj;
    enum turn what = GO_ON;
    if (kpy_check_fork(self) != 0 || begin_driving(self) != 0)
        return NULL;
    while (what == GO_ON)
        what = turn(self);
    end_driving(self);
    return what == FAILED ? NULL : PyBool_FromLong(what == ENDED);
}

/* -- beginning and end */

static PyObject *set_main(PyObject *obj, PyObject *task) {
    kpy_loop_t *self = (kpy_loop_t *)obj;
    if (task != Py_None && !kpy_is_task(self->base.state, task))
        return PyErr_Format(PyExc_TypeError, "%R is no task", task);
    self->main = task == Py_None ? NULL : task;
    Py_RETURN_NONE;
}

static PyObject *interrupt(PyObject *obj, PyObject *error) {
    kpy_loop_t *self = (kpy_loop_t *)obj;
    Py_XSETREF(self->interrupt, Py_NewRef(error));
    kc_poller_wake(self->poller);
    Py_RETURN_NONE;
}

static PyObject *take_interrupt(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    kpy_loop_t *self = (kpy_loop_t *)obj;
    PyObject *error = self->interrupt;
    self->interrupt = NULL;
    return error != NULL ? error : Py_NewRef(Py_None);
}

/* Close what is left of a run that was given up, the youngest first; answers the tasks that failed in that. */
static PyObject *close_all(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    kpy_loop_t *self = (kpy_loop_t *)obj;
    if (begin_driving(self) != 0)
        return NULL;
    self->base.is_ended = true;
    while (self->base.youngest != NULL)
        if (kpy_close_task(self->base.youngest) != 0)
            break;
    end_driving(self);
    kpy_empty_queue(&self->base);
    PyObject *failed = PyErr_Occurred() ? NULL : PyDict_Values(self->base.failed);
    PyDict_Clear(self->base.failed);
    return failed;
}

static PyObject *run_calls(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    kpy_loop_t *self = (kpy_loop_t *)obj;
    Py_ssize_t count = PyList_GET_SIZE(self->calls);
    if (count != 0 && kpy_run_calls(self) != 0)
        return NULL;
    return PyBool_FromLong(count != 0);
}

PyMethodDef kpy_drive_methods[] = {
    {"_drive", drive, METH_NOARGS, "Run until no task is left: True; or until nothing can go on: False."},
    {"_set_main", set_main, METH_O, "Say which task is interrupted by Ctrl-C; None for none any more."},
    {"_interrupt", interrupt, METH_O, "Have an exception raised in the main task, where it waits."},
    {"_take_interrupt", take_interrupt, METH_NOARGS, "Take back the exception that was not raised, or None."},
    {"_close_all", close_all, METH_NOARGS, "Close every task that is left; answers those that failed in that."},
    {"_run_calls", run_calls, METH_NOARGS, "Make the calls that other threads want; whether there were any."},
    {NULL, NULL, 0, NULL},
};
