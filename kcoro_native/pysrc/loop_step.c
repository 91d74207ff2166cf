/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* One step of one task: into its coroutine, out of it, and what it asked for by what it yielded; see loop.h. */

#include "kcoro/scheduler.h"
#include "loop.h"

/* How often a coroutine is closed that waits while it is being closed. */
#define MOST_CLOSES 16

/* However a park ends, it is counted: by a wake, a cancellation, an interrupt, or an end of the coroutine elsewhere. */
static void end_park(kpy_task_t *task) {
    if (task->state == KPY_PARKED)
        task->owner->unparks++;
}

static void make_ready(kpy_task_t *task) {
    end_park(task);
    task->state = KPY_READY;
    task->injected = task->owner->running == NULL;
}

void kpy_enqueue(kpy_task_t *task) {
    make_ready(task);
    kpy_queue_push(&task->owner->queue, task);
}

/* -- inline or by the queue, as in worker.c of libkcoro: the slot is taken when a step is over, and none is nested */

static void leave_slot(kpy_scheduler_t *self) {
    if (self->slot != NULL)
        kpy_queue_push(&self->queue, kpy_queue_take(&self->queue, 0));
    self->slot = NULL;
}

void kpy_enqueue_woken(kpy_task_t *task) {
    kpy_scheduler_t *self = task->owner;
    if (!task->is_inline || self->running == NULL) {
        kpy_enqueue(task);
        return;
    }
    make_ready(task);
    leave_slot(self);
    kpy_queue_push_first(&self->queue, task);
    self->slot = task;
}

kpy_task_t *kpy_take_slot(kpy_scheduler_t *self) {
    if (self->slot != NULL && self->in_a_row < KC_SCHED_INLINE_MAX) {
        self->in_a_row++;
        self->slot = NULL;
        return kpy_queue_take(&self->queue, 0);
    }
    leave_slot(self);
    self->in_a_row = 0;
    return NULL;
}

void kpy_dequeue(kpy_task_t *task) {
    if (task->owner->slot == task)
        task->owner->slot = NULL;
    kpy_queue_remove(&task->owner->queue, task);
}

void kpy_empty_queue(kpy_scheduler_t *self) {
    self->queue.length = 0;
    self->slot = NULL;
}

/* -- who may go on */

void kpy_ready(kpy_task_t *task) {
    if (task->state == KPY_PARKED)
        kpy_enqueue_woken(task);
    else if (task->state == KPY_RUNNING)
        task->permit = true;
}

void kpy_wake_task(kpy_task_t *task) {
    if (task->state != KPY_PARKED || task->wait_kind == KPY_NO_WAIT)
        kpy_ready(task);
}

void kpy_go_on(kpy_task_t *task) {
    if (task->state == KPY_READY)
        kpy_dequeue(task);
    end_park(task);
    task->state = KPY_RUNNING;
}

/* What the StopIteration that is being raised carries; NULL and the exception when it is another one. */
static PyObject *returned_value(kpy_scheduler_t *self) {
    if (!PyErr_ExceptionMatches(PyExc_StopIteration))
        return NULL;
    PyObject *stop = kpy_take_exception();
    PyObject *value = PyObject_GetAttr(stop, self->state->loops->str_value);
    Py_DECREF(stop);
    return value;
}

static PySendResult throw_in(kpy_scheduler_t *self, kpy_task_t *task, PyObject **result) {
    PyObject *error = task->thrown;
    task->thrown = NULL;
    *result = PyObject_CallMethodOneArg(task->coro, self->state->loops->str_throw, error);
    Py_DECREF(error);
    if (*result != NULL)
        return PYGEN_NEXT;
    *result = returned_value(self);
    return *result != NULL ? PYGEN_RETURN : PYGEN_ERROR;
}

static PySendResult advance(kpy_scheduler_t *self, kpy_task_t *task, PyObject **result) {
    PySendResult sent = PYGEN_ERROR;
    if (PyContext_Enter(task->context) != 0)
        return PYGEN_ERROR;
    if (task->thrown == NULL)
        sent = PyIter_Send(task->coro, Py_None, result);
    else
        sent = throw_in(self, task, result);
    if (PyContext_Exit(task->context) != 0 && sent != PYGEN_ERROR) {
        Py_CLEAR(*result);
        sent = PYGEN_ERROR;
    }
    return sent;
}

/* -- the end of a task */

static int keep(kpy_scheduler_t *self, kpy_task_t *task, PyObject *result, PyObject *error) {
    int rc = 0;
    if (error != NULL) {
        PyObject *id = PyLong_FromUnsignedLongLong(task->id);
        rc = id == NULL ? -1 : PyDict_SetItem(self->failed, id, (PyObject *)task);
        Py_XDECREF(id);
    }
    kpy_task_end(task, result, error);
    return rc;
}

static int tell(kpy_scheduler_t *self, kpy_task_t *task, PyObject *result, PyObject *error) {
    PyObject *done = task->done, *handle = task->handle, *answer = NULL;
    int rc = -1;
    task->done = task->handle = NULL;
    kpy_task_end(task, NULL, NULL);
    if (handle != NULL)
        rc = kpy_launched_ended(done, handle, result, error);
    else if (PyObject_TypeCheck(done, self->state->loops->nursery))
        rc = kpy_child_ended((kpy_nursery_t *)done, error);
    else {
        answer = PyObject_CallFunctionObjArgs(done, result != NULL ? result : Py_None,
                                              error != NULL ? error : Py_None, NULL);
        rc = answer == NULL ? -1 : 0;
    }
    Py_XDECREF(answer);
    Py_XDECREF(handle);
    Py_DECREF(done);
    Py_XDECREF(result);
    Py_XDECREF(error);
    return rc;
}

static bool is_interrupt(PyObject *error) {
    return PyErr_GivenExceptionMatches(error, PyExc_KeyboardInterrupt) ||
           PyErr_GivenExceptionMatches(error, PyExc_SystemExit);
}

/* The task is over; `result` or `error` is given up to here. */
static int finish(kpy_scheduler_t *self, kpy_task_t *task, PyObject *result, PyObject *error) {
    if (task->state != KPY_RUNNING)
        kpy_go_on(task);
    if (task->done != NULL)
        return tell(self, task, result, error);
    if (error == NULL || !is_interrupt(error))
        return keep(self, task, result, error);
    kpy_task_end(task, NULL, Py_NewRef(error)); /* it leaves at once, and needs nobody to take it */
    kpy_raise(error);
    return -1;
}

/* -- what it asked for */

static int refuse(kpy_task_t *task, PyObject *trap) {
    PyObject *text = PyUnicode_FromFormat(
        "the coroutine awaited something of another loop (%R); inside this one only kcoro's own operations can wait: "
        "use those in place of asyncio's or trio's, or start the program with run(main, host=...) on that loop",
        trap);
    if (text != NULL) {
        task->thrown = PyObject_CallOneArg(PyExc_TypeError, text);
        Py_DECREF(text);
    }
    if (task->thrown == NULL)
        return -1;
    kpy_enqueue(task);
    return 0;
}

static int obey(kpy_scheduler_t *self, kpy_task_t *task, PyObject *trap) {
    kpy_go_on(task); /* a wait that it has not yielded for counts no more */
    kpy_resume(task);
    if (trap == Py_None) {
        kpy_enqueue(task);
        return 0;
    }
    if (trap != self->state->loops->park_trap)
        return refuse(task, trap);
    self->parks++;
    if (!task->permit) {
        task->state = KPY_PARKED;
        return 0;
    }
    task->permit = false;
    self->unparks++;
    kpy_enqueue(task);
    return 0;
}

/* The last result of an await goes through an exception that is used again; it is not kept alive for that. */
static void forget_result(struct kpy_loops *loops) {
    PyStopIterationObject *stop = (PyStopIterationObject *)loops->stop;
    if (stop != NULL && stop->value != NULL && Py_REFCNT(stop) == 1)
        Py_CLEAR(stop->value);
}

/* Never NULL: CPython 3.12 loses the exception when it has no memory for the frame object that this goes through. */
static PyObject *raised_by_step(void) {
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_SystemError, "a step of a task failed, and what it raised is not known");
    return kpy_take_exception();
}

int kpy_step(kpy_scheduler_t *self, kpy_task_t *task) {
    PyObject *result = NULL;
    int rc = 0;
    self->steps++;
    task->state = KPY_RUNNING;
    task->is_inline = false;
    self->running = task;
    Py_INCREF(task);
    PySendResult sent = advance(self, task, &result);
    forget_result(self->state->loops);
    if (sent == PYGEN_NEXT) {
        if (task->state == KPY_RUNNING || result != Py_None)
            rc = obey(self, task, result);
        Py_DECREF(result);
    }
    else
        rc = finish(self, task, result, sent == PYGEN_ERROR ? raised_by_step() : NULL);
    self->running = NULL;
    Py_DECREF(task);
    return rc;
}

/* Throw GeneratorExit in. A block that waits while it is left takes several; the first complaint is kept. */
static PyObject *close_coroutine(kpy_scheduler_t *self, kpy_task_t *task) {
    PyObject *error = NULL;
    for (int i = 0; i < MOST_CLOSES; i++) {
        PyObject *answer = PyObject_CallMethodNoArgs(task->coro, self->state->loops->str_close);
        PyObject *raised = answer == NULL ? kpy_take_exception() : NULL;
        bool again = raised != NULL && PyErr_GivenExceptionMatches(raised, PyExc_RuntimeError);
        Py_XDECREF(answer);
        if (error == NULL)
            error = Py_XNewRef(raised);
        Py_XDECREF(raised);
        if (!again)
            break;
    }
    return error;
}

int kpy_close_task(kpy_task_t *task) {
    kpy_scheduler_t *self = task->owner;
    PyObject *error;
    Py_INCREF(task);
    Py_CLEAR(task->done); /* nobody waits for it any more */
    Py_CLEAR(task->handle);
    task->state = KPY_RUNNING;
    self->running = task;
    if (PyContext_Enter(task->context) == 0) {
        error = close_coroutine(self, task);
        if (PyContext_Exit(task->context) != 0)
            PyErr_Clear();
    }
    else
        error = kpy_take_exception();
    self->running = NULL;
    kpy_dequeue(task);
    int rc = keep(self, task, NULL, error);
    Py_DECREF(task);
    return rc;
}
