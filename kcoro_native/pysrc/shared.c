/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What the engine takes from kcoro_core, and what it does with it: both engines answer with the same objects. */

#include "module.h"

static PyObject *attribute(const char *module, const char *name) {
    PyObject *found = NULL, *imported = PyImport_ImportModule(module);
    if (imported != NULL)
        found = PyObject_GetAttrString(imported, name);
    Py_XDECREF(imported);
    return found;
}

/* The members of an enumeration, in the order of their numbers in kcoro/semantics.h. */
static PyObject *members(const char *name) {
    PyObject *all = NULL, *enumeration = attribute("kcoro_core.semantics", name);
    if (enumeration != NULL)
        all = PySequence_Tuple(enumeration);
    Py_XDECREF(enumeration);
    return all;
}

int kpy_share(kpy_state_t *state) {
    return ((state->ok = attribute("kcoro_core.engine", "OK")) != NULL &&
            (state->would_block = attribute("kcoro_core.engine", "WOULD_BLOCK")) != NULL &&
            (state->closed = attribute("kcoro_core.engine", "CLOSED")) != NULL &&
            (state->snapshot = attribute("kcoro_core.engine", "ChannelSnapshot")) != NULL &&
            (state->nobody = attribute("kcoro_core.reference.waiter", "NOBODY")) != NULL &&
            (state->channel_closed = attribute("kcoro_core.errors", "ChannelClosed")) != NULL &&
            (state->report_unraisable = attribute("kcoro_core.unraisable", "report_unraisable")) != NULL &&
            (state->kinds = members("Kind")) != NULL && (state->overflows = members("Overflow")) != NULL &&
            (state->undelivered = members("Undelivered")) != NULL &&
            (state->closed_rules = members("ClosedRule")) != NULL &&
            (state->unpark = PyUnicode_InternFromString("unpark")) != NULL &&
            (state->recall = PyUnicode_InternFromString("recall")) != NULL &&
            (state->ask = PyUnicode_InternFromString("ask")) != NULL &&
            (state->freed = PyUnicode_InternFromString("freed")) != NULL &&
            (state->arrived = PyUnicode_InternFromString("arrived")) != NULL &&
            (state->drained = PyUnicode_InternFromString("drained")) != NULL)
               ? 0
               : -1;
}

int kpy_number(PyObject *members, PyObject *member, const char *what) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(members); i++)
        if (PyTuple_GET_ITEM(members, i) == member)
            return (int)i;
    PyErr_Format(PyExc_TypeError, "%s is one of %R, not %R", what, members, member);
    return -1;
}

void kpy_report(kpy_state_t *state, PyObject *while_doing) {
    PyObject *error = kpy_take_exception();
    PyObject *answer = NULL;
    if (while_doing != NULL)
        answer = PyObject_CallFunctionObjArgs(state->report_unraisable, error, while_doing, NULL);
    if (answer == NULL) { /* no memory, or a hook of sys.unraisablehook that is broken itself */
        PyErr_Clear();
        kpy_raise(Py_XNewRef(error));
        PyErr_WriteUnraisable(state->report_unraisable);
    }
    Py_XDECREF(answer);
    Py_XDECREF(error);
}

/* Neither does it swallow Ctrl-C, nor the value of whoever is under way. */
void kpy_report_call(kpy_state_t *state, PyObject *method, PyObject *whom) {
    if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        PyErr_Clear();
        PyErr_SetInterrupt(); /* it comes again as soon as the call of the channel has returned */
        return;
    }
    PyObject *error = kpy_take_exception();
    PyObject *doing = PyUnicode_FromFormat("%U() of %R", method, whom);
    PyErr_Clear();
    kpy_raise(error);
    kpy_report(state, doing);
    Py_XDECREF(doing);
}

PyObject *kpy_count(size_t count) {
    return count == SIZE_MAX ? PyFloat_FromDouble(Py_HUGE_VAL) : PyLong_FromSize_t(count);
}

PyObject *kpy_closed_error(kpy_state_t *state, const char *text, PyObject *reason) {
    PyObject *error = NULL, *arguments = NULL, *named = NULL;
    if (reason == NULL)
        reason = Py_None;
    PyObject *message = reason == Py_None ? PyUnicode_FromString(text) : PyUnicode_FromFormat("%s: %R", text, reason);
    if (message != NULL && (arguments = PyTuple_Pack(1, message)) != NULL &&
        (named = Py_BuildValue("{s:O}", "reason", reason)) != NULL)
        error = PyObject_Call(state->channel_closed, arguments, named);
    Py_XDECREF(message);
    Py_XDECREF(arguments);
    Py_XDECREF(named);
    return error != NULL ? error : kpy_take_exception();
}
