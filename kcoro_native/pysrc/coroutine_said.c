/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What is refused to coroutines, in the words of core, so that all engines say it alike; see coroutine.h. */

#include "coroutine.h"

static PyObject *from(const char *module_name, const char *name) {
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *found = module == NULL ? NULL : PyObject_GetAttrString(module, name);
    Py_XDECREF(module);
    return found;
}

/* Raise an instance that some call gave, or leave the exception of that call. */
static int raise_it(PyObject *error) {
    if (error != NULL)
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(error);
    return -1;
}

int kpy_coroutine_say(const char *function, kpy_coroutine_t *co) {
    PyObject *says = from("kcoro_core.refusals", function);
    PyObject *error = says == NULL ? NULL : PyObject_CallOneArg(says, (PyObject *)co);
    Py_XDECREF(says);
    return raise_it(error);
}

PyObject *kpy_coroutine_state(kpy_coroutine_t *co) {
    PyObject *states = from("kcoro_core.semantics", "CoroutineState");
    PyObject *state = states == NULL ? NULL : PyObject_CallFunction(states, "i", (int)co->moved);
    Py_XDECREF(states);
    return state;
}

int kpy_coroutine_refuse(const char *verb, kpy_coroutine_t *co) {
    PyObject *state = kpy_coroutine_state(co);
    PyObject *says = state == NULL ? NULL : from("kcoro_core.refusals", "refusal");
    PyObject *error = says == NULL ? NULL : PyObject_CallFunction(says, "sOO", verb, co, state);
    Py_XDECREF(says);
    Py_XDECREF(state);
    return raise_it(error);
}

int kpy_coroutine_outside(const char *verb) {
    PyObject *says = from("kcoro_core.refusals", "outside");
    PyObject *error = says == NULL ? NULL : PyObject_CallFunction(says, "s", verb);
    Py_XDECREF(says);
    return raise_it(error);
}

PyObject *kpy_coroutine_exit_class(void) {
    return from("kcoro_core.errors", "CoroutineExit");
}
