/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Nurseries: starting children and counting them; see loop.h.
**
** Entering and leaving are functions of kcoro_core.hosts.scopes.TaskNursery, which work on these objects.
*/

#include "loop.h"
#include "module.h"

#include <stddef.h>

static int fail(kpy_nursery_t *self, PyObject *error) {
    if (self->errors == NULL || PyList_Append(self->errors, error) != 0)
        return -1;
    return kpy_scope_cancel(self->scope);
}

int kpy_child_ended(kpy_nursery_t *self, PyObject *error) {
    int rc = 0;
    self->children--;
    if (error != NULL)
        rc = fail(self, error);
    if (self->children == 0 && kpy_is_task(self->loop->base.state, self->waiter))
        kpy_ready((kpy_task_t *)self->waiter);
    return rc;
}

/* The value of `name=`, the only keyword; borrowed, NULL without one. -1 for another. */
static int name_of(PyObject *const *values, PyObject *keywords, PyObject *expected, PyObject **name) {
    *name = NULL;
    for (Py_ssize_t i = 0; keywords != NULL && i < PyTuple_GET_SIZE(keywords); i++) {
        if (PyUnicode_Compare(PyTuple_GET_ITEM(keywords, i), expected) != 0) {
            PyErr_Format(PyExc_TypeError,
                         "start_soon() takes no keyword %R; arguments for the function go by position, or in a partial",
                         PyTuple_GET_ITEM(keywords, i));
            return -1;
        }
        *name = values[i];
    }
    return 0;
}

static int check_made(const kpy_nursery_t *self) {
    if (self->errors != NULL)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "this nursery was never made: call its class with a Loop and a Scope");
    return -1;
}

static PyObject *start_soon(PyObject *obj, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
    kpy_nursery_t *self = (kpy_nursery_t *)obj;
    PyObject *name;
    if (check_made(self) != 0)
        return NULL;
    if (name_of(args + count, keywords, self->loop->base.state->loops->str_name, &name) != 0)
        return NULL;
    if (count == 0) {
        PyErr_SetString(PyExc_TypeError, "start_soon() needs an async function");
        return NULL;
    }
    if (self->closed) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this nursery is closed: start children while its async with block is open");
        return NULL;
    }
    PyObject *coro = kpy_coroutine(self->loop, args[0], args + 1, count - 1);
    if (coro == NULL)
        return NULL;
    kpy_task_t *task = kpy_start_task(self->loop, coro, name, self->scope, obj);
    Py_DECREF(coro);
    if (task == NULL)
        return NULL;
    Py_DECREF(task);
    self->children++;
    Py_RETURN_NONE;
}

static PyObject *fail_with(PyObject *obj, PyObject *error) {
    if (check_made((kpy_nursery_t *)obj) != 0 || fail((kpy_nursery_t *)obj, error) != 0)
        return NULL;
    Py_RETURN_NONE;
}

static int init(PyObject *obj, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"owner", "scope", NULL};
    kpy_nursery_t *self = (kpy_nursery_t *)obj;
    kpy_state_t *state = kpy_state_of_class(Py_TYPE(obj));
    PyObject *owner, *scope;
    if (state == NULL || !PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!:Nursery", names, state->loops->loop, &owner,
                                                      state->loops->scope, &scope))
        return -1;
    Py_XSETREF(self->loop, (kpy_loop_t *)Py_NewRef(owner));
    Py_XSETREF(self->scope, (kpy_scope_t *)Py_NewRef(scope));
    Py_XSETREF(self->errors, PyList_New(0));
    return self->errors == NULL ? -1 : 0;
}

static int traverse(PyObject *obj, visitproc visit, void *arg) {
    kpy_nursery_t *self = (kpy_nursery_t *)obj;
    Py_VISIT(Py_TYPE(obj));
    Py_VISIT(self->loop);
    Py_VISIT(self->scope);
    Py_VISIT(self->errors);
    Py_VISIT(self->waiter);
    return 0;
}

static int clear(PyObject *obj) {
    kpy_nursery_t *self = (kpy_nursery_t *)obj;
    Py_CLEAR(self->scope);
    Py_CLEAR(self->errors);
    Py_CLEAR(self->waiter);
    return 0;
}

static void dealloc(PyObject *obj) {
    kpy_nursery_t *self = (kpy_nursery_t *)obj;
    PyTypeObject *type = Py_TYPE(obj);
    PyObject_GC_UnTrack(obj);
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs(obj);
    clear(obj);
    Py_CLEAR(self->loop);
    type->tp_free(obj);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"start_soon", (PyCFunction)(void (*)(void))start_soon, METH_FASTCALL | METH_KEYWORDS,
     "Run fn(*args) as a child, which takes its first step soon; name= names it."},
    {"_fail", fail_with, METH_O, "Keep an error, and cancel the rest."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"cancel_scope", T_OBJECT, offsetof(kpy_nursery_t, scope), READONLY, "The scope around block and children."},
    {"_owner", T_OBJECT, offsetof(kpy_nursery_t, loop), READONLY, "Its loop."},
    {"_errors", T_OBJECT, offsetof(kpy_nursery_t, errors), 0, "What children and the block have raised."},
    {"_waiter", T_OBJECT, offsetof(kpy_nursery_t, waiter), 0, "The task that waits for the children."},
    {"_children", T_PYSSIZET, offsetof(kpy_nursery_t, children), READONLY, "How many have not ended."},
    {"_closed", T_BOOL, offsetof(kpy_nursery_t, closed), 0, "Whether the block has been left."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(kpy_nursery_t, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Children that live inside one block, as the loop sees them."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, init},
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "kcoro_native._native.Nursery",
    .basicsize = sizeof(kpy_nursery_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

int kpy_init_nursery(PyObject *module, kpy_state_t *state) {
    state->loops->nursery = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return state->loops->nursery == NULL ? -1 : PyModule_AddType(module, state->loops->nursery);
}
