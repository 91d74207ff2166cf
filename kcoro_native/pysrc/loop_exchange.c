/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Sending and receiving on a loop, without a coroutine: what `await ch.send(v)` and `await ch.recv()` wait in; see
** loop_await.h. The steps are those of kcoro_core.channel.Channel.send and recv, to the letter.
**
** An exchange is an operation that is its own awaitable, and is kept for the next one when it ends, so that a plain
** send or recv allocates nothing. It has no effect before it is awaited.
*/

#include "loop_await.h"

#include <stddef.h>

#include "chan.h"
#include "claim.h"
#include "module.h"

#define SPARES 1024

enum stage { NEW, PARKED, IN_TURN, OVER };

struct kpy_exchange {
    kpy_operation_t base;
    PyObject *face;      /* the channel as the program has it */
    kpy_channel_t *core; /* a reference; the value, and the error, are in the base */
    uint8_t stage;
    bool iterates; /* an orderly close ends an iteration */
};

typedef struct kpy_exchange kpy_exchange_t;

static struct kpy_loops *loops_of(kpy_exchange_t *self) {
    return self->base.state->loops;
}

static kc_waiter_t *waiter(kpy_exchange_t *self) {
    return (kc_waiter_t *)&self->base.place;
}

static bool sends(kpy_exchange_t *self) {
    return waiter(self)->sending;
}

static void set_home(kpy_exchange_t *self, kpy_loop_t *loop) {
    PyObject **home = kpy_slot(self->face, loops_of(self)->home_at), *old = *home;
    if (old == (PyObject *)loop)
        return;
    *home = Py_NewRef(loop);
    Py_XDECREF(old);
}

static void set_task(kpy_exchange_t *self, kpy_task_t *task) {
    PyObject *before = self->base.op.task;
    self->base.op.task = Py_NewRef(task);
    Py_XDECREF(before);
}

/* -- its life */

static kpy_exchange_t *allocate(kpy_state_t *state) {
    struct kpy_loops *loops = state->loops;
    kpy_exchange_t *self = loops->spares;
    if (self == NULL)
        return PyObject_GC_New(kpy_exchange_t, loops->exchange);
    loops->spares = (kpy_exchange_t *)self->face;
    loops->spare_count--;
    return (kpy_exchange_t *)PyObject_Init((PyObject *)self, loops->exchange);
}

PyObject *kpy_exchange_new(kpy_state_t *state, PyObject *face, kpy_channel_t *core, bool sending, PyObject *value,
                           bool iterates) {
    kpy_exchange_t *self = allocate(state);
    if (self == NULL)
        return NULL;
    kc_op_init(&self->base.op, &kpy_parker);
    kpy_place_init(&self->base.place, (PyObject *)self, &self->base.op, 0, sending, value);
    kpy_operation_init(&self->base, state);
    self->base.wake = kpy_wake_waiting;
    self->face = Py_NewRef(face);
    self->core = (kpy_channel_t *)Py_NewRef(core);
    self->stage = NEW;
    self->iterates = iterates;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static int exchange_traverse(PyObject *obj, visitproc visit, void *arg) {
    kpy_exchange_t *self = (kpy_exchange_t *)obj;
    Py_VISIT(self->face);
    Py_VISIT(self->core);
    return kpy_operation_traverse(obj, visit, arg);
}

static int exchange_clear(PyObject *obj) {
    kpy_exchange_t *self = (kpy_exchange_t *)obj;
    Py_CLEAR(self->face);
    Py_CLEAR(self->core);
    return kpy_operation_clear(obj);
}

static void exchange_dealloc(PyObject *obj) {
    kpy_exchange_t *self = (kpy_exchange_t *)obj;
    PyTypeObject *type = Py_TYPE(obj);
    struct kpy_loops *loops = loops_of(self);
    PyObject *module = self->base.state->module;
    PyObject_GC_UnTrack(obj);
    if (self->stage == NEW && self->face != NULL)
        kpy_never_awaited(obj);
    if (self->base.weakrefs != NULL)
        PyObject_ClearWeakRefs(obj);
    exchange_clear(obj);
    if (loops->spare_count < SPARES) {
        self->face = (PyObject *)loops->spares;
        loops->spares = self;
        loops->spare_count++;
    } else
        PyObject_GC_Del(obj);
    Py_DECREF(type);
    Py_DECREF(module); /* the last thing: the state goes with it */
}

void kpy_exchange_free_spares(struct kpy_loops *loops) {
    while (loops->spares != NULL) {
        kpy_exchange_t *self = loops->spares;
        loops->spares = (kpy_exchange_t *)self->face;
        PyObject_GC_Del(self);
    }
    loops->spare_count = SPARES; /* no more of them: nobody would free them */
}

/* -- how it ends */

static PySendResult raise(kpy_exchange_t *self, PyObject *error) {
    self->stage = OVER;
    if (self->iterates && PyErr_GivenExceptionMatches(error, self->base.state->channel_closed)) {
        PyObject *end = PyObject_CallOneArg(loops_of(self)->end_of_iteration, error);
        PyObject *cause = end == NULL ? NULL : PyException_GetCause(end);
        Py_DECREF(error);
        if (end == NULL)
            return PYGEN_ERROR;
        PyException_SetCause(end, cause);
        error = end;
    }
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
    return PYGEN_ERROR;
}

static PySendResult over(kpy_exchange_t *self, PyObject *value, PyObject **result) {
    self->stage = OVER;
    *result = value != NULL ? value : Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

/* The call has ended, by its value or by its error. */
static PySendResult settle(kpy_exchange_t *self, PyObject **result) {
    PyObject *value = self->base.op.value, *failure = self->base.error;
    self->base.op.value = self->base.error = NULL;
    return failure != NULL ? raise(self, failure) : over(self, value, result);
}

/* It ended at once, and spends a credit; behind the last one the others have a turn. */
static PySendResult spend(kpy_exchange_t *self, kpy_loop_t *loop, PyObject **result) {
    if (loop->credit > 0) {
        loop->credit--;
        return settle(self, result);
    }
    self->stage = IN_TURN;
    set_task(self, loop->base.running);
    return kpy_pause(loop, loop->base.running, result);
}

static PySendResult fail_closed(kpy_exchange_t *self, kpy_loop_t *loop, PyObject **result) {
    kc_chan_count_failure(self->core->ch, KC_CLOSED);
    self->base.error = PyObject_CallMethodNoArgs(self->face, loops_of(self)->str_closed_error);
    if (self->base.error == NULL) {
        self->stage = OVER;
        return PYGEN_ERROR;
    }
    return spend(self, loop, result);
}

/* -- its steps */

/* Without waiting: 0, -EAGAIN or -EPIPE as libkcoro has them. */
static int try_now(kpy_exchange_t *self) {
    kpy_channel_t *core = self->core;
    int code;
    kpy_enter(core);
    if (sends(self)) {
        code = kc_chan_send_now(core->ch, waiter(self)->value);
        if (code == 0)
            waiter(self)->value = NULL; /* the channel has it */
    }
    else
        code = kc_chan_recv_now(core->ch, &self->base.op.value);
    kpy_leave(core);
    return code;
}

static bool must_wait(kpy_exchange_t *self) {
    kc_chan_t *ch = self->core->ch;
    return (sends(self) ? kc_chan_send_must_wait(ch) : kc_chan_recv_must_wait(ch)) == 1;
}

/* The wait is given up: it leaves its queue. */
static void abandon(kpy_exchange_t *self) {
    kpy_enter(self->core);
    kpy_channel_withdraw(self->core, &self->base.place);
    kpy_leave(self->core);
    kc_chan_count_failure(self->core->ch, KC_CANCELLED);
}

static PySendResult park(kpy_exchange_t *self, kpy_loop_t *loop, PyObject **result) {
    kpy_task_t *task = loop->base.running;
    set_home(self, loop);
    if (kpy_channel_enqueue(self->core, &self->base.place) != 0)
        return PYGEN_ERROR;
    if (loop->is_cancelling && kpy_in_force(task->scope) && kc_op_give_up(&self->base.op) == 1) {
        loop->credit = loop->quantum;
        self->stage = OVER;
        abandon(self);
        return kpy_raise_cancelled(loop);
    }
    set_task(self, task);
    self->stage = PARKED;
    return kpy_park(loop, task, (PyObject *)self, KPY_WAIT_PLACE, result);
}

static PySendResult refuse_ended(kpy_exchange_t *self) {
    self->stage = OVER;
    PyErr_Format(PyExc_RuntimeError, "this %s() has ended: call it again for another", sends(self) ? "send" : "recv");
    return PYGEN_ERROR;
}

/* It is an operation as well, which anybody may have decided, or offered somewhere, before it was awaited; or the cycle
** collector has cleared it. */
static bool is_untouched(kpy_exchange_t *self) {
    return self->face != NULL && kci_claim(&self->base.op) == KC_WAITING && (!sends(self) || waiter(self)->value != NULL);
}

static PySendResult begin(kpy_exchange_t *self, kpy_loop_t *loop, PyObject **result) {
    if (!is_untouched(self))
        return refuse_ended(self);
    if (kpy_enter_face(loops_of(self), self->face, loop) != 0) {
        self->stage = OVER;
        return PYGEN_ERROR;
    }
    if (must_wait(self))
        return park(self, loop, result);
    if (loop->is_cancelling && kpy_is_cancelled(loop, loop->base.running) != 0) {
        self->stage = OVER;
        return PYGEN_ERROR;
    }
    switch (try_now(self)) {
    case 0:
        return spend(self, loop, result);
    case -EAGAIN:
        return park(self, loop, result);
    case -EPIPE:
        return fail_closed(self, loop, result);
    default:
        self->stage = OVER;
        PyErr_NoMemory();
        return PYGEN_ERROR;
    }
}

static PySendResult resume(kpy_exchange_t *self, kpy_loop_t *loop, PyObject **result) {
    kpy_task_t *task = loop->base.running;
    if (self->base.op.task != task)
        return kpy_refuse_await();
    if (!task->interrupted && kci_claim(&self->base.op) == KC_WAITING)
        return kpy_park(loop, task, (PyObject *)self, KPY_WAIT_PLACE, result); /* it was not this that woke the task */
    self->stage = OVER;
    if (kpy_resume(task)) {
        abandon(self);
        return kpy_raise_cancelled(loop);
    }
    if (self->base.op.error != 0) {
        kc_chan_count_failure(self->core->ch, KC_CLOSED);
        PyObject *failure = self->base.error; /* not kept: its traceback may lead back here */
        self->base.error = NULL;
        return raise(self, failure);
    }
    PyObject *value = self->base.op.value;
    self->base.op.value = NULL;
    return over(self, value, result);
}

static void exchange_leave(PyObject *obj);

/* Its task runs, although it waits: another loop steps it, or it awaits a second thing. Whether it may go on. */
static bool may_go_on(kpy_exchange_t *self, kpy_task_t *task) {
    if (self->base.op.task != task || (self->stage != PARKED && self->stage != IN_TURN)) {
        kpy_refuse_await();
        return false;
    }
    if (task->state == KPY_READY) {
        kpy_go_on(task);
        return true;
    }
    exchange_leave((PyObject *)self);
    kpy_refuse_loop();
    return false;
}

static PySendResult exchange_advance(PyObject *obj, PyObject **result) {
    kpy_exchange_t *self = (kpy_exchange_t *)obj;
    kpy_loop_t *loop = kpy_loop_here;
    if ((loop == NULL || loop->base.running == NULL || loop->is_forked) && kpy_loop_current(loop) == NULL)
        return PYGEN_ERROR;
    if (loop->base.running->state != KPY_RUNNING && !may_go_on(self, loop->base.running))
        return PYGEN_ERROR;
    switch (self->stage) {
    case NEW:
        return begin(self, loop, result);
    case PARKED:
        return resume(self, loop, result);
    case IN_TURN:
        return self->base.op.task == loop->base.running ? settle(self, result) : kpy_refuse_await();
    default:
        return refuse_ended(self);
    }
}

/* Something else ends the await: an exception that is thrown in, or the end of its coroutine. */
static void exchange_leave(PyObject *obj) {
    kpy_exchange_t *self = (kpy_exchange_t *)obj;
    kpy_task_t *task = kpy_is_task(self->base.state, self->base.op.task) ? self->base.op.task : NULL;
    enum stage stage = self->stage;
    self->stage = OVER;
    if (stage == IN_TURN && task != NULL)
        kpy_stop_pausing(task);
    if (stage != PARKED)
        return; /* else the collector goes on seeing it: what is thrown in may lead back here */
    kc_op_give_up(&self->base.op);
    abandon(self);
    if (task != NULL)
        kpy_stop_waiting(task, obj);
}

KPY_AWAITABLE(exchange, (loops_of((kpy_exchange_t *)self)))

/* -- the type */

static PyObject *exchange_repr(PyObject *obj) {
    kpy_exchange_t *self = (kpy_exchange_t *)obj;
    return PyUnicode_FromFormat("%s() of %R", sends(self) ? "send" : "recv", self->face);
}

static PyType_Slot slots[] = {
    {Py_tp_doc, "A send or a recv that is awaited on a loop."},
    {Py_tp_dealloc, exchange_dealloc},
    {Py_tp_traverse, exchange_traverse},
    {Py_tp_clear, exchange_clear},
    {Py_tp_repr, exchange_repr},
    KPY_AWAITABLE_SLOTS(exchange),
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "kcoro_native._native.Exchange",
    .basicsize = sizeof(kpy_exchange_t),
    .flags = KPY_TYPE_FLAGS,
    .slots = slots,
};

int kpy_init_exchange(PyObject *module, kpy_state_t *state) {
    state->loops->exchange = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, (PyObject *)state->operation);
    return state->loops->exchange == NULL ? -1 : PyModule_AddType(module, state->loops->exchange);
}
