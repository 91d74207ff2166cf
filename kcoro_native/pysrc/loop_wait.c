/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** What a task of a loop can wait in: an operation, and the end of its children; see loop.h and loop_await.h. First what
** all waits share.
*/

#include "loop_await.h"

#include <stddef.h>

/* -- what all of them share */

PyObject *kpy_await(PyObject *self) {
    return Py_NewRef(self);
}

PyObject *kpy_result(struct kpy_loops *loops, PyObject *value) {
    PyObject *stop = loops->stop;
    if (stop == NULL || Py_REFCNT(stop) != 1) {
        stop = PyObject_CallNoArgs(PyExc_StopIteration);
        if (stop == NULL) {
            Py_DECREF(value);
            return NULL;
        }
        Py_XSETREF(loops->stop, stop);
    }
    Py_XSETREF(((PyStopIterationObject *)stop)->value, value);
    kpy_raise(Py_NewRef(stop));
    return NULL;
}

PyObject *kpy_await_sent(struct kpy_loops *loops, PySendResult sent, PyObject *result) {
    if (sent == PYGEN_RETURN && result == Py_None) {
        Py_DECREF(result);
        PyErr_SetNone(PyExc_StopIteration);
        return NULL;
    }
    return kpy_next_of(loops, sent, result);
}

PyObject *kpy_await_throw(PyObject *const *args, Py_ssize_t count) {
    PyObject *error = count == 0 ? NULL : args[0];
    if (error != NULL && PyExceptionInstance_Check(error))
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    else if (error != NULL && PyExceptionClass_Check(error))
        PyErr_SetObject(error, count > 1 ? args[1] : NULL);
    else
        PyErr_SetString(PyExc_TypeError, "throw() takes an exception");
    return NULL;
}

void kpy_never_awaited(PyObject *self) {
    PyObject *error = kpy_take_exception(), *text = PyObject_Repr(self);
    if (text == NULL ||
        PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "%U was never awaited: it has done nothing", text) != 0)
        PyErr_WriteUnraisable(text);
    Py_XDECREF(text);
    kpy_raise(error);
}

PySendResult kpy_raise_cancelled(kpy_loop_t *self) {
    PyObject *error = PyObject_CallNoArgs(self->base.state->loops->cancelled);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return PYGEN_ERROR;
}

PySendResult kpy_pause(kpy_loop_t *self, kpy_task_t *task, PyObject **result) {
    self->credit = self->quantum;
    kpy_enqueue(task);
    task->injected = false;
    *result = Py_NewRef(Py_None);
    return PYGEN_NEXT;
}

PySendResult kpy_park(kpy_loop_t *self, kpy_task_t *task, PyObject *wait, enum kpy_wait kind, PyObject **result) {
    self->credit = self->quantum;
    self->base.parks++;
    task->state = KPY_PARKED;
    task->wait_kind = (uint8_t)kind;
    *result = Py_NewRef(Py_None);
    Py_XSETREF(task->wait, Py_NewRef(wait));
    return PYGEN_NEXT;
}

/* Who is told that an operation of this extension was decided: the task that is parked in it, if it still is. */
void kpy_wake_waiting(kpy_operation_t *operation) {
    kpy_task_t *task = operation->op.task;
    if (!kpy_is_task(operation->state, (PyObject *)task) || task->state != KPY_PARKED ||
        task->wait != (PyObject *)operation)
        return;
    kpy_enqueue_woken(task);
}

bool kpy_resume(kpy_task_t *task) {
    bool was = task->interrupted;
    task->interrupted = false;
    task->wait_kind = KPY_NO_WAIT;
    Py_CLEAR(task->wait);
    return was;
}

void kpy_stop_waiting(kpy_task_t *task, PyObject *wait) {
    if (task->wait != wait || task->state == KPY_FINISHED)
        return;
    Py_INCREF(task);
    if (task->owner->running == task)
        kpy_go_on(task);
    else if (task->state == KPY_PARKED)
        kpy_enqueue(task); /* it finds its coroutine elsewhere, or at its end */
    kpy_resume(task);
    Py_DECREF(task);
}

void kpy_stop_pausing(kpy_task_t *task) {
    if (task->owner->running == task && task->state == KPY_READY)
        kpy_go_on(task);
}

PySendResult kpy_refuse_await(void) {
    PyErr_SetString(PyExc_RuntimeError,
                    "this is being awaited already: one call is awaited once, by one task, which waits in one thing");
    return PYGEN_ERROR;
}

int kpy_is_cancelled(kpy_loop_t *self, kpy_task_t *task) {
    if (self->is_forked)
        return kpy_check_fork(self);
    if (self->interrupt != NULL && (PyObject *)task == self->main) {
        PyObject *error = self->interrupt;
        self->interrupt = NULL;
        kpy_raise(error);
        return 1;
    }
    if (!kpy_in_force(task->scope))
        return 0;
    kpy_raise_cancelled(self);
    return 1;
}

PySendResult kpy_refuse_loop(void) {
    PyErr_SetString(PyExc_RuntimeError,
                    "this is being awaited already, and whoever steps it did not wait: no other loop can run inside a "
                    "task of the native host and await kcoro's operations; give it a thread of its own (to_thread)");
    return PYGEN_ERROR;
}

/* -- cancelling who waits */

static int ask(kpy_task_t *task) {
    switch (task->wait_kind) {
    case KPY_WAIT_PLACE:
        return kc_op_give_up(&((kpy_operation_t *)task->wait)->op);
    case KPY_WAIT_TIMER:
        return 1;
    case KPY_WAIT_OBJECT: {
        PyObject *answer = PyObject_CallMethodNoArgs(task->wait, task->owner->state->loops->str_give_up);
        int given_up = answer == NULL ? -1 : PyObject_IsTrue(answer);
        Py_XDECREF(answer);
        return given_up;
    }
    default:
        return 0;
    }
}

int kpy_interrupt(kpy_task_t *task) {
    if (task->state != KPY_PARKED || task->interrupted || task->wait_kind == KPY_NO_WAIT)
        return 0;
    int given_up = ask(task);
    if (given_up <= 0 || task->state != KPY_PARKED)
        return given_up < 0 ? -1 : 0;
    task->interrupted = true;
    kpy_enqueue_woken(task);
    return 0;
}

/* -- waits that have a state: of any operation, and of what nobody can cancel */

typedef struct kpy_wait_on {
    PyObject_HEAD
    kpy_loop_t *loop;  /* a reference */
    PyObject *subject; /* the operation, or what tells why */
    kpy_task_t *task;  /* who is parked in it; NULL before and after */
    bool is_over;
} kpy_wait_on_t;

#define WAIT_LOOPS (((kpy_wait_on_t *)self)->loop->base.state->loops)

static PyObject *make_wait(kpy_loop_t *loop, PyTypeObject *type, PyObject *subject) {
    kpy_wait_on_t *self = (kpy_wait_on_t *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->loop = (kpy_loop_t *)Py_NewRef(loop);
    self->subject = Py_NewRef(subject);
    return (PyObject *)self;
}

PyObject *kpy_wait_park(kpy_loop_t *self, PyObject *op) {
    return make_wait(self, self->base.state->loops->park, op);
}

PyObject *kpy_wait_block(kpy_loop_t *self, PyObject *why) {
    return make_wait(self, self->base.state->loops->block, why);
}

int kpy_is_over(void) {
    PyErr_SetString(PyExc_RuntimeError, "this wait is over: what one call gave is awaited once");
    return -1;
}

static void park_leave(PyObject *obj) {
    kpy_wait_on_t *self = (kpy_wait_on_t *)obj;
    self->is_over = true;
    if (self->task != NULL)
        kpy_stop_waiting(self->task, self->subject);
    Py_CLEAR(self->task);
}

bool kpy_may_step(kpy_task_t *waiting, kpy_task_t *task) {
    if (task->state == KPY_RUNNING && (waiting == NULL || waiting == task))
        return true;
    if (task->state == KPY_READY && waiting == task) {
        kpy_go_on(task); /* what it waited for has come, and another loop steps it before ours does */
        return true;
    }
    if (waiting == task)
        kpy_refuse_loop();
    else
        kpy_refuse_await();
    return false;
}

static int begin_park(kpy_wait_on_t *self, kpy_task_t *task, enum kpy_wait *kind) {
    struct kpy_loops *loops = self->loop->base.state->loops;
    PyTypeObject *operation = self->loop->base.state->operation;
    PyObject *early = PyObject_GetAttr(self->subject, loops->str_task);
    Py_XDECREF(early);
    if (early == NULL)
        return -1;
    if (early == (PyObject *)self->loop)
        return 1; /* unparked before it was parked */
    bool is_task = kpy_is_task(self->loop->base.state, early) && ((kpy_task_t *)early)->state != KPY_FINISHED;
    if (is_task && ((kpy_task_t *)early)->wait == self->subject) {
        kpy_refuse_await();
        return -1;
    }
    *kind = KPY_WAIT_OBJECT;
    if (operation != NULL && PyObject_TypeCheck(self->subject, operation)) {
        kpy_operation_t *op = (kpy_operation_t *)self->subject;
        *kind = KPY_WAIT_PLACE;
        if (op->parker == (PyObject *)self->loop)
            op->wake = kpy_wake_waiting; /* as its unpark, without a call of Python */
    }
    return PyObject_SetAttr(self->subject, loops->str_task, (PyObject *)task);
}

/* Whether the wait ends before it begins, because its scope is cancelled: 1 and an exception, 0, or -1. */
static int cut_short(kpy_wait_on_t *self, kpy_task_t *task) {
    struct kpy_loops *loops = self->loop->base.state->loops;
    if (!self->loop->is_cancelling || !kpy_in_force(task->scope))
        return 0;
    PyObject *answer = PyObject_CallMethodNoArgs(self->subject, loops->str_give_up);
    int given_up = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    if (given_up > 0)
        kpy_raise_cancelled(self->loop);
    return given_up;
}

static PySendResult park_advance(PyObject *obj, PyObject **result) {
    kpy_wait_on_t *self = (kpy_wait_on_t *)obj;
    kpy_task_t *task = kpy_loop_current(self->loop);
    enum kpy_wait kind = KPY_WAIT_OBJECT;
    if (task == NULL || (self->is_over && kpy_is_over() != 0))
        return PYGEN_ERROR;
    if (!kpy_may_step(self->task, task)) {
        if (self->task == task)
            park_leave(obj);
        return PYGEN_ERROR;
    }
    if (self->task != NULL) {
        bool cancelled = kpy_resume(task);
        self->is_over = true;
        Py_CLEAR(self->task);
        return cancelled ? kpy_raise_cancelled(self->loop) : kpy_done(result);
    }
    self->loop->credit = self->loop->quantum;
    int early = begin_park(self, task, &kind);
    if (early == 1) {
        self->is_over = true;
        return kpy_done(result);
    }
    if (early < 0 || cut_short(self, task) != 0) {
        self->is_over = true;
        return PYGEN_ERROR;
    }
    self->task = (kpy_task_t *)Py_NewRef(task);
    return kpy_park(self->loop, task, self->subject, kind, result);
}

#define block_leave park_leave

static PySendResult block_advance(PyObject *obj, PyObject **result) {
    kpy_wait_on_t *self = (kpy_wait_on_t *)obj;
    kpy_task_t *task = kpy_loop_current(self->loop);
    if (task == NULL || (self->is_over && kpy_is_over() != 0))
        return PYGEN_ERROR;
    if (!kpy_may_step(self->task, task)) {
        if (self->task == task)
            block_leave(obj);
        return PYGEN_ERROR;
    }
    if (self->task != NULL) {
        block_leave(obj);
        return kpy_done(result);
    }
    if (!task->permit) {
        self->task = (kpy_task_t *)Py_NewRef(task);
        return kpy_park(self->loop, task, self->subject, KPY_NO_WAIT, result);
    }
    task->permit = false; /* woken before it was blocked */
    self->is_over = true;
    return kpy_done(result);
}

KPY_AWAITABLE(park, WAIT_LOOPS)
KPY_AWAITABLE(block, WAIT_LOOPS)

static int wait_traverse(PyObject *obj, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(obj));
    Py_VISIT(((kpy_wait_on_t *)obj)->loop);
    Py_VISIT(((kpy_wait_on_t *)obj)->subject);
    Py_VISIT(((kpy_wait_on_t *)obj)->task);
    return 0;
}

static int wait_clear(PyObject *obj) {
    Py_CLEAR(((kpy_wait_on_t *)obj)->subject);
    Py_CLEAR(((kpy_wait_on_t *)obj)->task);
    return 0;
}

static void wait_dealloc(PyObject *obj) {
    PyTypeObject *type = Py_TYPE(obj);
    PyObject_GC_UnTrack(obj);
    wait_clear(obj);
    Py_CLEAR(((kpy_wait_on_t *)obj)->loop);
    type->tp_free(obj);
    Py_DECREF(type);
}

static PyType_Slot park_slots[] = {
    {Py_tp_doc, "Awaited, waits until an operation is claimed."},
    {Py_tp_dealloc, wait_dealloc},
    {Py_tp_traverse, wait_traverse},
    {Py_tp_clear, wait_clear},
    KPY_AWAITABLE_SLOTS(park),
    {0, NULL},
};

static PyType_Slot block_slots[] = {
    {Py_tp_doc, "Awaited, waits until its task is woken, whatever is cancelled."},
    {Py_tp_dealloc, wait_dealloc},
    {Py_tp_traverse, wait_traverse},
    {Py_tp_clear, wait_clear},
    KPY_AWAITABLE_SLOTS(block),
    {0, NULL},
};

/* -- the types */

#define PLAIN (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION)
#define IN_CYCLES (PLAIN | Py_TPFLAGS_HAVE_GC)

static PyType_Spec park_spec = {"kcoro_native._native.Park", sizeof(kpy_wait_on_t), 0, IN_CYCLES, park_slots};
static PyType_Spec block_spec = {"kcoro_native._native.Block", sizeof(kpy_wait_on_t), 0, IN_CYCLES, block_slots};

int kpy_init_wait(PyObject *module, kpy_state_t *state) {
    struct kpy_loops *loops = state->loops;
    struct {
        PyTypeObject **type;
        PyType_Spec *spec;
    } all[] = {
        {&loops->park, &park_spec},
        {&loops->block, &block_spec},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if ((*all[i].type = (PyTypeObject *)PyType_FromModuleAndSpec(module, all[i].spec, NULL)) == NULL)
            return -1;
    return 0;
}
