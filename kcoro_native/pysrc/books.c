/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What a channel tells of itself: its snapshot and its attributes. */

#include "chan.h"
#include "module.h"

static PyObject *number(uint64_t value) {
    return PyLong_FromUnsignedLongLong(value);
}

PyObject *kpy_snapshot(PyObject *o, PyObject *unused) {
    (void)unused;
    kpy_channel_t *self = (kpy_channel_t *)o;
    kc_snapshot_t s;
    kc_chan_snapshot(self->ch, &s);
    PyObject *arguments = Py_BuildValue(
        "(OOONNONNNNNNNNNN)", self->kind, self->overflow, self->capacity, number(s.length), number(s.peak_length),
        s.closed ? Py_True : Py_False, number(s.waiting_senders), number(s.waiting_receivers), number(s.sent),
        number(s.received), number(s.dropped), number(s.handoffs), number(s.failed_would_block),
        number(s.failed_deadline), number(s.failed_cancelled), number(s.failed_closed));
    if (arguments == NULL)
        return NULL;
    PyObject *snapshot = PyObject_CallObject(self->state->snapshot, arguments);
    Py_DECREF(arguments);
    return snapshot;
}

static PyObject *get_closed(PyObject *o, void *unused) {
    (void)unused;
    return PyBool_FromLong(((kpy_channel_t *)o)->ch->closed);
}

static PyObject *get_lent(PyObject *o, void *unused) {
    (void)unused;
    return PyLong_FromSize_t(((kpy_channel_t *)o)->ch->lent);
}

static PyObject *get_kept(PyObject *o, void *unused) {
    (void)unused;
    return PyLong_FromSize_t(((kpy_channel_t *)o)->ch->kept);
}

static PyObject *get_travelling(PyObject *o, void *unused) {
    (void)unused;
    return PyLong_FromSize_t(((kpy_channel_t *)o)->ch->travelling);
}

PyGetSetDef kpy_channel_attributes[] = {
    {"closed", get_closed, NULL, "Whether it was closed or cancelled.", NULL},
    {"lent", get_lent, NULL, "The slots that are lent and not filled.", NULL},
    {"kept", get_kept, NULL, "The elements that are kept ahead and not settled.", NULL},
    {"travelling", get_travelling, NULL, "The elements that were handed out and not settled, kept ones too.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
