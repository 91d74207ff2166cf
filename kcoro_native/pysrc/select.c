/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* The operation of a select, with one claim word for all of its arms. Nobody is told while its parker is NOBODY. */

#include <stddef.h>

#include "claim.h"
#include "module.h"

static PyObject *select_call(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    static char *names[] = {"closed_rule", "clauses", NULL};
    kpy_state_t *state = kpy_state_of((PyTypeObject *)type);
    PyObject *member;
    Py_ssize_t clauses;
    if (state == NULL)
        return NULL;
    if (kwnames == NULL && PyVectorcall_NARGS(nargsf) == 2) {
        member = args[0];
        clauses = PyLong_AsSsize_t(args[1]);
        if (clauses == -1 && PyErr_Occurred())
            return NULL;
    } else if (!kpy_parse(args, nargsf, kwnames, "On:SelectOperation", names, &member, &clauses))
        return NULL;
    int rule = kpy_number(state->closed_rules, member, "closed_rule");
    if (rule < 0)
        return NULL;
    kpy_select_t *self = PyObject_GC_New(kpy_select_t, state->select);
    if (self == NULL)
        return NULL;
    int made = clauses < 0 ? -EINVAL : kc_op_init_select(&self->base.op, (kc_closed_rule_t)rule, (size_t)clauses);
    if (made != 0)
        kc_op_init(&self->base.op, NULL); /* so that it can be freed */
    kpy_place_init(&self->base.place, (PyObject *)self, &self->base.op, 0, false, Py_None);
    kpy_operation_init(&self->base, state);
    self->reason = NULL;
    PyObject_GC_Track(self);
    if (made == 0)
        return (PyObject *)self;
    PyErr_Format(PyExc_ValueError, "a select has at least one clause, not %zd", clauses);
    Py_DECREF(self);
    return NULL;
}

static void select_dealloc(PyObject *o) {
    PyTypeObject *type = Py_TYPE(o);
    PyObject *module = ((kpy_operation_t *)o)->state->module;
    PyObject_GC_UnTrack(o);
    Py_TRASHCAN_BEGIN(o, select_dealloc)
    if (((kpy_select_t *)o)->base.weakrefs != NULL)
        PyObject_ClearWeakRefs(o);
    kpy_operation_clear(o);
    PyObject_GC_Del(o);
    Py_DECREF(type);
    Py_DECREF(module);
    Py_TRASHCAN_END
}

bool kpy_select_win(kpy_select_t *self, int index) {
    return kci_take(&self->base.op, index);
}

int kpy_select_shut(kpy_select_t *self, kpy_arm_t *arm, PyObject *error) {
    if (!PyExceptionInstance_Check(error)) {
        PyErr_Format(PyExc_TypeError, "an arm is shut with an exception, not with %R", error);
        return -1;
    }
    if (self->base.op.closed_rule == KC_SKIP)
        return kc_waiter_shut(&arm->place.as_try.waiter); /* its error is that of them all */
    if (!kpy_select_win(self, arm->place.as_try.waiter.index))
        return 0;
    return kpy_fail(&self->base, error) == 0 ? 1 : -1;
}

static PyObject *select_win_arm(PyObject *o, PyObject *number) {
    int index = kpy_as_int(number);
    if (index < 0) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_ValueError, "there is no clause %d", index);
        return NULL;
    }
    return PyBool_FromLong(kpy_select_win((kpy_select_t *)o, index));
}

static PyObject *select_shut_arm(PyObject *o, PyObject *const *args, Py_ssize_t count) {
    kpy_select_t *self = (kpy_select_t *)o;
    if (count != 2 || Py_TYPE(args[0]) != self->base.state->arm || ((kpy_arm_t *)args[0])->select != self) {
        PyErr_SetString(PyExc_TypeError, "shut_arm() takes an arm of this select, and an exception");
        return NULL;
    }
    int decided = kpy_select_shut(self, (kpy_arm_t *)args[0], args[1]);
    return decided < 0 ? NULL : PyBool_FromLong(decided);
}

static PyMethodDef methods[] = {
    {"win_arm", select_win_arm, METH_O,
     KPY_DOC("win_arm($self, index, /)", "Claim the operation for one of its clauses; False when it is not WAITING.")},
    {"shut_arm", FAST(select_shut_arm), METH_FASTCALL,
     KPY_DOC("shut_arm($self, arm, error, /)", "A clause's channel is closed; True when that ended the select.")},
    {NULL, NULL, 0, NULL},
};

static PyObject *get_closed_rule(PyObject *o, void *unused) {
    (void)unused;
    kpy_select_t *self = (kpy_select_t *)o;
    return Py_NewRef(PyTuple_GET_ITEM(self->base.state->closed_rules, (Py_ssize_t)self->base.op.closed_rule));
}

static PyObject *get_open_arms(PyObject *o, void *unused) {
    (void)unused;
    return PyLong_FromLong(kc_atomic_load(&((kpy_select_t *)o)->base.op.open_arms));
}

static PyGetSetDef attributes[] = {
    {"closed_rule", get_closed_rule, NULL, "What a closed channel means.", NULL},
    {"open_arms", get_open_arms, NULL, "Under SKIP, the number of clauses that can still win.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc,
     KPY_DOC("SelectOperation(closed_rule, clauses)", "The operation of a select; its arms are its waiters.")},
    {Py_tp_dealloc, select_dealloc},
    {Py_tp_traverse, kpy_operation_traverse},
    {Py_tp_clear, kpy_operation_clear},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "kcoro_native._native.SelectOperation",
    .basicsize = sizeof(kpy_select_t),
    .flags = KPY_TYPE_FLAGS,
    .slots = slots,
};

int kpy_add_select(PyObject *module, kpy_state_t *state) {
    state->select = kpy_make_type(module, &spec, state->operation, select_call);
    return state->select == NULL ? -1 : 0;
}
