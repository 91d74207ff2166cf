/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Cancel scopes: what kcoro_core.hosts.scopes.Scope keeps, in a form in which looking costs nothing; see loop.h.
**
** Entering and leaving are the functions of that class, which work on these objects. A scope knows what is right inside
** it, so that cancelling takes time by what is inside and not by what is alive.
*/

#include "loop.h"
#include "module.h"

#include <stddef.h>

bool kpy_in_force(const kpy_scope_t *scope) {
    for (; scope != NULL; scope = scope->parent) {
        if (scope->cancel_called)
            return true;
        if (scope->shield)
            return false;
    }
    return false;
}

void kpy_scope_enlist(kpy_scope_t *scope, kpy_task_t *task) {
    task->before = NULL;
    task->behind = scope->tasks;
    if (scope->tasks != NULL)
        scope->tasks->before = task;
    scope->tasks = task;
}

void kpy_scope_delist(kpy_task_t *task) {
    *(task->before != NULL ? &task->before->behind : &task->scope->tasks) = task->behind;
    if (task->behind != NULL)
        task->behind->before = task->before;
    task->before = task->behind = NULL;
}

/* -- the tree */

static void leave_parent(kpy_scope_t *self) {
    kpy_scope_t *parent = self->parent;
    if (parent == NULL)
        return;
    *(self->before != NULL ? &self->before->behind : &parent->inner) = self->behind;
    if (self->behind != NULL)
        self->behind->before = self->before;
    self->before = self->behind = NULL;
    self->parent = NULL;
    Py_DECREF(parent);
}

static void join_parent(kpy_scope_t *self, kpy_scope_t *parent) {
    self->parent = (kpy_scope_t *)Py_NewRef(parent);
    self->behind = parent->inner;
    if (parent->inner != NULL)
        parent->inner->before = self;
    parent->inner = self;
}

/* -- cancelling */

/* The scope behind `scope` in the tree below `root`, without what is shielded; NULL at the end. */
static const kpy_scope_t *following(const kpy_scope_t *root, const kpy_scope_t *scope) {
    const kpy_scope_t *next = scope->inner;
    for (;;) {
        for (; next == NULL; scope = scope->parent) {
            if (scope == root)
                return NULL;
            next = scope->behind;
        }
        if (!next->shield)
            return next;
        scope = next->parent;
        next = next->behind;
    }
}

/* Who waits inside, all of them, before anybody is asked: asking runs code that may change the tree. */
static int gather(const kpy_scope_t *root, PyObject *found) {
    for (const kpy_scope_t *scope = root; scope != NULL; scope = following(root, scope))
        for (kpy_task_t *task = scope->tasks; task != NULL; task = task->behind) {
            task->to_ask = task->state == KPY_PARKED;
            if (task->to_ask && found != NULL && PyList_Append(found, (PyObject *)task) != 0)
                found = NULL;
        }
    return found == NULL ? -1 : 0;
}

static kpy_task_t *next_to_ask(const kpy_scope_t *root) {
    for (const kpy_scope_t *scope = root; scope != NULL; scope = following(root, scope))
        for (kpy_task_t *task = scope->tasks; task != NULL; task = task->behind)
            if (task->to_ask)
                return task;
    return NULL;
}

/* The first error that asking raises is kept in *error; the others are asked all the same. */
static void ask(kpy_task_t *task, PyObject **error) {
    Py_INCREF(task);
    task->to_ask = false;
    if (kpy_in_force(task->scope) && kpy_interrupt(task) != 0) {
        PyObject *raised = kpy_take_exception();
        if (*error == NULL)
            *error = raised;
        else
            Py_XDECREF(raised);
    }
    Py_DECREF(task);
}

/* It needs no memory, but takes time by the square of who waits where there is none for a list of them. */
int kpy_scope_cancel(kpy_scope_t *self) {
    PyObject *error = NULL;
    if (self->cancel_called)
        return 0;
    self->cancel_called = self->loop->is_cancelling = true;
    PyObject *found = PyList_New(0);
    Py_INCREF(self);
    if (gather(self, found) == 0)
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(found); i++)
            ask((kpy_task_t *)PyList_GET_ITEM(found, i), &error);
    else {
        PyErr_Clear();
        for (kpy_task_t *task; (task = next_to_ask(self)) != NULL;)
            ask(task, &error);
    }
    Py_XDECREF(found);
    Py_DECREF(self);
    if (error == NULL)
        return 0;
    kpy_raise(error);
    return -1;
}

/* -- as Python sees it */

static int check_made(const kpy_scope_t *self) {
    if (self->loop != NULL)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "this scope was never made: call its class with a Loop");
    return -1;
}

/* Whether `scope` stands around `other`, or is it. What has nothing inside stands around nobody. */
static bool is_around(const kpy_scope_t *scope, const kpy_scope_t *other) {
    if (scope == other)
        return true;
    for (; scope->inner != NULL && other != NULL; other = other->parent)
        if (other == scope)
            return true;
    return false;
}

static PyObject *cancel(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    if (check_made((kpy_scope_t *)obj) != 0 || kpy_scope_cancel((kpy_scope_t *)obj) != 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *in_force(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    return PyBool_FromLong(kpy_in_force((kpy_scope_t *)obj));
}

static int init(PyObject *obj, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"owner", "shield", NULL};
    kpy_scope_t *self = (kpy_scope_t *)obj;
    PyObject *owner;
    int shield = 0;
    kpy_state_t *state = kpy_state_of_class(Py_TYPE(obj));
    if (state == NULL || !PyArg_ParseTupleAndKeywords(args, kwargs, "O|$p:Scope", names, &owner, &shield))
        return -1;
    if (!PyObject_TypeCheck(owner, state->loops->loop) || self->loop != NULL) {
        PyErr_SetString(PyExc_TypeError, "a Scope is made once, for a Loop");
        return -1;
    }
    self->loop = (kpy_loop_t *)Py_NewRef(owner);
    self->shield = shield != 0;
    return 0;
}

static PyObject *get_parent(PyObject *obj, void *Py_UNUSED(closure)) {
    kpy_scope_t *parent = ((kpy_scope_t *)obj)->parent;
    return Py_NewRef(parent != NULL ? (PyObject *)parent : Py_None);
}

static int set_parent(PyObject *obj, PyObject *value, void *Py_UNUSED(closure)) {
    kpy_scope_t *self = (kpy_scope_t *)obj;
    if (check_made(self) != 0)
        return -1;
    if (value == NULL || (value != Py_None && !PyObject_TypeCheck(value, self->loop->base.state->loops->scope))) {
        PyErr_SetString(PyExc_TypeError, "the parent of a scope is a scope or None");
        return -1;
    }
    if (value != Py_None && is_around(self, (kpy_scope_t *)value)) {
        PyErr_SetString(PyExc_ValueError, "a scope cannot stand around itself");
        return -1;
    }
    Py_XINCREF(value);
    leave_parent(self);
    if (value != Py_None)
        join_parent(self, (kpy_scope_t *)value);
    Py_XDECREF(value);
    return 0;
}

static int traverse(PyObject *obj, visitproc visit, void *arg) {
    kpy_scope_t *self = (kpy_scope_t *)obj;
    Py_VISIT(Py_TYPE(obj));
    Py_VISIT(self->loop);
    Py_VISIT(self->parent);
    Py_VISIT(self->task);
    return 0;
}

static int clear(PyObject *obj) {
    kpy_scope_t *self = (kpy_scope_t *)obj;
    leave_parent(self);
    Py_CLEAR(self->task);
    return 0;
}

/* Nothing is inside any more: what is inside holds a reference. */
static void dealloc(PyObject *obj) {
    kpy_scope_t *self = (kpy_scope_t *)obj;
    PyTypeObject *type = Py_TYPE(obj);
    PyObject_GC_UnTrack(obj);
    Py_TRASHCAN_BEGIN(self, dealloc)
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs(obj);
    clear(obj);
    Py_CLEAR(self->loop);
    type->tp_free(obj);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyMethodDef methods[] = {
    {"cancel", cancel, METH_NOARGS, "Cancel everything inside, now and later; may be repeated."},
    {"in_force", in_force, METH_NOARGS, "Whether a wait inside this scope raises Cancelled now."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"parent", get_parent, set_parent, "The scope around it, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"_owner", T_OBJECT, offsetof(kpy_scope_t, loop), READONLY, "Its loop."},
    {"_task", T_OBJECT, offsetof(kpy_scope_t, task), 0, "Who entered it, or None."},
    {"shield", T_BOOL, offsetof(kpy_scope_t, shield), 0, "Whether it keeps the cancellation of those around it out."},
    {"cancel_called", T_BOOL, offsetof(kpy_scope_t, cancel_called), READONLY, "Whether it was cancelled."},
    {"cancelled_caught", T_BOOL, offsetof(kpy_scope_t, cancelled_caught), 0, "Whether that cut it short."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(kpy_scope_t, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "A block that can be cancelled, as the loop sees it."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, init},
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "kcoro_native._native.Scope",
    .basicsize = sizeof(kpy_scope_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

int kpy_init_scope(PyObject *module, kpy_state_t *state) {
    state->loops->scope = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return state->loops->scope == NULL ? -1 : PyModule_AddType(module, state->loops->scope);
}
