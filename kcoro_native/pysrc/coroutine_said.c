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

/* -- arguments */

static int refuse_call(const kpy_takes_t *takes) {
    const char *second = takes->most > 1 ? ", " : "";
    PyErr_Format(PyExc_TypeError, "%s() takes %s%s%s, by place or by name, and nothing else", takes->verb,
                 takes->names[0], second, takes->most > 1 ? takes->names[1] : "");
    return -1;
}

static Py_ssize_t place_of(const kpy_takes_t *takes, PyObject *name) {
    for (Py_ssize_t i = 0; i < takes->most; i++)
        if (PyUnicode_CompareWithASCIIString(name, takes->names[i]) == 0)
            return i;
    return takes->most;
}

int kpy_sort(const kpy_takes_t *takes, PyObject *const *args, Py_ssize_t count, PyObject *names, PyObject **found) {
    Py_ssize_t named = names != NULL ? PyTuple_GET_SIZE(names) : 0;
    if (count > takes->most)
        return refuse_call(takes);
    for (Py_ssize_t i = 0; i < count; i++)
        found[i] = args[i];
    for (Py_ssize_t i = 0; i < named; i++) {
        Py_ssize_t place = place_of(takes, PyTuple_GET_ITEM(names, i));
        if (place == takes->most || found[place] != NULL)
            return refuse_call(takes);
        found[place] = args[count + i];
    }
    return takes->least != 0 && found[0] == NULL ? refuse_call(takes) : 0;
}
