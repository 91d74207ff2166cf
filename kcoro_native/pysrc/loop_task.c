/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Tasks: one coroutine with a name, a number, a state, a context of its own, and at the end a result; see loop.h. */

#include "loop.h"

#include <stddef.h>

static struct kpy_loops *loops_of(const kpy_task_t *task) {
    return task->owner->state->loops;
}

kpy_task_t *kpy_task_make(kpy_scheduler_t *owner, PyObject *coro, PyObject *name) {
    PyTypeObject *type = owner->state->loops->task;
    if (kpy_queue_reserve(&owner->queue, (size_t)(owner->submitted - owner->completed) + 1) != 0)
        return NULL;
    kpy_task_t *self = (kpy_task_t *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->owner = (kpy_scheduler_t *)Py_NewRef(owner);
    self->context = PyContext_CopyCurrent();
    self->coro = Py_NewRef(coro);
    self->name = name == Py_None ? NULL : Py_XNewRef(name);
    if (self->context == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    self->id = ++owner->submitted;
    self->older = owner->youngest;
    *(owner->youngest != NULL ? &owner->youngest->younger : &owner->oldest) = self;
    owner->youngest = (kpy_task_t *)Py_NewRef(self);
    return self;
}

static void unlink_task(kpy_task_t *self) {
    kpy_scheduler_t *owner = self->owner;
    *(self->older != NULL ? &self->older->younger : &owner->oldest) = self->younger;
    *(self->younger != NULL ? &self->younger->older : &owner->youngest) = self->older;
    self->older = self->younger = NULL;
}

void kpy_task_end(kpy_task_t *self, PyObject *result, PyObject *error) {
    if (self->name == NULL && Py_REFCNT(self) > 1)
        Py_XDECREF(kpy_task_name(self)); /* asked for now, while the coroutine can still tell */
    PyObject *wait = self->wait;
    unlink_task(self);
    self->state = KPY_FINISHED;
    self->owner->completed++;
    self->result = result;
    Py_XSETREF(self->thrown, error);
    kpy_task_set_scope(self, NULL);
    Py_CLEAR(self->coro);
    Py_CLEAR(self->context);
    Py_XDECREF(wait);
    Py_DECREF(self); /* the scheduler's */
}

PyObject *kpy_task_name(kpy_task_t *self) {
    if (self->name == NULL && self->coro != NULL) {
        self->name = PyObject_GetAttr(self->coro, loops_of(self)->str_qualname);
        if (self->name == NULL)
            PyErr_Clear();
    }
    if (self->name == NULL)
        self->name = PyUnicode_FromString("task");
    return Py_XNewRef(self->name);
}

void kpy_task_set_scope(kpy_task_t *self, kpy_scope_t *scope) {
    kpy_scope_t *old = self->scope;
    if (old != NULL)
        kpy_scope_delist(self);
    self->scope = (kpy_scope_t *)Py_XNewRef(scope);
    if (scope != NULL)
        kpy_scope_enlist(scope, self);
    Py_XDECREF(old);
}

/* -- as Python sees it */

static PyObject *task_take(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    kpy_task_t *self = (kpy_task_t *)obj;
    if (self->state != KPY_FINISHED)
        return PyErr_Format(PyExc_RuntimeError,
                            "%R has not finished: drain() the scheduler until its state is FINISHED", self);
    if (self->thrown == NULL)
        return Py_NewRef(self->result != NULL ? self->result : Py_None);
    PyObject *id = PyLong_FromUnsignedLongLong(self->id);
    if (id == NULL)
        return NULL;
    int held = self->owner->failed == NULL ? 0 : PyDict_Contains(self->owner->failed, id);
    if (held > 0)
        held = PyDict_DelItem(self->owner->failed, id);
    Py_DECREF(id);
    if (held >= 0)
        kpy_raise(Py_NewRef(self->thrown));
    return NULL;
}

static PyObject *state_of(kpy_task_t *self) {
    return PyTuple_GetItem(loops_of(self)->task_states, self->state); /* borrowed */
}

static PyObject *task_repr(PyObject *obj) {
    kpy_task_t *self = (kpy_task_t *)obj;
    PyObject *name = kpy_task_name(self), *state = state_of(self), *text = NULL;
    PyObject *word = state == NULL ? NULL : PyObject_GetAttr(state, loops_of(self)->str_value);
    if (name != NULL && word != NULL)
        text = PyUnicode_FromFormat("<task %llu %R %U>", (unsigned long long)self->id, name, word);
    Py_XDECREF(name);
    Py_XDECREF(word);
    return text;
}

static PyObject *get_state(PyObject *obj, void *Py_UNUSED(closure)) {
    return Py_XNewRef(state_of((kpy_task_t *)obj));
}

static PyObject *get_name(PyObject *obj, void *Py_UNUSED(closure)) {
    return kpy_task_name((kpy_task_t *)obj);
}

static PyObject *get_error(PyObject *obj, void *Py_UNUSED(closure)) {
    kpy_task_t *self = (kpy_task_t *)obj;
    return Py_NewRef(self->state == KPY_FINISHED && self->thrown != NULL ? self->thrown : Py_None);
}

static PyObject *get_result(PyObject *obj, void *Py_UNUSED(closure)) {
    kpy_task_t *self = (kpy_task_t *)obj;
    return Py_NewRef(self->state == KPY_FINISHED && self->result != NULL ? self->result : Py_None);
}

static PyObject *get_wait(PyObject *obj, void *Py_UNUSED(closure)) {
    kpy_task_t *self = (kpy_task_t *)obj;
    return Py_NewRef(self->state != KPY_FINISHED && self->wait != NULL ? self->wait : Py_None);
}

static PyObject *get_why(PyObject *obj, void *closure) {
    return ((kpy_task_t *)obj)->wait_kind == KPY_NO_WAIT ? get_wait(obj, closure) : Py_NewRef(Py_None);
}

static PyObject *get_scope(PyObject *obj, void *Py_UNUSED(closure)) {
    kpy_task_t *self = (kpy_task_t *)obj;
    return Py_NewRef(self->scope != NULL ? (PyObject *)self->scope : Py_None);
}

static int set_scope(PyObject *obj, PyObject *value, void *Py_UNUSED(closure)) {
    kpy_task_t *self = (kpy_task_t *)obj;
    if (value == NULL || !PyObject_TypeCheck(value, loops_of(self)->scope) || self->state == KPY_FINISHED) {
        PyErr_SetString(PyExc_TypeError, "the scope of a task that has not finished is a Scope of its loop");
        return -1;
    }
    kpy_task_set_scope(self, (kpy_scope_t *)value);
    return 0;
}

static int task_traverse(PyObject *obj, visitproc visit, void *arg) {
    kpy_task_t *self = (kpy_task_t *)obj;
    Py_VISIT(Py_TYPE(obj));
    Py_VISIT(self->owner);
    Py_VISIT(self->coro);
    Py_VISIT(self->context);
    Py_VISIT(self->thrown);
    Py_VISIT(self->done);
    Py_VISIT(self->handle);
    Py_VISIT(self->scope);
    Py_VISIT(self->wait); /* or the result */
    return 0;
}

static int task_clear(PyObject *obj) {
    kpy_task_t *self = (kpy_task_t *)obj;
    kpy_task_set_scope(self, NULL);
    Py_CLEAR(self->coro);
    Py_CLEAR(self->context);
    Py_CLEAR(self->thrown);
    Py_CLEAR(self->done);
    Py_CLEAR(self->handle);
    Py_CLEAR(self->wait); /* or the result */
    return 0;
}

static void task_dealloc(PyObject *obj) {
    kpy_task_t *self = (kpy_task_t *)obj;
    PyTypeObject *type = Py_TYPE(obj);
    PyObject_GC_UnTrack(obj);
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs(obj);
    task_clear(obj);
    Py_CLEAR(self->name);
    Py_CLEAR(self->owner);
    type->tp_free(obj);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"take", task_take, METH_NOARGS, "Return the result, or raise the error that ended the task."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"state", get_state, NULL, "Where it is in its life: a TaskState.", NULL},
    {"name", get_name, NULL, "What it was named, or the name of its function.", NULL},
    {"result", get_result, NULL, "What it returned.", NULL},
    {"wait", get_wait, NULL, "What it is parked in, or None.", NULL},
    {"why", get_why, NULL, "While it is blocked: tells what it waits for.", NULL},
    {"error", get_error, NULL, "What ended it, or None.", NULL},
    {"scope", get_scope, set_scope, "The innermost cancel scope around it, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"id", T_ULONGLONG, offsetof(kpy_task_t, id), READONLY, "Its number, from 1, in the order of starting."},
    {"coro", T_OBJECT, offsetof(kpy_task_t, coro), READONLY, "The coroutine, until it has finished."},
    {"context", T_OBJECT, offsetof(kpy_task_t, context), READONLY, "Its context, until it has finished."},
    {"injected", T_BOOL, offsetof(kpy_task_t, injected), READONLY, "Whether it was made runnable from outside a step."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(kpy_task_t, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "One coroutine that a scheduler steps."},
    {Py_tp_dealloc, task_dealloc},
    {Py_tp_traverse, task_traverse},
    {Py_tp_clear, task_clear},
    {Py_tp_repr, task_repr},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "kcoro_native._native.Task",
    .basicsize = sizeof(kpy_task_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

int kpy_init_task(PyObject *module, kpy_state_t *state) {
    state->loops->task = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return state->loops->task == NULL ? -1 : PyModule_AddType(module, state->loops->task);
}
