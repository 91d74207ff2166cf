/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** What decides an operation, and how its owner is told; the same for plain operations and for selects.
**
** The claim word is libkcoro's, and so is everything that happens to it. Here are the values and errors of Python.
*/

#include <stddef.h>

#include "claim.h"
#include "module.h"

/* -- telling the owner */

static void wake(kpy_operation_t *self) {
    if (self->wake != NULL) {
        self->wake(self);
        return;
    }
    if (self->parker == NULL)
        return;
    kpy_state_t *state = self->state;
    PyObject *parker = Py_NewRef(self->parker);
    PyObject *answer = PyObject_CallMethodOneArg(parker, state->unpark, (PyObject *)self);
    if (answer == NULL)
        kpy_report_call(state, state->unpark, parker);
    Py_XDECREF(answer);
    Py_DECREF(parker);
}

/* A channel that shuts its waiters gives libkcoro's code; the exception is made here, one for each. */
static void make_error(kpy_operation_t *self) {
    kpy_state_t *state = self->state;
    PyObject *reason = NULL;
    if (self->op.error == -ENOMEM) {
        PyErr_NoMemory();
        self->error = kpy_take_exception();
        return;
    }
    if (kci_claim(&self->op) == KC_CLOSED) {
        self->error = kpy_closed_error(state, "every channel of this select is closed", NULL);
        return;
    }
    if (Py_TYPE(self) == state->select)
        reason = ((kpy_select_t *)self)->reason;
    else if (self->place.at != NULL)
        reason = self->place.at->reason;
    self->error = kpy_closed_error(state, "the channel is closed", reason);
}

/* The operation may be gone when wake() returns, unless a channel keeps it, or whoever called its method. */
static void told(kc_parker_t *unused, kc_op_t *op) {
    (void)unused;
    kpy_operation_t *self = (kpy_operation_t *)((char *)op - offsetof(kpy_operation_t, op));
    PyObject *offered = NULL;
    if (op->error != 0) {
        if (self->error == NULL)
            make_error(self);
    } else if (kci_claim(op) >= 0) { /* what it offered has gone its way */
        offered = self->place.as_try.waiter.value;
        self->place.as_try.waiter.value = NULL;
    }
    wake(self);
    Py_XDECREF(offered);
}

kc_parker_t kpy_parker = {told};

/* -- a counterpart decides */

static PyObject *op_win(PyObject *o, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(kci_take(&((kpy_operation_t *)o)->op, 0));
}

int kpy_finish(kpy_operation_t *self, PyObject *value) {
    if (kci_claim(&self->op) < 0) {
        PyErr_SetString(PyExc_RuntimeError, "finish() hands over what was won: call win() first");
        return -1;
    }
    PyObject *old = self->op.value;
    self->op.value = Py_NewRef(value);
    kci_wake(&self->op);
    Py_XDECREF(old);
    return 0;
}

/* The only argument, or None. */
static PyObject *one_value(PyObject *const *args, Py_ssize_t count, const char *name) {
    if (count <= 1)
        return count == 1 ? args[0] : Py_None;
    PyErr_Format(PyExc_TypeError, "%s() takes one value at most (%zd given)", name, count);
    return NULL;
}

static PyObject *op_finish(PyObject *o, PyObject *const *args, Py_ssize_t count) {
    PyObject *value = one_value(args, count, "finish");
    if (value == NULL || kpy_finish((kpy_operation_t *)o, value) != 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *op_complete(PyObject *o, PyObject *const *args, Py_ssize_t count) {
    kpy_operation_t *self = (kpy_operation_t *)o;
    PyObject *value = one_value(args, count, "complete");
    if (value == NULL)
        return NULL;
    if (!kci_take(&self->op, 0))
        Py_RETURN_FALSE;
    kpy_finish(self, value);
    Py_RETURN_TRUE;
}

int kpy_fail(kpy_operation_t *self, PyObject *error) {
    int claim = kci_claim(&self->op);
    if (!PyExceptionInstance_Check(error)) {
        PyErr_Format(PyExc_TypeError, "an operation fails with an exception, not with %R", error);
        return -1;
    }
    if (claim == KC_WAITING || claim <= KC_CLAIMING) {
        PyErr_SetString(PyExc_RuntimeError, "fail() ends what was won: call win() first");
        return -1;
    }
    PyObject *old = self->error;
    self->error = Py_NewRef(error);
    self->op.error = -EPIPE; /* that there is an error; the exception says which */
    kci_wake(&self->op);
    Py_XDECREF(old);
    return 0;
}

static PyObject *op_fail(PyObject *o, PyObject *error) {
    if (kpy_fail((kpy_operation_t *)o, error) != 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *op_shut(PyObject *o, PyObject *error) {
    kpy_operation_t *self = (kpy_operation_t *)o;
    if (!PyExceptionInstance_Check(error)) {
        PyErr_Format(PyExc_TypeError, "an operation is shut with an exception, not with %R", error);
        return NULL;
    }
    if (!kci_take(&self->op, 0))
        Py_RETURN_FALSE;
    if (kpy_fail(self, error) != 0)
        return NULL;
    Py_RETURN_TRUE;
}

/* -- the owner's side decides */

static PyObject *op_expire(PyObject *o, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(kc_op_expire(&((kpy_operation_t *)o)->op));
}

static PyObject *op_revoke(PyObject *o, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(kc_op_revoke(&((kpy_operation_t *)o)->op));
}

static PyObject *op_give_up(PyObject *o, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(kc_op_give_up(&((kpy_operation_t *)o)->op));
}

/* -- a clause of another process */

static PyObject *op_begin_claim(PyObject *o, PyObject *number) {
    long index = PyLong_AsLong(number);
    if (index == -1 && PyErr_Occurred())
        return NULL;
    int begun = index > INT_MAX ? -EINVAL : kc_op_begin_claim(&((kpy_operation_t *)o)->op, (int)index);
    if (begun < 0)
        return PyErr_Format(PyExc_ValueError, "there is no clause %ld", index);
    return PyBool_FromLong(begun);
}

static PyObject *op_win_claim(PyObject *o, PyObject *unused) {
    (void)unused;
    int index = kc_op_win_claim(&((kpy_operation_t *)o)->op);
    if (index >= 0)
        return PyLong_FromLong(index);
    PyErr_SetString(PyExc_AssertionError, "win_claim without begin_claim");
    return NULL;
}

static PyObject *op_end_claim(PyObject *o, PyObject *unused) {
    (void)unused;
    int waits = kc_op_end_claim(&((kpy_operation_t *)o)->op);
    if (waits >= 0)
        return PyBool_FromLong(waits);
    PyErr_SetString(PyExc_AssertionError, "end_claim without begin_claim");
    return NULL;
}

PyMethodDef kpy_deciding[] = {
    {"win", op_win, METH_NOARGS,
     KPY_DOC("win($self, /)", "Claim the operation for its only clause; False when it is decided or being claimed.")},
    {"finish", FAST(op_finish), METH_FASTCALL,
     KPY_DOC("finish($self, value=None, /)", "Hand over the result after a won claim, and wake the owner.")},
    {"complete", FAST(op_complete), METH_FASTCALL,
     KPY_DOC("complete($self, value=None, /)",
             "win() and finish() in one, where nothing has to happen between the two.")},
    {"fail", op_fail, METH_O,
     KPY_DOC("fail($self, error, /)", "End with an error after a won claim, and wake the owner.")},
    {"shut", op_shut, METH_O,
     KPY_DOC("shut($self, error, /)",
             "The channel closed: claim and fail; False when it is decided or being claimed.")},
    {"expire", op_expire, METH_NOARGS,
     KPY_DOC("expire($self, /)", "The deadline passed; True when this decided. Remembered while CLAIMING.")},
    {"revoke", op_revoke, METH_NOARGS,
     KPY_DOC("revoke($self, /)", "A token was set; True when this decided. Remembered while CLAIMING.")},
    {"give_up", op_give_up, METH_NOARGS, KPY_DOC("give_up($self, /)", "As revoke(), but nobody is woken.")},
    {"begin_claim", op_begin_claim, METH_O,
     KPY_DOC("begin_claim($self, index, /)", "Have local partners skip the operation; False unless it was WAITING.")},
    {"win_claim", op_win_claim, METH_NOARGS,
     KPY_DOC("win_claim($self, /)", "The claim was granted: it wins over what arrived meanwhile; returns its clause.")},
    {"end_claim", op_end_claim, METH_NOARGS,
     KPY_DOC("end_claim($self, /)", "The claim was denied: True when WAITING again, False when that decided it.")},
    {NULL, NULL, 0, NULL},
};
