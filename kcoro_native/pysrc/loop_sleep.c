/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Sleeping: a timer of the loop that makes its task runnable, with nothing of Python in between; see loop_await.h. */

#include "loop_await.h"

#include <stddef.h>

/* While it is in the timers it has its task, and so the loop that the timers are in. */
typedef struct kpy_sleep {
    PyObject_HEAD
    kc_timer_t timer;
    double seconds;
    kpy_task_t *task; /* who is parked in it; NULL before and after */
    bool is_begun, is_over;
} kpy_sleep_t;

PyObject *kpy_wait_sleep(kpy_loop_t *loop, double seconds) {
    PyTypeObject *type = loop->base.state->loops->sleep;
    kpy_sleep_t *self = (kpy_sleep_t *)type->tp_alloc(type, 0);
    if (self != NULL)
        self->seconds = seconds;
    return (PyObject *)self;
}

static void awake(kc_timer_t *timer) {
    kpy_sleep_t *self = (kpy_sleep_t *)((char *)timer - offsetof(kpy_sleep_t, timer));
    kpy_task_t *task = self->task;
    if (task->wait == (PyObject *)self && !task->interrupted)
        kpy_ready(task);
}

static void sleep_leave(PyObject *obj) {
    kpy_sleep_t *self = (kpy_sleep_t *)obj;
    kc_timer_cancel(&self->timer);
    self->is_over = true;
    if (self->task != NULL)
        kpy_stop_waiting(self->task, obj);
    Py_CLEAR(self->task);
}

static PySendResult begin_sleep(kpy_sleep_t *self, kpy_loop_t *loop, kpy_task_t *task, PyObject **result) {
    double now;
    self->is_begun = true;
    if ((loop->is_cancelling && kpy_is_cancelled(loop, task) != 0) || kpy_now(&loop->base, &now) != 0) {
        self->is_over = true;
        return PYGEN_ERROR;
    }
    kc_timer_start(&loop->base.timers, &self->timer, kpy_key(now + self->seconds), awake);
    self->task = (kpy_task_t *)Py_NewRef(task);
    return kpy_park(loop, task, (PyObject *)self, KPY_WAIT_TIMER, result);
}

static PySendResult sleep_advance(PyObject *obj, PyObject **result) {
    kpy_sleep_t *self = (kpy_sleep_t *)obj;
    kpy_loop_t *loop = kpy_loop_here;
    kpy_task_t *task = kpy_loop_current(loop);
    if (task == NULL || (self->is_over && kpy_is_over() != 0))
        return PYGEN_ERROR;
    if (!kpy_may_step(self->task, task)) {
        if (self->task == task)
            sleep_leave(obj);
        return PYGEN_ERROR;
    }
    if (self->task == NULL)
        return begin_sleep(self, loop, task, result);
    bool cancelled = task->interrupted;
    sleep_leave(obj);
    return cancelled ? kpy_raise_cancelled(loop) : kpy_done(result);
}

KPY_AWAITABLE(sleep, NULL) /* it has no value */

static int sleep_traverse(PyObject *obj, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(obj));
    Py_VISIT(((kpy_sleep_t *)obj)->task);
    return 0;
}

static int sleep_clear(PyObject *obj) {
    kc_timer_cancel(&((kpy_sleep_t *)obj)->timer);
    Py_CLEAR(((kpy_sleep_t *)obj)->task);
    return 0;
}

static void sleep_dealloc(PyObject *obj) {
    PyTypeObject *type = Py_TYPE(obj);
    PyObject_GC_UnTrack(obj);
    sleep_clear(obj);
    if (!((kpy_sleep_t *)obj)->is_begun && !((kpy_sleep_t *)obj)->is_over)
        kpy_never_awaited(obj);
    type->tp_free(obj);
    Py_DECREF(type);
}

static PyObject *sleep_repr(PyObject *obj) {
    char text[64];
    PyOS_snprintf(text, sizeof text, "sleep(%g)", ((kpy_sleep_t *)obj)->seconds);
    return PyUnicode_FromString(text);
}

static PyType_Slot sleep_slots[] = {
    {Py_tp_doc, "Awaited, waits until so many seconds have passed."},
    {Py_tp_dealloc, sleep_dealloc},
    {Py_tp_traverse, sleep_traverse},
    {Py_tp_clear, sleep_clear},
    {Py_tp_repr, sleep_repr},
    KPY_AWAITABLE_SLOTS(sleep),
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "kcoro_native._native.Sleep",
    .basicsize = sizeof(kpy_sleep_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = sleep_slots,
};

int kpy_init_sleep(PyObject *module, kpy_state_t *state) {
    state->loops->sleep = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return state->loops->sleep == NULL ? -1 : PyModule_AddType(module, state->loops->sleep);
}
