/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Those who wait in one direction of a channel, one at a time.
**
** It goes on from the waiter that it gave last, which it keeps: when that has left its queue, the place is lost, and it
** says so, as an iterator over a dict does.
*/

#include "chan.h"
#include "module.h"

typedef struct kpy_waiting {
    PyObject_HEAD
    kpy_channel_t *channel; /* NULL: at the end */
    kpy_place_t *last;      /* its owner is kept; NULL: at the beginning */
    bool sending;
} kpy_waiting_t;

PyObject *kpy_waiting_new(kpy_channel_t *channel, bool sending) {
    kpy_waiting_t *self = PyObject_GC_New(kpy_waiting_t, channel->state->waiting);
    if (self == NULL)
        return NULL;
    self->channel = (kpy_channel_t *)Py_NewRef(channel);
    self->last = NULL;
    self->sending = sending;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static int waiting_traverse(PyObject *o, visitproc visit, void *arg) {
    kpy_waiting_t *self = (kpy_waiting_t *)o;
    Py_VISIT(Py_TYPE(o));
    Py_VISIT(self->channel);
    if (self->last != NULL)
        Py_VISIT(self->last->owner);
    return 0;
}

static int waiting_clear(PyObject *o) {
    kpy_waiting_t *self = (kpy_waiting_t *)o;
    kpy_place_t *last = self->last;
    self->last = NULL;
    Py_CLEAR(self->channel);
    if (last != NULL)
        Py_DECREF(last->owner);
    return 0;
}

static void waiting_dealloc(PyObject *o) {
    PyTypeObject *type = Py_TYPE(o);
    PyObject_GC_UnTrack(o);
    waiting_clear(o);
    PyObject_GC_Del(o);
    Py_DECREF(type);
}

static PyObject *waiting_next(PyObject *o) {
    kpy_waiting_t *self = (kpy_waiting_t *)o;
    if (self->channel == NULL)
        return NULL;
    kc_chan_t *ch = self->channel->ch;
    kc_waitlist_t *list = self->sending ? &ch->senders : &ch->receivers;
    if (self->last != NULL && self->last->as_try.waiter.list != list) {
        waiting_clear(o);
        PyErr_SetString(PyExc_RuntimeError, "the queue of waiters has changed during iteration");
        return NULL;
    }
    kpy_place_t *next = (kpy_place_t *)(self->last == NULL ? list->first : self->last->as_try.waiter.next);
    if (next == NULL) {
        waiting_clear(o);
        return NULL;
    }
    kpy_place_t *before = self->last;
    Py_INCREF(next->owner);
    self->last = next;
    PyObject *owner = Py_NewRef(next->owner);
    if (before != NULL)
        Py_DECREF(before->owner);
    return owner;
}

static PyType_Slot slots[] = {
    {Py_tp_doc, "Those who wait in one direction of a channel, oldest first."},
    {Py_tp_dealloc, waiting_dealloc},
    {Py_tp_traverse, waiting_traverse},
    {Py_tp_clear, waiting_clear},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, waiting_next},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "kcoro_native._native.Waiting",
    .basicsize = sizeof(kpy_waiting_t),
    .flags = KPY_TYPE_FLAGS,
    .slots = slots,
};

int kpy_add_waiting(PyObject *module, kpy_state_t *state) {
    state->waiting = kpy_make_type(module, &spec, NULL, NULL);
    return state->waiting == NULL ? -1 : 0;
}
