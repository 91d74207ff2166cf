/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** What makes an object of C awaitable at the price of one call for each step.
**
** A kind of awaitable has one function, advance(self, &result), which answers as am_send does: PYGEN_NEXT after it has
** said what its task waits for, PYGEN_RETURN with a value, or PYGEN_ERROR. KPY_AWAITABLE(name) makes of name_advance
** and name_leave, which forgets a wait that something else has ended, the slots and methods that Python looks for.
**
** `await` in CPython 3.12 and later calls tp_iternext and no other slot, for anything but coroutines. It takes NULL
** without an exception as None; other values need a StopIteration, which kpy_result keeps to use again.
*/
#ifndef KPY_LOOP_AWAIT_H
#define KPY_LOOP_AWAIT_H

#include "loop.h"

PyObject *kpy_await_throw(PyObject *const *args, Py_ssize_t count); /* raises what throw() was given: NULL */
PyObject *kpy_await_sent(struct kpy_loops *loops, PySendResult sent, PyObject *result);

int kpy_is_over(void); /* raises that a wait was awaited once more: -1 */

/* The end of an await without a value. */
static inline PySendResult kpy_done(PyObject **result) {
    *result = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

/* How a step of an await ends for tp_iternext. */
static inline PyObject *kpy_next_of(struct kpy_loops *loops, PySendResult sent, PyObject *result) {
    if (sent != PYGEN_RETURN)
        return result;
    if (result != Py_None)
        return kpy_result(loops, result);
    Py_DECREF(result);
    return NULL;
}

#define KPY_AWAITABLE(name, loops)                                                                                     \
    static PyObject *name##_next(PyObject *self) {                                                                     \
        PyObject *result = NULL;                                                                                       \
        PySendResult sent = name##_advance(self, &result);                                                             \
        return kpy_next_of(loops, sent, result);                                                                       \
    }                                                                                                                  \
    static PySendResult name##_send(PyObject *self, PyObject *Py_UNUSED(value), PyObject **result) {                   \
        *result = NULL;                                                                                                \
        return name##_advance(self, result);                                                                           \
    }                                                                                                                  \
    static PyObject *name##_send_method(PyObject *self, PyObject *Py_UNUSED(value)) {                                  \
        PyObject *result = NULL;                                                                                       \
        PySendResult sent = name##_advance(self, &result);                                                             \
        return kpy_await_sent(loops, sent, result);                                                                    \
    }                                                                                                                  \
    static PyObject *name##_throw(PyObject *self, PyObject *const *args, Py_ssize_t count) {                           \
        name##_leave(self);                                                                                            \
        return kpy_await_throw(args, count);                                                                           \
    }                                                                                                                  \
    static PyObject *name##_close(PyObject *self, PyObject *Py_UNUSED(ignored)) {                                      \
        name##_leave(self);                                                                                            \
        Py_RETURN_NONE;                                                                                                \
    }                                                                                                                  \
    static PyMethodDef name##_methods[] = {                                                                            \
        {"send", name##_send_method, METH_O, "As for coroutines."},                                                    \
        {"throw", (PyCFunction)(void (*)(void))name##_throw, METH_FASTCALL, "As for coroutines."},                     \
        {"close", name##_close, METH_NOARGS, "As for coroutines."},                                                    \
        {NULL, NULL, 0, NULL},                                                                                         \
    };

/* The slots of such a kind, for its list of slots. */
#define KPY_AWAITABLE_SLOTS(name)                                                                                      \
    {Py_am_await, kpy_await}, {Py_am_send, name##_send}, {Py_tp_iter, kpy_await}, {Py_tp_iternext, name##_next},       \
        {Py_tp_methods, name##_methods}

#endif
