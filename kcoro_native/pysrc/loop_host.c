/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The loop as a host: the port of kcoro_core/hosts/port.py, as far as tasks are concerned; see loop.h.
**
** What a run is made of, from its first step to its last, is in loop_drive.c; what is seldom used is Python (host.py).
*/

#include "loop.h"
#include "module.h"

#include <stddef.h>

KPY_THREAD_WORD kpy_loop_t *kpy_loop_here;

/* -- tasks */

int kpy_check_fork(kpy_loop_t *self) {
    if (!self->is_forked)
        return 0;
    PyErr_SetString(PyExc_RuntimeError,
                    "this process was forked inside a running loop, which stays with its parent: in the child call "
                    "os._exit or an exec function, or start processes by subprocess or multiprocessing's spawn");
    return -1;
}

kpy_task_t *kpy_loop_current(kpy_loop_t *self) {
    if (self != NULL && self->base.running != NULL && kpy_loop_here == self)
        return kpy_check_fork(self) == 0 ? self->base.running : NULL;
    if (self == NULL)
        PyErr_SetString(PyExc_RuntimeError, "the loop of this wait is gone");
    else
        PyErr_SetString(kpy_wrong_loop(self), "no task of this run is running here");
    return NULL;
}

PyObject *kpy_coroutine(kpy_loop_t *self, PyObject *fn, PyObject *const *args, Py_ssize_t count) {
    PyObject *coro = PyObject_Vectorcall(fn, args, (size_t)count, NULL);
    if (coro == NULL || PyCoro_CheckExact(coro))
        return coro;
    int is = PyObject_IsInstance(coro, self->base.state->loops->coroutine_abc);
    PyObject *wrapped = NULL;
    if (is == 1)
        return coro;
    if (is == 0 && Py_TYPE(coro)->tp_as_async != NULL && Py_TYPE(coro)->tp_as_async->am_await != NULL)
        wrapped = PyObject_CallOneArg(self->base.state->loops->await_it, coro);
    else if (is == 0)
        PyErr_Format(PyExc_TypeError, "a task needs an async function; %R returned %R, which cannot be awaited", fn,
                     coro);
    Py_DECREF(coro);
    return wrapped;
}

void kpy_close_unstarted(kpy_loop_t *self, PyObject *coro) {
    PyObject *error = kpy_take_exception();
    PyObject *closed = PyObject_CallMethodNoArgs(coro, self->base.state->loops->str_close);
    Py_XDECREF(closed);
    kpy_raise(error);
}

kpy_task_t *kpy_start_task(kpy_loop_t *self, PyObject *coro, PyObject *name, kpy_scope_t *scope, PyObject *done) {
    kpy_task_t *task = NULL;
    if (self->base.is_ended)
        PyErr_SetString(kpy_wrong_loop(self), "this run of the native host has ended");
    else if (kpy_check_fork(self) == 0)
        task = kpy_task_make(&self->base, coro, name);
    if (task == NULL) {
        kpy_close_unstarted(self, coro);
        return NULL;
    }
    kpy_task_set_scope(task, scope);
    task->done = Py_NewRef(done);
    kpy_enqueue(task);
    return task;
}

static PyObject *start_task(PyObject *obj, PyObject *args) {
    kpy_loop_t *self = (kpy_loop_t *)obj;
    PyObject *fn, *given, *name, *scope, *done;
    if (!PyArg_ParseTuple(args, "OO!OO!O:start_task", &fn, &PyTuple_Type, &given, &name, self->base.state->loops->scope,
                          &scope, &done))
        return NULL;
    PyObject *coro = kpy_coroutine(self, fn, ((PyTupleObject *)given)->ob_item, PyTuple_GET_SIZE(given));
    if (coro == NULL)
        return NULL;
    kpy_task_t *task = kpy_start_task(self, coro, name, (kpy_scope_t *)scope, done);
    Py_DECREF(coro);
    return (PyObject *)task;
}

static PyObject *current(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    return Py_XNewRef(kpy_loop_current((kpy_loop_t *)obj));
}

/* -- waiting */

static PyObject *park(PyObject *obj, PyObject *op) {
    return kpy_wait_park((kpy_loop_t *)obj, op);
}

static PyObject *unpark(PyObject *obj, PyObject *op) {
    kpy_loop_t *self = (kpy_loop_t *)obj;
    struct kpy_loops *loops = self->base.state->loops;
    PyObject *task = PyObject_GetAttr(op, loops->str_task);
    int rc = -1;
    if (task == Py_None)
        rc = PyObject_SetAttr(op, loops->str_task, obj); /* its owner comes to park later, and finds this */
    else if (task != NULL && PyObject_TypeCheck(task, loops->task)) {
        bool is_parked = ((kpy_task_t *)task)->state == KPY_PARKED && ((kpy_task_t *)task)->wait == op;
        if (is_parked)
            kpy_ready((kpy_task_t *)task);
        rc = 0;
    }
    else if (task != NULL)
        PyErr_Format(PyExc_TypeError, "%R is parked in no task of this host", op);
    Py_XDECREF(task);
    if (rc != 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *pause_turn(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    return Py_NewRef(((kpy_loop_t *)obj)->pausing);
}

static PyObject *cancel_point(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    return Py_NewRef(((kpy_loop_t *)obj)->at_cancel_point);
}

static PyObject *checkpoint(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    return Py_NewRef(((kpy_loop_t *)obj)->at_checkpoint);
}

static PyObject *block(PyObject *obj, PyObject *why) {
    return kpy_wait_block((kpy_loop_t *)obj, why);
}

static PyObject *wake(PyObject *obj, PyObject *task) {
    kpy_loop_t *self = (kpy_loop_t *)obj;
    if (!PyObject_TypeCheck(task, self->base.state->loops->task)) {
        PyErr_Format(PyExc_TypeError, "%R is no task", task);
        return NULL;
    }
    kpy_wake_task((kpy_task_t *)task);
    Py_RETURN_NONE;
}

static PyObject *nap(PyObject *obj, PyObject *seconds) {
    double number = PyFloat_AsDouble(seconds);
    if (number == -1.0 && PyErr_Occurred())
        return NULL;
    return kpy_wait_sleep((kpy_loop_t *)obj, number);
}

static PyObject *now(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    double seconds;
    return kpy_now((kpy_scheduler_t *)obj, &seconds) != 0 ? NULL : PyFloat_FromDouble(seconds);
}

/* -- its life */

static PyObject *use_clock(PyObject *obj, PyObject *const *args, Py_ssize_t count) {
    kpy_loop_t *self = (kpy_loop_t *)obj;
    double time;
    if (count != 2 || kc_timers_count(&self->base.timers) != 0) {
        PyErr_SetString(PyExc_TypeError, "_use_clock takes now and idle, before any timer was set");
        return NULL;
    }
    Py_XSETREF(self->base.now, Py_NewRef(args[0]));
    Py_XSETREF(self->idle, Py_NewRef(args[1]));
    if (kpy_now(&self->base, &time) != 0)
        return NULL;
    kc_timers_init(&self->base.timers, kpy_key(time));
    Py_RETURN_NONE;
}

static PyObject *make(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs)) {
    kpy_state_t *state = kpy_state_of_class(type);
    kpy_loop_t *self = state == NULL ? NULL : (kpy_loop_t *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->base.is_loop = true;
    self->slice = 61; /* the host says what is set */
    self->calls = PyList_New(0);
    self->watches = PyDict_New();
    if (kpy_scheduler_setup(&self->base, state, NULL, NULL) != 0 || self->calls == NULL || self->watches == NULL ||
        kpy_make_waits(self) != 0 || kpy_poll_setup(self) != 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int traverse(PyObject *obj, visitproc visit, void *arg) {
    kpy_loop_t *self = (kpy_loop_t *)obj;
    Py_VISIT(self->calls);
    Py_VISIT(self->idle);
    Py_VISIT(self->interrupt);
    Py_VISIT(self->watches);
    return kpy_scheduler_traverse(obj, visit, arg);
}

/* What it has is let go, and not the list and the dict: what is collected together with it is cleared in any order, and
** a watch that comes later looks for itself there. */
static int clear(PyObject *obj) {
    kpy_loop_t *self = (kpy_loop_t *)obj;
    if (self->calls != NULL && PyList_SetSlice(self->calls, 0, PyList_GET_SIZE(self->calls), NULL) != 0)
        PyErr_Clear();
    Py_CLEAR(self->idle);
    Py_CLEAR(self->interrupt);
    if (self->watches != NULL)
        PyDict_Clear(self->watches);
    return kpy_scheduler_clear(obj);
}

static void dealloc(PyObject *obj) {
    kpy_loop_t *self = (kpy_loop_t *)obj;
    PyTypeObject *type = Py_TYPE(obj);
    PyObject_GC_UnTrack(obj);
    clear(obj);
    Py_CLEAR(self->calls);
    Py_CLEAR(self->watches);
    kpy_end_waits(self);
    kpy_poll_end(self);
    kpy_scheduler_free(&self->base);
    type->tp_free(obj);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"current", current, METH_NOARGS, "The running task; raises WrongLoop outside any."},
    {"park", park, METH_O, "Awaited, suspends the running task until the operation is claimed."},
    {"unpark", unpark, METH_O, "Make the task parked on an operation runnable."},
    {"pause", pause_turn, METH_NOARGS, "Awaited, let the other tasks run once, and start a new quantum."},
    {"cancel_point", cancel_point, METH_NOARGS, "Awaited, raise the cancellation of the task, if there is one."},
    {"checkpoint", checkpoint, METH_NOARGS, "A cancel point and a turn for the others, in one."},
    {"block", block, METH_O, "Awaited, park until wake, whatever is cancelled; the argument tells why in dumps."},
    {"wake", wake, METH_O, "End the block of a task."},
    {"nap", nap, METH_O, "Awaited, wait so many seconds; a cancel point."},
    {"launcher", kpy_launcher, METH_VARARGS, "What launches children of a scope; its nursery, and its idle."},
    {"plan", FAST(kpy_plan), METH_FASTCALL, "What a selector with these clauses waits in, or None: not here."},
    {"now", now, METH_NOARGS, "Seconds on the loop's clock."},
    {"start_task", start_task, METH_VARARGS, "Run fn(*args) as a task inside a scope; done hears of its end."},
    {"_use_clock", (PyCFunction)(void (*)(void))use_clock, METH_FASTCALL, "Take the time from elsewhere."},
    {NULL, NULL, 0, NULL},
};

static PyObject *get_poller(PyObject *obj, void *Py_UNUSED(closure)) {
    return PyUnicode_FromString(kc_poller_name(((kpy_loop_t *)obj)->poller));
}

static PyGetSetDef getset[] = {
    {"_poller", get_poller, NULL, "The name of what it waits for descriptors with.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"credit", T_LONG, offsetof(kpy_loop_t, credit), 0, "How many operations may still complete at once."},
    {"quantum", T_LONG, offsetof(kpy_loop_t, quantum), 0, "The credit at the start of a turn; 0 is strict."},
    {"_slice", T_LONG, offsetof(kpy_loop_t, slice), 0, "Steps before it looks at timers, descriptors and threads."},
    {"_cancelling", T_BOOL, offsetof(kpy_loop_t, is_cancelling), 0, "Whether cancel points have to look."},
    {"_finishing", T_BOOL, offsetof(kpy_loop_t, is_finishing), 0, "Whether the main task has ended."},
    {"_ended", T_BOOL, offsetof(kpy_loop_t, base.is_ended), 0, "Whether no task can be started any more."},
    {"_forked", T_BOOL, offsetof(kpy_loop_t, is_forked), 0, "Whether this is a child of the process of the loop."},
    {"_watching", T_PYSSIZET, offsetof(kpy_loop_t, watching), READONLY, "How many callbacks wait for descriptors."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "A scheduler that is a host, as far as C goes."},
    {Py_tp_new, make},
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "kcoro_native._native.Loop",
    .basicsize = sizeof(kpy_loop_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

static int add_methods(PyTypeObject *type, PyMethodDef *defs) {
    for (; defs->ml_name != NULL; defs++) {
        PyObject *method = PyDescr_NewMethod(type, defs);
        int rc = method == NULL ? -1 : PyObject_SetAttrString((PyObject *)type, defs->ml_name, method);
        Py_XDECREF(method);
        if (rc != 0)
            return -1;
    }
    return 0;
}

int kpy_init_host(PyObject *module, kpy_state_t *state) {
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, (PyObject *)state->loops->scheduler);
    state->loops->loop = (PyTypeObject *)type;
    if (type == NULL || add_methods((PyTypeObject *)type, kpy_poll_methods) != 0 ||
        add_methods((PyTypeObject *)type, kpy_drive_methods) != 0)
        return -1;
    return PyModule_AddType(module, state->loops->loop);
}
