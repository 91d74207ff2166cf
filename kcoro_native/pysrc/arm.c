/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* One clause of a select, waiting in one queue; its claim word is the select's. */

#include <stddef.h>

#include "claim.h"
#include "module.h"

/* -- its life */

static PyObject *arm_new(kpy_state_t *state, PyObject *select, int index, bool sending, PyObject *value) {
    if (Py_TYPE(select) != state->select)
        return PyErr_Format(PyExc_TypeError, "an arm belongs to a SelectOperation of the native engine, not to %R",
                            select);
    if (index < 0 || index > INT_MAX + KC_CLAIMING)
        return PyErr_Format(PyExc_ValueError, "there is no clause %d", index);
    kpy_arm_t *self = PyObject_GC_New(kpy_arm_t, state->arm);
    if (self == NULL)
        return NULL;
    self->select = (kpy_select_t *)Py_NewRef(select);
    self->weakrefs = NULL;
    kpy_place_init(&self->place, (PyObject *)self, &self->select->base.op, index, sending, value);
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static PyObject *arm_call(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    static char *names[] = {"op", "index", "sending", "value", NULL};
    kpy_state_t *state = kpy_state_of((PyTypeObject *)type);
    PyObject *select, *value = Py_None;
    int index, sending = 0;
    if (state == NULL)
        return NULL;
    if (kwnames == NULL && PyVectorcall_NARGS(nargsf) == 4) {
        select = args[0], value = args[3];
        index = kpy_as_int(args[1]);
        sending = PyObject_IsTrue(args[2]);
        if ((index == -1 && PyErr_Occurred()) || sending < 0)
            return NULL;
    } else if (!kpy_parse(args, nargsf, kwnames, "Oi|pO:Arm", names, &select, &index, &sending, &value))
        return NULL;
    return arm_new(state, select, index, sending, value);
}

static int arm_traverse(PyObject *o, visitproc visit, void *arg) {
    kpy_arm_t *self = (kpy_arm_t *)o;
    Py_VISIT(Py_TYPE(o));
    Py_VISIT(self->select);
    Py_VISIT((PyObject *)self->place.as_try.waiter.value);
    return 0;
}

/* The select stays: the claim word of a waiter has to be there as long as the waiter. Its own clear breaks each cycle
** that leads through it. */
static int arm_clear(PyObject *o) {
    kpy_arm_t *self = (kpy_arm_t *)o;
    PyObject *offered = self->place.as_try.waiter.value;
    self->place.as_try.waiter.value = NULL;
    Py_XDECREF(offered);
    return 0;
}

static void arm_dealloc(PyObject *o) {
    kpy_arm_t *self = (kpy_arm_t *)o;
    PyTypeObject *type = Py_TYPE(o);
    PyObject_GC_UnTrack(o);
    Py_TRASHCAN_BEGIN(o, arm_dealloc)
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs(o);
    arm_clear(o);
    Py_DECREF(self->select);
    PyObject_GC_Del(o);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

/* -- what channels and clauses do with it */

static PyObject *arm_win(PyObject *o, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(kci_win(&((kpy_arm_t *)o)->place.as_try.waiter));
}

static PyObject *finish_with(kpy_arm_t *self, PyObject *const *args, Py_ssize_t count, const char *name,
                             bool win_first) {
    if (count > 1)
        return PyErr_Format(PyExc_TypeError, "%s() takes one value at most (%zd given)", name, count);
    if (win_first && !kci_win(&self->place.as_try.waiter))
        Py_RETURN_FALSE;
    if (kpy_finish(&self->select->base, count == 1 ? args[0] : Py_None) != 0)
        return NULL;
    return Py_NewRef(win_first ? Py_True : Py_None);
}

static PyObject *arm_finish(PyObject *o, PyObject *const *args, Py_ssize_t count) {
    return finish_with((kpy_arm_t *)o, args, count, "finish", false);
}

static PyObject *arm_complete(PyObject *o, PyObject *const *args, Py_ssize_t count) {
    return finish_with((kpy_arm_t *)o, args, count, "complete", true);
}

static PyObject *arm_fail(PyObject *o, PyObject *error) {
    if (kpy_fail(&((kpy_arm_t *)o)->select->base, error) != 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *arm_shut(PyObject *o, PyObject *error) {
    kpy_arm_t *self = (kpy_arm_t *)o;
    int decided = kpy_select_shut(self->select, self, error);
    return decided < 0 ? NULL : PyBool_FromLong(decided);
}

static PyMethodDef methods[] = {
    {"win", arm_win, METH_NOARGS, KPY_DOC("win($self, /)", "Claim the whole select for this clause.")},
    {"finish", FAST(arm_finish), METH_FASTCALL,
     KPY_DOC("finish($self, value=None, /)", "Hand over this clause's result after a won claim.")},
    {"complete", FAST(arm_complete), METH_FASTCALL,
     KPY_DOC("complete($self, value=None, /)", "win() and finish() in one.")},
    {"fail", arm_fail, METH_O, KPY_DOC("fail($self, error, /)", "End the select with an error after a won claim.")},
    {"shut", arm_shut, METH_O,
     KPY_DOC("shut($self, error, /)", "This clause's channel closed; True when that decided.")},
    {NULL, NULL, 0, NULL},
};

/* -- its attributes */

static PyObject *get_claim(PyObject *o, void *unused) {
    (void)unused;
    return PyLong_FromLong(kci_claim(&((kpy_arm_t *)o)->select->base.op));
}

static PyObject *get_index(PyObject *o, void *unused) {
    (void)unused;
    return PyLong_FromLong(((kpy_arm_t *)o)->place.as_try.waiter.index);
}

static PyObject *get_sending(PyObject *o, void *unused) {
    (void)unused;
    return PyBool_FromLong(((kpy_arm_t *)o)->place.as_try.waiter.sending);
}

static PyObject *get_dead(PyObject *o, void *unused) {
    (void)unused;
    return PyBool_FromLong(((kpy_arm_t *)o)->place.as_try.waiter.dead);
}

static PyObject *get_value(PyObject *o, void *unused) {
    (void)unused;
    PyObject *value = ((kpy_arm_t *)o)->place.as_try.waiter.value;
    return Py_NewRef(value != NULL ? value : Py_None);
}

static PyGetSetDef attributes[] = {
    {"claim", get_claim, NULL, "The claim word of the select that this arm belongs to.", NULL},
    {"index", get_index, NULL, "Which clause it is.", NULL},
    {"sending", get_sending, NULL, "Whether it offers its value, or wants one.", NULL},
    {"dead", get_dead, NULL, "Under SKIP: its channel is closed, and the clause cannot win any more.", NULL},
    {"value", get_value, NULL, "What it offers, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"op", T_OBJECT, offsetof(kpy_arm_t, select), READONLY, "The select that it belongs to."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(kpy_arm_t, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* -- the type */

static PyType_Slot slots[] = {
    {Py_tp_doc, KPY_DOC("Arm(op, index, sending=False, value=None)", "One clause of a select, waiting in one queue.")},
    {Py_tp_dealloc, arm_dealloc},
    {Py_tp_traverse, arm_traverse},
    {Py_tp_clear, arm_clear},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "kcoro_native._native.Arm",
    .basicsize = sizeof(kpy_arm_t),
    .flags = KPY_TYPE_FLAGS,
    .slots = slots,
};

int kpy_add_arm(PyObject *module, kpy_state_t *state) {
    state->arm = kpy_make_type(module, &spec, NULL, arm_call);
    return state->arm == NULL ? -1 : 0;
}
