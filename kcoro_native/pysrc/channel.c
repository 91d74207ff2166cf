/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** One channel, as a Python object around libkcoro's: its life. What it does is in moving.c, what it tells in books.c.
**
** Its queues keep waiters and elements alive. Whom libkcoro takes out of a queue stays alive until the outermost call
** on the channel ends: libkcoro works with it until then, and the last reference may run Python that comes back.
*/

#include <stddef.h>

#include "chan.h"
#include "lending.h"
#include "module.h"

/* -- what the channel lets go */

void kpy_enter(kpy_channel_t *self) {
    Py_INCREF(self);
    self->depth++;
}

static void let_go(kpy_channel_t *self) {
    kpy_place_t *place = self->leaving;
    self->leaving = place->leaving;
    place->leaving = NULL;
    place->is_leaving = false;
    if (place->as_try.waiter.list == NULL)
        place->at = NULL;
    Py_DECREF(place->owner);
}

void kpy_leave(kpy_channel_t *self) {
    if (self->depth == 1)
        while (self->leaving != NULL)
            let_go(self);
    self->depth--;
    Py_DECREF(self);
}

/* -- the hooks of libkcoro */

/* The channel's reference to who has left goes to `leaving`. A sender that was won gives its element a reference of the
** channel's own, for it goes on showing it. */
static void left(void *ctx, kc_waiter_t *w, bool won) {
    kpy_channel_t *self = ctx;
    kpy_place_t *place = (kpy_place_t *)w;
    if (won && w->sending) {
        if (w->value == NULL) /* the cycle collector was here */
            w->value = Py_NewRef(Py_None);
        Py_INCREF((PyObject *)w->value);
    }
    if (!won && Py_TYPE(place->owner) == self->state->arm)
        ((kpy_arm_t *)place->owner)->select->reason = self->reason;
    if (place->is_leaving) { /* it stood in a queue again meanwhile; the first time keeps it */
        Py_DECREF(place->owner);
        return;
    }
    place->is_leaving = true;
    place->leaving = self->leaving;
    self->leaving = place;
}

static void undelivered(void *ctx, void *element, kc_undelivered_t why) {
    kpy_channel_t *self = ctx;
    if (self->on_undelivered == NULL)
        return;
    PyObject *hook = Py_NewRef(self->on_undelivered), *member = PyTuple_GET_ITEM(self->state->undelivered, why);
    PyObject *answer = PyObject_CallFunctionObjArgs(hook, element, member, NULL);
    if (answer == NULL) {
        PyObject *error = kpy_take_exception();
        PyObject *doing = PyUnicode_FromFormat("on_undelivered(%R, %S)", element, member);
        PyErr_Clear();
        kpy_raise(error);
        kpy_report(self->state, doing);
        Py_XDECREF(doing);
    }
    Py_XDECREF(answer);
    Py_DECREF(hook);
}

static void destroy(void *ctx, void *element) {
    (void)ctx;
    Py_DECREF((PyObject *)element);
}

/* -- its life */

static int make(kpy_channel_t *self, int kind, size_t capacity, int overflow) {
    const kc_chan_hooks_t hooks = {.undelivered = undelivered, .destroy = destroy, .ctx = self, .left = left};
    switch (kc_chan_make(&self->ch, (kc_kind_t)kind, capacity, (kc_overflow_t)overflow, &hooks)) {
    case 0:
        return 0;
    case -ENOMEM:
        PyErr_NoMemory();
        return -1;
    default:
        PyErr_SetString(PyExc_ValueError, "there is no channel of this kind, capacity and overflow policy");
        return -1;
    }
}

/* A capacity that no memory could hold is as good as the largest; SIZE_MAX with an exception. */
static size_t capacity_of(PyObject *capacity) {
    size_t limit = PyLong_AsSize_t(capacity);
    if (limit != SIZE_MAX || !PyErr_Occurred())
        return limit == SIZE_MAX ? SIZE_MAX - 1 : limit;
    PyObject *zero = PyLong_FromLong(0);
    if (PyErr_ExceptionMatches(PyExc_OverflowError) && zero != NULL) {
        PyErr_Clear();
        int is_more = PyObject_RichCompareBool(capacity, zero, Py_GT);
        limit = is_more < 0 ? SIZE_MAX : is_more ? SIZE_MAX - 1 : 0;
    }
    Py_XDECREF(zero);
    return limit;
}

static int describe(kpy_channel_t *self, PyObject *kind, PyObject *capacity, PyObject *overflow, PyObject *hook) {
    int kind_number = kpy_number(self->state->kinds, kind, "kind");
    int overflow_number = kpy_number(self->state->overflows, overflow, "overflow");
    if (kind_number < 0 || overflow_number < 0)
        return -1;
    size_t limit = kind_number == KC_BUFFERED ? capacity_of(capacity) : 0;
    if (limit == SIZE_MAX)
        return -1;
    if (hook != Py_None && !PyCallable_Check(hook)) {
        PyErr_Format(PyExc_TypeError, "on_undelivered is called with an element and a reason; %R cannot be", hook);
        return -1;
    }
    self->kind = Py_NewRef(kind);
    self->overflow = Py_NewRef(overflow);
    self->capacity = Py_NewRef(capacity);
    self->on_undelivered = hook == Py_None ? NULL : Py_NewRef(hook);
    return make(self, kind_number, limit, overflow_number);
}

static PyObject *channel_call(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    static char *names[] = {"kind", "capacity", "overflow", "on_undelivered", NULL};
    kpy_state_t *state = kpy_state_of((PyTypeObject *)type);
    PyObject *kind, *capacity, *overflow, *hook = Py_None;
    if (state == NULL ||
        !kpy_parse(args, nargsf, kwnames, "OOO|O:ChannelCore", names, &kind, &capacity, &overflow, &hook))
        return NULL;
    kpy_channel_t *self = (kpy_channel_t *)state->channel->tp_alloc(state->channel, 0); /* all zero, and tracked */
    if (self == NULL)
        return NULL;
    self->state = state;
    Py_INCREF(state->module);
    kpy_lending_init(self);
    if (describe(self, kind, capacity, overflow, hook) != 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int visit_waiters(const kc_waiter_t *w, visitproc visit, void *arg) {
    for (; w != NULL; w = w->next)
        Py_VISIT(((const kpy_place_t *)w)->owner);
    return 0;
}

static int visit_elements(const kci_ring_t *ring, visitproc visit, void *arg) {
    for (size_t i = 0; i < ring->length; i++)
        Py_VISIT((PyObject *)ring->slots[(ring->head + i) % ring->room]);
    return 0;
}

static int channel_traverse(PyObject *o, visitproc visit, void *arg) {
    kpy_channel_t *self = (kpy_channel_t *)o;
    int seen = 0;
    Py_VISIT(Py_TYPE(o));
    Py_VISIT(self->state->module);
    Py_VISIT(self->kind);
    Py_VISIT(self->overflow);
    Py_VISIT(self->capacity);
    Py_VISIT(self->on_undelivered);
    Py_VISIT(self->reason);
    Py_VISIT(self->lent_to);
    Py_VISIT(self->kept_by);
    for (kpy_place_t *place = self->leaving; place != NULL; place = place->leaving)
        Py_VISIT(place->owner);
    if (self->ch == NULL || (seen = visit_elements(&self->ch->ring, visit, arg)) != 0)
        return seen;
    if ((seen = visit_waiters(self->ch->senders.first, visit, arg)) != 0 ||
        (seen = visit_waiters(self->ch->ending.first, visit, arg)) != 0)
        return seen;
    return visit_waiters(self->ch->receivers.first, visit, arg);
}

/* Nobody is woken, and nothing is reported: whom it would reach is gone as well, as with any queue of Python. */
static void forget(kc_waitlist_t *list) {
    while (list->first != NULL) {
        kpy_place_t *place = (kpy_place_t *)list->first;
        kc_waiter_leave(&place->as_try.waiter);
        if (!place->is_leaving)
            place->at = NULL;
        Py_DECREF(place->owner);
    }
}

static void empty(kpy_channel_t *self) {
    if (self->ch == NULL)
        return;
    forget(&self->ch->senders);
    forget(&self->ch->receivers);
    forget(&self->ch->ending);
    while (self->ch->ring.length != 0)
        Py_DECREF((PyObject *)kci_ring_pop(&self->ch->ring));
}

static int channel_clear(PyObject *o) {
    kpy_channel_t *self = (kpy_channel_t *)o;
    empty(self);
    Py_CLEAR(self->on_undelivered);
    Py_CLEAR(self->reason);
    Py_CLEAR(self->lent_to);
    Py_CLEAR(self->kept_by);
    return 0;
}

static void channel_dealloc(PyObject *o) {
    kpy_channel_t *self = (kpy_channel_t *)o;
    PyTypeObject *type = Py_TYPE(o);
    PyObject *module = self->state->module;
    PyObject_GC_UnTrack(o);
    Py_TRASHCAN_BEGIN(o, channel_dealloc)
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs(o);
    empty(self);
    Py_CLEAR(self->lent_to); /* before the release, which ends the channel for a keeper */
    Py_CLEAR(self->kept_by);
    kc_chan_release(self->ch);
    Py_CLEAR(self->on_undelivered);
    Py_CLEAR(self->reason);
    Py_CLEAR(self->kind);
    Py_CLEAR(self->overflow);
    Py_CLEAR(self->capacity);
    type->tp_free(o);
    Py_DECREF(type);
    Py_DECREF(module);
    Py_TRASHCAN_END
}

/* -- the type */

static PyMemberDef members[] = {
    {"kind", T_OBJECT, offsetof(kpy_channel_t, kind), READONLY, "The kind of the channel."},
    {"overflow", T_OBJECT, offsetof(kpy_channel_t, overflow), READONLY, "What happens to a send into a full buffer."},
    {"capacity", T_OBJECT, offsetof(kpy_channel_t, capacity), READONLY, "The number of elements that fit in, or None."},
    {"reason", T_OBJECT, offsetof(kpy_channel_t, reason), READONLY, "What was given to close; None before."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(kpy_channel_t, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static Py_ssize_t channel_length(PyObject *o) {
    return (Py_ssize_t)kc_chan_length(((kpy_channel_t *)o)->ch);
}

static PyType_Slot slots[] = {
    {Py_tp_doc, KPY_DOC("ChannelCore(kind, capacity, overflow, on_undelivered=None)",
                        "One channel, without waiting; see kcoro_core.engine.ChannelCore for what each method does.")},
    {Py_tp_dealloc, channel_dealloc},
    {Py_tp_traverse, channel_traverse},
    {Py_tp_clear, channel_clear},
    {Py_tp_methods, kpy_channel_methods},
    {Py_tp_getset, kpy_channel_attributes},
    {Py_tp_members, members},
    {Py_sq_length, channel_length},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "kcoro_native._native.ChannelCore",
    .basicsize = sizeof(kpy_channel_t),
    .flags = KPY_TYPE_FLAGS,
    .slots = slots,
};

int kpy_add_channel(PyObject *module, kpy_state_t *state) {
    state->channel = kpy_make_type(module, &spec, NULL, channel_call);
    return state->channel == NULL ? -1 : 0;
}
