/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What a channel does: send, receive, wait, end. Each method is one call of libkcoro, between enter and leave. */

#include "chan.h"
#include "claim.h"
#include "lending.h"
#include "module.h"

/* -- the answers */

PyObject *kpy_answer(kpy_state_t *state, int code, PyObject *done) {
    switch (code) {
    case 0:
        return done;
    case -EAGAIN:
        return Py_NewRef(state->would_block);
    case -EPIPE:
        return Py_NewRef(state->closed);
    case -ENOMEM:
        return PyErr_NoMemory();
    default:
        return PyErr_Format(PyExc_RuntimeError, "libkcoro refused: %s", kc_code_name(code));
    }
}

/* -- the two directions */

static PyObject *channel_send_now(PyObject *o, PyObject *value) {
    kpy_channel_t *self = (kpy_channel_t *)o;
    kpy_state_t *state = self->state;
    kpy_enter(self);
    int code = kc_chan_send_now(self->ch, Py_NewRef(value));
    if (code != 0)
        Py_DECREF(value);
    kpy_leave(self);
    return kpy_answer(state, code, code == 0 ? Py_NewRef(state->ok) : NULL);
}

static PyObject *channel_recv_now(PyObject *o, PyObject *unused) {
    (void)unused;
    kpy_channel_t *self = (kpy_channel_t *)o;
    kpy_state_t *state = self->state;
    void *element = NULL;
    kpy_enter(self);
    int code = kc_chan_recv_now(self->ch, &element);
    kpy_leave(self);
    return kpy_answer(state, code, element);
}

static PyObject *channel_send_must_wait(PyObject *o, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(kc_chan_send_must_wait(((kpy_channel_t *)o)->ch));
}

static PyObject *channel_recv_must_wait(PyObject *o, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(kc_chan_recv_must_wait(((kpy_channel_t *)o)->ch));
}

/* -- waiting */

static kc_waitlist_t *list_of(kpy_channel_t *self, bool sending) {
    return sending ? &self->ch->senders : &self->ch->receivers;
}

/* Not kc_chan_enqueue: that refuses who would wait in vain, and a link puts waiters back that it had taken out for a
** moment. */
int kpy_channel_enqueue(kpy_channel_t *self, kpy_place_t *place) {
    kc_waitlist_t *list = list_of(self, place->as_try.waiter.sending);
    if (place->as_try.waiter.list == list)
        return 0;
    if (place->as_try.waiter.list != NULL) {
        PyErr_SetString(PyExc_ValueError, "this operation waits in another channel already; withdraw it there first");
        return -1;
    }
    Py_INCREF(place->owner);
    place->at = self;
    place->as_try.waiter.is_try = false;
    kci_push(list, &place->as_try.waiter);
    return 0;
}

bool kpy_channel_withdraw(kpy_channel_t *self, kpy_place_t *place) {
    if (kc_chan_withdraw(self->ch, &place->as_try.waiter) != 1)
        return false;
    if (!place->is_leaving)
        place->at = NULL;
    Py_DECREF(place->owner);
    return true;
}

static PyObject *channel_enqueue(PyObject *o, PyObject *waiter) {
    kpy_channel_t *self = (kpy_channel_t *)o;
    kpy_place_t *place = kpy_place_of(self->state, waiter);
    if (place == NULL || kpy_channel_enqueue(self, place) != 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *channel_withdraw(PyObject *o, PyObject *waiter) {
    kpy_channel_t *self = (kpy_channel_t *)o;
    kpy_place_t *place = kpy_place_of(self->state, waiter);
    if (place == NULL)
        return NULL;
    kpy_enter(self);
    bool stood = kpy_channel_withdraw(self, place);
    kpy_leave(self);
    return PyBool_FromLong(stood);
}

static PyObject *channel_waiting(PyObject *o, PyObject *flag) {
    int sending = PyObject_IsTrue(flag);
    return sending < 0 ? NULL : kpy_waiting_new((kpy_channel_t *)o, sending);
}

/* -- the end */

/* The first reason stays. */
static void note_reason(kpy_channel_t *self, PyObject *reason) {
    if (self->ch->closed)
        return;
    PyObject *old = self->reason;
    self->reason = Py_NewRef(reason);
    Py_XDECREF(old);
}

static PyObject *channel_close(PyObject *o, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"reason", NULL};
    kpy_channel_t *self = (kpy_channel_t *)o;
    PyObject *reason = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:close", names, &reason))
        return NULL;
    kpy_enter(self);
    note_reason(self, reason);
    kc_chan_close(self->ch, NULL);
    kpy_leave(self);
    Py_RETURN_NONE;
}

static PyObject *channel_cancel(PyObject *o, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"reason", "why", NULL};
    kpy_channel_t *self = (kpy_channel_t *)o;
    PyObject *reason = Py_None, *why = NULL;
    int number = KC_UNDELIVERED_CANCELLED;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:cancel", names, &reason, &why))
        return NULL;
    if (why != NULL && (number = kpy_number(self->state->undelivered, why, "why")) < 0)
        return NULL;
    kpy_enter(self);
    note_reason(self, reason);
    kc_chan_cancel(self->ch, NULL, (kc_undelivered_t)number);
    kpy_leave(self);
    Py_RETURN_NONE;
}

/* -- books with an effect */

static PyObject *channel_report(PyObject *o, PyObject *const *args, Py_ssize_t count) {
    kpy_channel_t *self = (kpy_channel_t *)o;
    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "report() takes an element and a reason");
    int why = kpy_number(self->state->undelivered, args[1], "why");
    if (why < 0)
        return NULL;
    kpy_enter(self);
    kc_chan_report(self->ch, Py_NewRef(args[0]), (kc_undelivered_t)why);
    kpy_leave(self);
    Py_RETURN_NONE;
}

static PyObject *channel_count_failure(PyObject *o, PyObject *word) {
    int claim = kpy_as_int(word);
    if (claim == -1 && PyErr_Occurred())
        return NULL;
    if (kc_chan_count_failure(((kpy_channel_t *)o)->ch, claim) != 0)
        return PyErr_Format(PyExc_ValueError, "an operation with the claim word %d has not failed", claim);
    Py_RETURN_NONE;
}

/* -- questions */

static PyObject *channel_there(PyObject *o, PyObject *flag) {
    int sending = PyObject_IsTrue(flag);
    if (sending < 0)
        return NULL;
    return kpy_count(kc_chan_there(((kpy_channel_t *)o)->ch, sending));
}

static PyObject *channel_is_drained(PyObject *o, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(kc_chan_is_drained(((kpy_channel_t *)o)->ch));
}

PyMethodDef kpy_channel_methods[] = {
    {"send_now", channel_send_now, METH_O,
     KPY_DOC("send_now($self, value, /)", "Hand over or queue value; answers OK, WOULD_BLOCK or CLOSED.")},
    {"recv_now", channel_recv_now, METH_NOARGS,
     KPY_DOC("recv_now($self, /)", "Take the oldest element; answers it, or WOULD_BLOCK or CLOSED.")},
    {"send_must_wait", channel_send_must_wait, METH_NOARGS,
     KPY_DOC("send_must_wait($self, /)", "Whether send_now() is sure to answer WOULD_BLOCK.")},
    {"recv_must_wait", channel_recv_must_wait, METH_NOARGS,
     KPY_DOC("recv_must_wait($self, /)", "Whether recv_now() is sure to answer WOULD_BLOCK.")},
    {"enqueue", channel_enqueue, METH_O,
     KPY_DOC("enqueue($self, w, /)", "Queue a waiter behind those of its direction.")},
    {"withdraw", channel_withdraw, METH_O,
     KPY_DOC("withdraw($self, w, /)", "Take a waiter out again; False when it was not queued.")},
    {"waiting", channel_waiting, METH_O,
     KPY_DOC("waiting($self, sending, /)", "Those who wait in one direction, oldest first.")},
    {"close", FAST(channel_close), METH_VARARGS | METH_KEYWORDS,
     KPY_DOC("close($self, reason=None)", "Take no more sends; parked senders fail, receivers drain.")},
    {"cancel", FAST(channel_cancel), METH_VARARGS | METH_KEYWORDS,
     KPY_DOC("cancel($self, reason=None, why=Undelivered.CANCELLED)", "Close, and report what is queued with why.")},
    {"report", FAST(channel_report), METH_FASTCALL,
     KPY_DOC("report($self, value, why, /)", "Pass a value to the undelivered hook, once.")},
    {"count_failure", channel_count_failure, METH_O,
     KPY_DOC("count_failure($self, claim, /)", "Book a plain operation that failed, by its last claim word.")},
    {"there", channel_there, METH_O,
     KPY_DOC("there($self, sending, /)", "How many elements, or how much room, one would find.")},
    {"is_drained", channel_is_drained, METH_NOARGS,
     KPY_DOC("is_drained($self, /)", "Whether it is closed and nothing will ever be received any more.")},
    {"is_shared", kpy_is_shared, METH_O,
     KPY_DOC("is_shared($self, sending, /)",
             "Whether a link has a share in that direction, so that nobody else is served.")},
    {"may_meet", kpy_may_meet, METH_O,
     KPY_DOC("may_meet($self, sending, /)",
             "Whether somebody in that direction may be matched with who waits opposite.")},
    {"want", kpy_want, METH_O, KPY_DOC("want($self, sending, /)", "Have a link that has a share give it up.")},
    {"ask", kpy_ask, METH_O,
     KPY_DOC("ask($self, op, /)", "Queue a try whose answer a link has; False: there is none.")},
    {"lend", kpy_lend, METH_O,
     KPY_DOC("lend($self, borrower, /)", "Make borrower the only sender, until end_lending().")},
    {"lendable", kpy_lendable, METH_NOARGS, KPY_DOC("lendable($self, /)", "How many slots could be lent now.")},
    {"lend_slots", kpy_lend_slots, METH_O, KPY_DOC("lend_slots($self, count, /)", "Lend so many more slots.")},
    {"fill", FAST(kpy_fill), METH_FASTCALL,
     KPY_DOC("fill($self, value, slot=True, /)",
             "Take in what the borrower sends, against a lent slot or without one.")},
    {"replaced", kpy_replaced, METH_O,
     KPY_DOC("replaced($self, count, /)", "Count values that were replaced and reported at the borrower's end.")},
    {"hold_back", kpy_hold_back, METH_O,
     KPY_DOC("hold_back($self, full, /)", "Have an UNLIMITED channel count as full, or not any more.")},
    {"answered", kpy_answered, METH_NOARGS,
     KPY_DOC("answered($self, /)", "What the borrower had sent before the oldest question has arrived.")},
    {"end_lending", kpy_end_lending, METH_NOARGS,
     KPY_DOC("end_lending($self, /)", "The slots are back, or lost with their link.")},
    {"keep", kpy_keep, METH_O,
     KPY_DOC("keep($self, keeper, /)", "Make keeper the only receiver, until end_keeping().")},
    {"take_ahead", kpy_take_ahead, METH_NOARGS,
     KPY_DOC("take_ahead($self, /)", "The oldest element for the keeper, which keeps its slot until it is settled.")},
    {"settle_ahead", FAST(kpy_settle_ahead), METH_VARARGS | METH_KEYWORDS,
     KPY_DOC("settle_ahead($self, count=1, put_back=())", "As settle(), for elements that were taken ahead.")},
    {"end_keeping", kpy_end_keeping, METH_NOARGS, KPY_DOC("end_keeping($self, /)", "Nothing is kept any more.")},
    {"hand_out", kpy_hand_out, METH_NOARGS,
     KPY_DOC("hand_out($self, /)", "Note that the element just received now travels to another process.")},
    {"settle", FAST(kpy_settle), METH_VARARGS | METH_KEYWORDS,
     KPY_DOC("settle($self, count=1, put_back=())",
             "Note that so many arrived, and put back the others, oldest first.")},
    {"snapshot", kpy_snapshot, METH_NOARGS, KPY_DOC("snapshot($self, /)", "State and counters, in constant time.")},
    {NULL, NULL, 0, NULL},
};
