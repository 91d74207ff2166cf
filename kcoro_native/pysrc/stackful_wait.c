/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* wait(): what `await` is to a coroutine, for stackful functions; see stackful.h. */

#include "stackful.h"

/* Who wakes the task is to know that a function waits in it that runs inline. */
static void tell_task(void) {
    if (kpy_loop_here != NULL && kpy_loop_here->base.running != NULL)
        kpy_loop_here->base.running->is_inline = true;
}

/* Leave the stack until the next step; takes `yielded`. What that step throws, or NULL and *value. */
static PyObject *yield_up(kpy_stackful_t *self, PyObject *awaited, PyObject *yielded, PyObject **value) {
    self->result = yielded;
    self->awaited = awaited;
    if (self->is_inline)
        tell_task();
    kpy_private_switch(&self->stack, NULL);
    PyObject *error = self->thrown;
    self->thrown = self->awaited = NULL;
    *value = self->given;
    self->given = NULL;
    return error;
}

static PyObject *returned_value(PyObject *name_of_value) {
    if (!PyErr_ExceptionMatches(PyExc_StopIteration))
        return NULL;
    PyObject *stop = kpy_take_exception();
    PyObject *value = PyObject_GetAttr(stop, name_of_value);
    Py_DECREF(stop);
    return value;
}

/* The method of that name, or NULL; an exception when looking fails. */
static PyObject *method(PyObject *awaited, PyObject *name) {
    PyObject *found = PyObject_GetAttr(awaited, name);
    if (found == NULL && PyErr_ExceptionMatches(PyExc_AttributeError))
        PyErr_Clear();
    return found;
}

/* What is thrown reaches what it waits in first, as it does at `await`; takes `error`. */
static PySendResult throw_into(struct kpy_loops *loops, PyObject *awaited, PyObject *error, PyObject **result) {
    bool exits = PyErr_GivenExceptionMatches(error, PyExc_GeneratorExit);
    PyObject *way = method(awaited, exits ? loops->str_close : loops->str_throw);
    *result = NULL;
    if (way != NULL && !exits) {
        *result = PyObject_CallOneArg(way, error);
        Py_DECREF(way);
        Py_DECREF(error);
        if (*result != NULL)
            return PYGEN_NEXT;
        *result = returned_value(loops->str_value);
        return *result != NULL ? PYGEN_RETURN : PYGEN_ERROR;
    }
    PyObject *closed = way != NULL ? PyObject_CallNoArgs(way) : NULL;
    Py_XDECREF(way);
    Py_XDECREF(closed);
    if (!PyErr_Occurred())
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
    return PYGEN_ERROR;
}

static PyObject *drive(kpy_stackful_t *self, PyObject *awaited) {
    PyObject *result, *value = NULL;
    PySendResult sent = PyIter_Send(awaited, Py_None, &result);
    while (sent == PYGEN_NEXT) {
        PyObject *error = yield_up(self, awaited, result, &value);
        sent = error == NULL ? PyIter_Send(awaited, value, &result)
                             : throw_into(self->state->loops, awaited, error, &result);
        Py_XDECREF(value);
    }
    return sent == PYGEN_RETURN ? result : NULL;
}

/* A generator that types.coroutine has made one that can be awaited. */
static bool is_old_coroutine(PyObject *generator) {
    PyObject *code = PyObject_GetAttrString(generator, "gi_code");
    bool is = code != NULL && (((PyCodeObject *)code)->co_flags & CO_ITERABLE_COROUTINE) != 0;
    Py_XDECREF(code);
    return is;
}

/* What `await` would step: a coroutine itself, or what __await__ gives. */
static PyObject *stepped_of(PyObject *awaitable) {
    if (PyCoro_CheckExact(awaitable))
        return Py_NewRef(awaitable);
    if (PyGen_CheckExact(awaitable) && is_old_coroutine(awaitable))
        return Py_NewRef(awaitable);
    PyAsyncMethods *async = Py_TYPE(awaitable)->tp_as_async;
    if (async == NULL || async->am_await == NULL)
        return PyErr_Format(PyExc_TypeError, "wait() needs something that can be awaited, not %R", awaitable);
    PyObject *stepped = async->am_await(awaitable);
    if (stepped == NULL || PyIter_Check(stepped) || PyCoro_CheckExact(stepped))
        return stepped;
    PyErr_Format(PyExc_TypeError, "__await__ of %R returned %R, which is no iterator", awaitable, stepped);
    Py_DECREF(stepped);
    return NULL;
}

/* 0, or -1 and an exception. */
static int may_wait(const kpy_stackful_t *self) {
    if (self != NULL)
        return kpy_private_may_leave(&self->stack, self->state->loops->str_del);
    PyErr_SetString(PyExc_RuntimeError, "wait() needs a stack that can be left: call it from a function that was "
                                        "started as stackful(fn)(...); in an async function write await");
    return -1;
}

/* It would complain that it was never awaited, which is not the mistake. */
static PyObject *give_up(PyObject *awaitable) {
    PyObject *error = kpy_take_exception();
    PyObject *way = PyObject_GetAttrString(awaitable, "close");
    PyObject *closed = way == NULL ? NULL : PyObject_CallNoArgs(way);
    Py_XDECREF(way);
    Py_XDECREF(closed);
    kpy_raise(error);
    return NULL;
}

PyObject *kpy_wait(PyObject *Py_UNUSED(module), PyObject *awaitable) {
    kpy_stackful_t *self = kpy_stackful_here;
    if (may_wait(self) != 0)
        return give_up(awaitable);
    PyObject *stepped = stepped_of(awaitable);
    PyObject *result = stepped == NULL ? NULL : drive(self, stepped);
    Py_XDECREF(stepped);
    return result;
}
