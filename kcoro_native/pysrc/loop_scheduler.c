/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* The scheduler as Python sees it: twin of reference/scheduler.py, whose docstrings say what holds; see loop.h. */

#include "loop.h"
#include "module.h"

#include <stddef.h>

/* -- what the host uses as well */

int kpy_scheduler_setup(kpy_scheduler_t *self, kpy_state_t *state, PyObject *now, PyObject *pick) {
    double time;
    self->state = state;
    Py_INCREF(state->module);
    self->now = now == Py_None ? NULL : Py_XNewRef(now);
    self->pick = pick == Py_None ? NULL : Py_XNewRef(pick);
    self->failed = PyDict_New();
    if (self->failed == NULL || kpy_now(self, &time) != 0)
        return -1;
    return kc_timers_init(&self->timers, kpy_key(time));
}

static int choose(kpy_scheduler_t *self, size_t *index) {
    PyObject *answer = PyObject_CallFunction(self->pick, "n", (Py_ssize_t)self->queue.length);
    if (answer == NULL)
        return -1;
    *index = PyLong_AsSize_t(answer);
    Py_DECREF(answer);
    if (*index == (size_t)-1 && PyErr_Occurred())
        return -1;
    if (*index >= self->queue.length) {
        PyErr_Format(PyExc_IndexError, "pick(%zu) answered %zu", self->queue.length, *index);
        return -1;
    }
    return 0;
}

kpy_task_t *kpy_next(kpy_scheduler_t *self) {
    size_t index = 0;
    bool is_alone = self->queue.length == 1;
    kpy_task_t *task = kpy_take_slot(self);
    self->fastpath += is_alone || task != NULL;
    if (task != NULL)
        return task;
    if (!is_alone && self->pick != NULL && choose(self, &index) != 0)
        return NULL;
    task = kpy_queue_take(&self->queue, index);
    self->pulls += task->injected;
    return task;
}

/* -- the Protocol */

static int check_driver(kpy_scheduler_t *self, const char *name) {
    if (self->running == NULL)
        return 0;
    PyErr_Format(PyExc_RuntimeError, "%s() was called inside %R; whoever drives the loop calls it", name,
                 self->running);
    return -1;
}

static PyObject *spawn(PyObject *obj, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"coro", "name", NULL};
    kpy_scheduler_t *self = (kpy_scheduler_t *)obj;
    PyObject *coro, *name = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:spawn", names, &coro, &name))
        return NULL;
    if (self->is_ended) {
        PyObject *closed = PyObject_CallMethodNoArgs(coro, self->state->loops->str_close);
        Py_XDECREF(closed);
        if (closed != NULL)
            PyErr_SetString(PyExc_RuntimeError,
                            "this scheduler was shut down: spawn on the scheduler of the current run");
        return NULL;
    }
    kpy_task_t *task = kpy_task_make(self, coro, name);
    if (task != NULL)
        kpy_enqueue(task);
    return (PyObject *)task;
}

static PyObject *ready(PyObject *obj, PyObject *task) {
    kpy_scheduler_t *self = (kpy_scheduler_t *)obj;
    if (!PyObject_TypeCheck(task, self->state->loops->task) || ((kpy_task_t *)task)->owner != self) {
        PyErr_Format(PyExc_TypeError, "%R is no task of this scheduler", task);
        return NULL;
    }
    kpy_wake_task((kpy_task_t *)task);
    Py_RETURN_NONE;
}

static PyObject *drain(PyObject *obj, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"steps", NULL};
    kpy_scheduler_t *self = (kpy_scheduler_t *)obj;
    PyObject *limit = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:drain", names, &limit) || check_driver(self, "drain") != 0)
        return NULL;
    Py_ssize_t most = limit == Py_None ? PY_SSIZE_T_MAX : PyNumber_AsSsize_t(limit, NULL), taken = 0;
    if (most == -1 && PyErr_Occurred())
        return NULL;
    for (; taken < most; taken++) {
        if (kpy_expire(self) < 0)
            return NULL;
        if (self->queue.length == 0)
            break;
        kpy_task_t *task = kpy_next(self);
        if (task == NULL || kpy_step(self, task) != 0)
            return NULL;
    }
    return PyLong_FromSsize_t(taken);
}

static PyObject *stats(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    kpy_scheduler_t *self = (kpy_scheduler_t *)obj;
    return PyObject_CallFunction(self->state->loops->stats, "KKKnKKKKKK", (unsigned long long)self->submitted,
                                 (unsigned long long)self->completed,
                                 (unsigned long long)(self->submitted - self->completed),
                                 (Py_ssize_t)self->queue.length, (unsigned long long)self->steps,
                                 (unsigned long long)self->parks, (unsigned long long)self->unparks,
                                 (unsigned long long)self->fired, (unsigned long long)self->fastpath,
                                 (unsigned long long)self->pulls);
}

static PyObject *poll_handle(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    kpy_scheduler_t *self = (kpy_scheduler_t *)obj;
    uint64_t next = kc_timers_next(&self->timers);
    PyObject *deadline = next == KC_NEVER ? Py_NewRef(Py_None) : PyFloat_FromDouble(kpy_seconds(next));
    if (deadline == NULL)
        return NULL;
    return PyObject_CallFunction(self->state->loops->poll_spec, "OiNO", Py_None, 0, deadline,
                                 self->queue.length != 0 ? Py_True : Py_False);
}

/* -- beyond the Protocol */

static PyObject *call_at(PyObject *obj, PyObject *const *args, Py_ssize_t count) {
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "call_at takes a deadline and a function");
        return NULL;
    }
    double deadline = PyFloat_AsDouble(args[0]);
    if (deadline == -1.0 && PyErr_Occurred())
        return NULL;
    return kpy_call_at((kpy_scheduler_t *)obj, deadline, args[1]);
}

static PyObject *wake(PyObject *pair, PyObject *Py_UNUSED(ignored)) {
    return ready(PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1));
}

static PyMethodDef wake_def = {"wake", wake, METH_NOARGS, NULL};

static PyObject *wake_at(PyObject *obj, PyObject *const *args, Py_ssize_t count) {
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "wake_at takes a deadline and a task");
        return NULL;
    }
    PyObject *pair = PyTuple_Pack(2, obj, args[1]);
    PyObject *fn = pair == NULL ? NULL : PyCFunction_New(&wake_def, pair);
    PyObject *both[] = {args[0], fn};
    PyObject *timer = fn == NULL ? NULL : call_at(obj, both, 2);
    Py_XDECREF(pair);
    Py_XDECREF(fn);
    return timer;
}

static PyObject *tasks(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    PyObject *list = PyList_New(0);
    for (kpy_task_t *task = ((kpy_scheduler_t *)obj)->oldest; list != NULL && task != NULL; task = task->younger)
        if (PyList_Append(list, (PyObject *)task) != 0)
            Py_CLEAR(list);
    return list;
}

static PyObject *shut_down(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    kpy_scheduler_t *self = (kpy_scheduler_t *)obj;
    if (check_driver(self, "shutdown") != 0)
        return NULL;
    self->is_ended = true;
    while (self->youngest != NULL)
        if (kpy_close_task(self->youngest) != 0)
            return NULL;
    kpy_empty_queue(self);
    PyObject *failed = PyDict_Values(self->failed), *errors = PyList_New(0);
    PyDict_Clear(self->failed);
    for (Py_ssize_t i = 0; failed != NULL && errors != NULL && i < PyList_GET_SIZE(failed); i++)
        if (PyList_Append(errors, ((kpy_task_t *)PyList_GET_ITEM(failed, i))->thrown) != 0)
            Py_CLEAR(errors);
    Py_XDECREF(failed);
    if (errors != NULL && PyList_GET_SIZE(errors) != 0)
        kpy_raise(PyObject_CallFunction(PyExc_BaseExceptionGroup, "sO", "tasks failed, and nobody took their errors",
                                        errors));
    Py_XDECREF(errors);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

/* -- its life */

int kpy_scheduler_traverse(PyObject *obj, visitproc visit, void *arg) {
    kpy_scheduler_t *self = (kpy_scheduler_t *)obj;
    for (kpy_task_t *task = self->oldest; task != NULL; task = task->younger)
        Py_VISIT(task);
    int rc = kpy_timers_traverse(self, visit, arg);
    if (rc != 0)
        return rc;
    Py_VISIT(self->now);
    Py_VISIT(self->pick);
    Py_VISIT(self->failed);
    Py_VISIT(self->timer_errors);
    Py_VISIT(Py_TYPE(obj));
    if (self->state != NULL)
        Py_VISIT(self->state->module);
    return 0;
}

int kpy_scheduler_clear(PyObject *obj) {
    kpy_scheduler_t *self = (kpy_scheduler_t *)obj;
    kpy_empty_queue(self);
    while (self->youngest != NULL)
        kpy_task_end(self->youngest, NULL, NULL);
    kpy_timers_cancel(self);
    Py_CLEAR(self->now);
    Py_CLEAR(self->pick);
    Py_CLEAR(self->failed);
    Py_CLEAR(self->timer_errors);
    return 0;
}

void kpy_scheduler_free(kpy_scheduler_t *self) {
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs((PyObject *)self);
    kpy_scheduler_clear((PyObject *)self);
    kpy_queue_free(&self->queue);
    if (self->state != NULL)
        Py_DECREF(self->state->module);
}

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"now", "pick", NULL};
    PyObject *now = Py_None, *pick = Py_None;
    kpy_state_t *state = kpy_state_of_class(type);
    if (state == NULL || !PyArg_ParseTupleAndKeywords(args, kwargs, "|$OO:Scheduler", names, &now, &pick))
        return NULL;
    kpy_scheduler_t *self = (kpy_scheduler_t *)type->tp_alloc(type, 0);
    if (self != NULL && kpy_scheduler_setup(self, state, now, pick) != 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void dealloc(PyObject *obj) {
    PyTypeObject *type = Py_TYPE(obj);
    PyObject_GC_UnTrack(obj);
    kpy_scheduler_free((kpy_scheduler_t *)obj);
    type->tp_free(obj);
    Py_DECREF(type);
}

static PyObject *get_running(PyObject *obj, void *Py_UNUSED(closure)) {
    kpy_task_t *running = ((kpy_scheduler_t *)obj)->running;
    return Py_NewRef(running != NULL ? (PyObject *)running : Py_None);
}

static PyMethodDef methods[] = {
    {"spawn", (PyCFunction)(void (*)(void))spawn, METH_VARARGS | METH_KEYWORDS,
     "Accept a coroutine; it takes its first step in a later drain, in a copy of the caller's context."},
    {"ready", ready, METH_O, "Make a parked task runnable; remembered while it runs, else harmless."},
    {"drain", (PyCFunction)(void (*)(void))drain, METH_VARARGS | METH_KEYWORDS,
     "Take at most that many steps (None: until nothing is runnable); returns how many were taken."},
    {"stats", stats, METH_NOARGS, "The counters since the scheduler was made."},
    {"poll_handle", poll_handle, METH_NOARGS, "What to wait for before the next drain is worth calling."},
    {"call_at", (PyCFunction)(void (*)(void))call_at, METH_FASTCALL,
     "Call a function once, between two steps, in the first drain at or after a deadline."},
    {"wake_at", (PyCFunction)(void (*)(void))wake_at, METH_FASTCALL, "Make a task runnable at a deadline."},
    {"tasks", tasks, METH_NOARGS, "Every task that has not finished, oldest first; for dumps."},
    {"shutdown", shut_down, METH_NOARGS, "Close every coroutine that has not finished, the youngest first."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"running", get_running, NULL, "The task that takes a step at this instant, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(kpy_scheduler_t, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Steps coroutines, one at a time; driven from outside by drain."},
    {Py_tp_new, make},
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, kpy_scheduler_traverse},
    {Py_tp_clear, kpy_scheduler_clear},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "kcoro_native._native.Scheduler",
    .basicsize = sizeof(kpy_scheduler_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

int kpy_init_scheduler(PyObject *module, kpy_state_t *state) {
    state->loops->scheduler = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return state->loops->scheduler == NULL ? -1 : PyModule_AddType(module, state->loops->scheduler);
}
