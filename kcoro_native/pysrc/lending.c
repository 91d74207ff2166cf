/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** A link's share in a channel, for Python: the borrower and the keeper are objects whose methods libkcoro calls.
**
** Rule 1: an object is forgotten before libkcoro goes on without it, for what happens then may bring the next one.
** Rule 2: what a method of theirs raises goes to sys.unraisablehook; it changes nothing in the channel.
*/

#include <stddef.h>

#include "chan.h"
#include "module.h"

/* -- what libkcoro calls */

static void tell(kpy_channel_t *self, PyObject *whom, PyObject *method) {
    if (whom == NULL)
        return;
    Py_INCREF(whom);
    PyObject *answer = PyObject_CallMethodNoArgs(whom, method);
    if (answer == NULL)
        kpy_report_call(self->state, method, whom);
    Py_XDECREF(answer);
    Py_DECREF(whom);
}

static kpy_channel_t *of_borrower(kc_borrower_t *borrower) {
    return (kpy_channel_t *)((char *)borrower - offsetof(kpy_channel_t, borrower));
}

static kpy_channel_t *of_keeper(kc_keeper_t *keeper) {
    return (kpy_channel_t *)((char *)keeper - offsetof(kpy_channel_t, keeper));
}

static void borrower_recall(kc_borrower_t *borrower) {
    kpy_channel_t *self = of_borrower(borrower);
    tell(self, self->lent_to, self->state->recall);
}

static void borrower_ask(kc_borrower_t *borrower) {
    kpy_channel_t *self = of_borrower(borrower);
    tell(self, self->lent_to, self->state->ask);
}

static void borrower_freed(kc_borrower_t *borrower) {
    kpy_channel_t *self = of_borrower(borrower);
    tell(self, self->lent_to, self->state->freed);
}

static void keeper_arrived(kc_keeper_t *keeper) {
    kpy_channel_t *self = of_keeper(keeper);
    tell(self, self->kept_by, self->state->arrived);
}

static void keeper_recall(kc_keeper_t *keeper) {
    kpy_channel_t *self = of_keeper(keeper);
    tell(self, self->kept_by, self->state->recall);
}

static void keeper_drained(kc_keeper_t *keeper) {
    kpy_channel_t *self = of_keeper(keeper);
    tell(self, self->kept_by, self->state->drained);
}

void kpy_lending_init(kpy_channel_t *self) {
    self->borrower = (kc_borrower_t){borrower_recall, borrower_ask, borrower_freed};
    self->keeper = (kc_keeper_t){keeper_arrived, keeper_recall, keeper_drained};
}

/* -- lent slots */

PyObject *kpy_lend(PyObject *o, PyObject *borrower) {
    kpy_channel_t *self = (kpy_channel_t *)o;
    if (kc_chan_lend(self->ch, &self->borrower) != 1)
        Py_RETURN_FALSE;
    PyObject *old = self->lent_to;
    self->lent_to = Py_NewRef(borrower);
    Py_XDECREF(old);
    Py_RETURN_TRUE;
}

PyObject *kpy_lendable(PyObject *o, PyObject *unused) {
    (void)unused;
    return kpy_count(kc_chan_lendable(((kpy_channel_t *)o)->ch));
}

PyObject *kpy_lend_slots(PyObject *o, PyObject *number) {
    kpy_channel_t *self = (kpy_channel_t *)o;
    Py_ssize_t count = PyLong_AsSsize_t(number);
    if (count == -1 && PyErr_Occurred())
        return NULL;
    if (count == 0 || (count > 0 && kc_chan_lend_slots(self->ch, (size_t)count) == 0))
        Py_RETURN_NONE;
    PyObject *free_slots = kpy_lendable(o, NULL);
    if (free_slots != NULL)
        PyErr_Format(PyExc_ValueError, "%zd slots cannot be lent, %S are free to be", count, free_slots);
    Py_XDECREF(free_slots);
    return NULL;
}

PyObject *kpy_fill(PyObject *o, PyObject *const *args, Py_ssize_t count) {
    kpy_channel_t *self = (kpy_channel_t *)o;
    if (count < 1 || count > 2)
        return PyErr_Format(PyExc_TypeError, "fill() takes an element, and whether it has a slot (%zd given)", count);
    int slot = count == 2 ? PyObject_IsTrue(args[1]) : 1;
    if (slot < 0)
        return NULL;
    kpy_state_t *state = self->state;
    kpy_enter(self);
    int code = kc_chan_fill(self->ch, Py_NewRef(args[0]), slot);
    if (code != 0)
        Py_DECREF(args[0]);
    kpy_leave(self);
    if (code == -EINVAL)
        return PyErr_Format(PyExc_ValueError, "only the borrower fills, and only what was lent");
    return kpy_answer(state, code, code == 0 ? Py_NewRef(state->ok) : NULL);
}

PyObject *kpy_replaced(PyObject *o, PyObject *number) {
    size_t count = PyLong_AsSize_t(number);
    if (count == (size_t)-1 && PyErr_Occurred())
        return NULL;
    kc_chan_replaced(((kpy_channel_t *)o)->ch, count);
    Py_RETURN_NONE;
}

PyObject *kpy_hold_back(PyObject *o, PyObject *flag) {
    kpy_channel_t *self = (kpy_channel_t *)o;
    int full = PyObject_IsTrue(flag);
    if (full < 0)
        return NULL;
    kpy_enter(self);
    int code = kc_chan_hold_back(self->ch, full);
    kpy_leave(self);
    if (code != 0)
        return PyErr_Format(PyExc_ValueError, "only an UNLIMITED channel with a borrower can be held back");
    Py_RETURN_NONE;
}

PyObject *kpy_answered(PyObject *o, PyObject *unused) {
    (void)unused;
    kpy_channel_t *self = (kpy_channel_t *)o;
    kpy_enter(self);
    kc_chan_answered(self->ch); /* without a question there is nothing to do */
    kpy_leave(self);
    Py_RETURN_NONE;
}

PyObject *kpy_end_lending(PyObject *o, PyObject *unused) {
    (void)unused;
    kpy_channel_t *self = (kpy_channel_t *)o;
    PyObject *old = self->lent_to;
    self->lent_to = NULL;
    kpy_enter(self);
    kc_chan_end_lending(self->ch); /* nobody's: nothing to do */
    kpy_leave(self);
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

/* -- elements kept ahead, or on their way */

PyObject *kpy_keep(PyObject *o, PyObject *keeper) {
    kpy_channel_t *self = (kpy_channel_t *)o;
    if (kc_chan_keep(self->ch, &self->keeper) != 1)
        Py_RETURN_FALSE;
    PyObject *old = self->kept_by;
    self->kept_by = Py_NewRef(keeper);
    Py_XDECREF(old);
    Py_RETURN_TRUE;
}

PyObject *kpy_take_ahead(PyObject *o, PyObject *unused) {
    (void)unused;
    kpy_channel_t *self = (kpy_channel_t *)o;
    void *element = NULL;
    int code = kc_chan_take_ahead(self->ch, &element);
    if (code == -EINVAL)
        return PyErr_Format(PyExc_ValueError, "only the keeper takes ahead, and there is none");
    return kpy_answer(self->state, code, element);
}

PyObject *kpy_end_keeping(PyObject *o, PyObject *unused) {
    (void)unused;
    kpy_channel_t *self = (kpy_channel_t *)o;
    PyObject *old = self->kept_by;
    self->kept_by = NULL;
    kpy_enter(self);
    kc_chan_end_keeping(self->ch); /* nobody's: nothing to do */
    kpy_leave(self);
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

PyObject *kpy_hand_out(PyObject *o, PyObject *unused) {
    (void)unused;
    kc_chan_hand_out(((kpy_channel_t *)o)->ch);
    Py_RETURN_NONE;
}

typedef int (*settle_fn)(kc_chan_t *ch, size_t count, void *const *put_back, size_t back);

/* The channel gets a reference to each that comes back. */
static int settle_by(kpy_channel_t *self, settle_fn settle, size_t count, PyObject *put_back) {
    Py_ssize_t back = PyTuple_GET_SIZE(put_back);
    for (Py_ssize_t i = 0; i < back; i++)
        Py_INCREF(PyTuple_GET_ITEM(put_back, i));
    kpy_enter(self);
    int code = settle(self->ch, count, (void *const *)&PyTuple_GET_ITEM(put_back, 0), (size_t)back);
    if (code != 0)
        for (Py_ssize_t i = 0; i < back; i++)
            Py_DECREF(PyTuple_GET_ITEM(put_back, i));
    kpy_leave(self);
    return code;
}

static PyObject *settled(PyObject *o, settle_fn settle, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"count", "put_back", NULL};
    Py_ssize_t count = 1;
    PyObject *put_back = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|nO:settle", names, &count, &put_back))
        return NULL;
    PyObject *elements = put_back == NULL ? PyTuple_New(0) : PySequence_Tuple(put_back);
    if (elements == NULL)
        return NULL;
    int code = count < 0 ? -EINVAL : settle_by((kpy_channel_t *)o, settle, (size_t)count, elements);
    Py_DECREF(elements);
    if (code == -ENOMEM)
        return PyErr_NoMemory();
    if (code != 0)
        return PyErr_Format(PyExc_ValueError, "%zd elements cannot be settled: not so many are on their way", count);
    Py_RETURN_NONE;
}

PyObject *kpy_settle(PyObject *o, PyObject *args, PyObject *kwargs) {
    return settled(o, kc_chan_settle, args, kwargs);
}

PyObject *kpy_settle_ahead(PyObject *o, PyObject *args, PyObject *kwargs) {
    return settled(o, kc_chan_settle_ahead, args, kwargs);
}

/* -- tries, and what others have to know */

PyObject *kpy_ask(PyObject *o, PyObject *op) {
    kpy_channel_t *self = (kpy_channel_t *)o;
    kpy_place_t *place = kpy_place_of(self->state, op);
    if (place == NULL)
        return NULL;
    kpy_enter(self);
    kpy_channel_t *before = place->at; /* where it stands, if it waits already: then it is refused */
    place->at = self;
    Py_INCREF(place->owner);
    int code = kci_chan_ask(self->ch, &place->as_try); /* as for who enqueues: what is there may be kept for others */
    if (code != 1) {
        place->at = place->is_leaving || place->as_try.waiter.list != NULL ? before : NULL;
        Py_DECREF(place->owner);
    }
    kpy_leave(self);
    if (code < 0)
        return PyErr_Format(PyExc_ValueError, "this try waits already; withdraw it first");
    return PyBool_FromLong(code);
}

PyObject *kpy_is_shared(PyObject *o, PyObject *flag) {
    int sending = PyObject_IsTrue(flag);
    return sending < 0 ? NULL : PyBool_FromLong(kc_chan_is_shared(((kpy_channel_t *)o)->ch, sending));
}

PyObject *kpy_may_meet(PyObject *o, PyObject *flag) {
    int sending = PyObject_IsTrue(flag);
    return sending < 0 ? NULL : PyBool_FromLong(kc_chan_may_meet(((kpy_channel_t *)o)->ch, sending));
}

PyObject *kpy_want(PyObject *o, PyObject *flag) {
    kpy_channel_t *self = (kpy_channel_t *)o;
    int sending = PyObject_IsTrue(flag);
    if (sending < 0)
        return NULL;
    kpy_enter(self);
    kc_chan_want(self->ch, sending);
    kpy_leave(self);
    Py_RETURN_NONE;
}
