/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** One call that may wait, as a Python object: its life and its attributes. What decides it is in deciding.c.
**
** Operations that end are kept and used again, since one is made for each wait.
*/

#include <stddef.h>

#include "claim.h"
#include "module.h"

/* -- its life */

void kpy_operation_init(kpy_operation_t *self, kpy_state_t *state) {
    self->state = state;
    Py_INCREF(state->module);
    self->op.parker = &kpy_parker;
    self->op.task = NULL;
    self->parker = self->error = self->weakrefs = NULL;
    self->wake = NULL;
}

static kpy_operation_t *allocate(kpy_state_t *state) {
    kpy_place_t *spare = state->spares;
    if (spare == NULL)
        return PyObject_GC_New(kpy_operation_t, state->operation);
    state->spares = spare->leaving;
    state->spare_count--;
    PyObject *self = (PyObject *)((char *)spare - offsetof(kpy_operation_t, place));
    return (kpy_operation_t *)PyObject_Init(self, state->operation);
}

kpy_operation_t *kpy_operation_new(kpy_state_t *state, PyObject *parker, bool sending, PyObject *value) {
    kpy_operation_t *self = allocate(state);
    if (self == NULL)
        return NULL;
    kc_op_init(&self->op, &kpy_parker);
    kpy_place_init(&self->place, (PyObject *)self, &self->op, 0, sending, value);
    kpy_operation_init(self, state);
    self->parker = parker == NULL || parker == state->nobody ? NULL : Py_NewRef(parker);
    PyObject_GC_Track(self);
    return self;
}

static PyObject *operation_call(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    static char *names[] = {"parker", "sending", "value", NULL};
    kpy_state_t *state = kpy_state_of((PyTypeObject *)type);
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    PyObject *parker, *value = Py_None;
    int sending = 0;
    if (state == NULL)
        return NULL;
    if (kwnames == NULL && count >= 1 && count <= 3) {
        parker = args[0];
        value = count > 2 ? args[2] : Py_None;
        sending = count > 1 ? PyObject_IsTrue(args[1]) : 0;
        if (sending < 0)
            return NULL;
    } else if (!kpy_parse(args, nargsf, kwnames, "O|pO:Operation", names, &parker, &sending, &value))
        return NULL;
    return (PyObject *)kpy_operation_new(state, parker, sending, value);
}

int kpy_operation_traverse(PyObject *o, visitproc visit, void *arg) {
    kpy_operation_t *self = (kpy_operation_t *)o;
    Py_VISIT(Py_TYPE(o));
    Py_VISIT(self->state->module);
    Py_VISIT((PyObject *)self->op.value);
    Py_VISIT((PyObject *)self->place.as_try.waiter.value);
    Py_VISIT(self->parker);
    Py_VISIT(self->error);
    Py_VISIT((PyObject *)self->op.task);
    return 0;
}

int kpy_operation_clear(PyObject *o) {
    kpy_operation_t *self = (kpy_operation_t *)o;
    PyObject *received = self->op.value, *offered = self->place.as_try.waiter.value, *task = self->op.task;
    self->op.value = self->place.as_try.waiter.value = self->op.task = NULL;
    Py_XDECREF(received);
    Py_XDECREF(offered);
    Py_XDECREF(task);
    Py_CLEAR(self->parker);
    Py_CLEAR(self->error);
    return 0;
}

/* It stands in no queue: there it would be kept alive. */
static void operation_dealloc(PyObject *o) {
    kpy_operation_t *self = (kpy_operation_t *)o;
    kpy_state_t *state = self->state;
    PyTypeObject *type = Py_TYPE(o);
    PyObject_GC_UnTrack(o);
    Py_TRASHCAN_BEGIN(o, operation_dealloc)
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs(o);
    kpy_operation_clear(o);
    if (type == state->operation && state->spare_count < KPY_SPARE_OPERATIONS) {
        self->place.leaving = state->spares;
        state->spares = &self->place;
        state->spare_count++;
    } else
        PyObject_GC_Del(o);
    Py_DECREF(type);
    Py_DECREF(state->module); /* the last thing: the state goes with it */
    Py_TRASHCAN_END
}

void kpy_spares_free(kpy_state_t *state) {
    while (state->spares != NULL) {
        kpy_place_t *spare = state->spares;
        state->spares = spare->leaving;
        PyObject_GC_Del((char *)spare - offsetof(kpy_operation_t, place));
    }
    state->spare_count = KPY_SPARE_OPERATIONS; /* no more of them: nobody would free them */
}

/* -- its attributes */

static bool has_result(kpy_operation_t *self) {
    return kci_claim(&self->op) >= 0 && self->op.error == 0;
}

static PyObject *get_claim(PyObject *o, void *unused) {
    (void)unused;
    return PyLong_FromLong(kci_claim(&((kpy_operation_t *)o)->op));
}

static PyObject *get_late(PyObject *o, void *unused) {
    (void)unused;
    return PyLong_FromLong(((kpy_operation_t *)o)->op.late);
}

static PyObject *get_sending(PyObject *o, void *unused) {
    (void)unused;
    return PyBool_FromLong(((kpy_operation_t *)o)->place.as_try.waiter.sending);
}

/* What was received, or else what is offered. */
static PyObject *get_value(PyObject *o, void *unused) {
    (void)unused;
    kpy_operation_t *self = (kpy_operation_t *)o;
    PyObject *value = has_result(self) ? self->op.value : self->place.as_try.waiter.value;
    return Py_NewRef(value != NULL ? value : Py_None);
}

static int set_value(PyObject *o, PyObject *value, void *unused) {
    (void)unused;
    kpy_operation_t *self = (kpy_operation_t *)o;
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "the value of an operation cannot be deleted");
        return -1;
    }
    void **where = has_result(self) ? &self->op.value : &self->place.as_try.waiter.value;
    PyObject *old = *where;
    *where = Py_NewRef(value);
    Py_XDECREF(old);
    return 0;
}

static PyObject *get_parker(PyObject *o, void *unused) {
    (void)unused;
    kpy_operation_t *self = (kpy_operation_t *)o;
    return Py_NewRef(self->parker != NULL ? self->parker : self->state->nobody);
}

static int set_parker(PyObject *o, PyObject *parker, void *unused) {
    (void)unused;
    kpy_operation_t *self = (kpy_operation_t *)o;
    PyObject *old = self->parker;
    self->wake = NULL;
    self->parker = parker == NULL || parker == self->state->nobody ? NULL : Py_NewRef(parker);
    Py_XDECREF(old);
    return 0;
}

static PyGetSetDef attributes[] = {
    {"claim", get_claim, NULL, "The claim word: WAITING, CLAIMING, a decision, or the clause that won.", NULL},
    {"late", get_late, NULL, "A decision that arrived while CLAIMING and waits for the answer; else WAITING.", NULL},
    {"sending", get_sending, NULL, "Whether it offers its value, or wants one.", NULL},
    {"value", get_value, set_value, "What a sender offers, and after the end what a receiver got; else None.", NULL},
    {"parker", get_parker, set_parker, "Whose unpark(operation) is called once it is decided.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"error", T_OBJECT, offsetof(kpy_operation_t, error), READONLY, "What to raise instead; None without an error."},
    {"task", T_OBJECT, offsetof(kpy_operation_t, op.task), 0, "For the host."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(kpy_operation_t, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* -- the type */

static PyType_Slot slots[] = {
    {Py_tp_doc, KPY_DOC("Operation(parker, sending=False, value=None)",
                        "One call that may wait, with its claim word; on its own also its only waiter, clause 0.")},
    {Py_tp_dealloc, operation_dealloc},
    {Py_tp_traverse, kpy_operation_traverse},
    {Py_tp_clear, kpy_operation_clear},
    {Py_tp_methods, kpy_deciding},
    {Py_tp_getset, attributes},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "kcoro_native._native.Operation",
    .basicsize = sizeof(kpy_operation_t),
    .flags = KPY_TYPE_FLAGS | Py_TPFLAGS_BASETYPE, /* for the operation of a select */
    .slots = slots,
};

int kpy_add_operation(PyObject *module, kpy_state_t *state) {
    state->operation = kpy_make_type(module, &spec, NULL, operation_call);
    return state->operation == NULL ? -1 : 0;
}
