/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** How deep a call of C is where functions of Python alone lie below it; see kpy_private_may_leave in private_stack.h.
**
** Where the interpreter counts no calls of C, the bytes between the base of a stack and the call that asks say whether
** C has called Python in between: functions of Python that call each other share one frame of C, the loop that runs
** them, and it is large. How large differs from build to build; so it is measured, once.
*/

#include "private_stack.h"

#if KPY_HAS_BOUNDS

/* The most bytes that lie below a call of C while no second loop runs. */
static size_t most_when_flat;

static const char *here(void) {
#if defined(__GNUC__)
    return __builtin_frame_address(0); /* an address sanitizer may keep variables elsewhere */
#else
    volatile char local = 0;
    const volatile char *address = &local;
    return (const char *)address;
#endif
}

static PyObject *measure(PyObject *Py_UNUSED(none), PyObject *base) {
    const char *began = PyLong_AsVoidPtr(base);
    return began == NULL ? NULL : PyLong_FromSize_t((size_t)(began - here()));
}

/* How many bytes lie between this call and one of a function of Python that it calls; NULL and an exception. */
static PyObject *measured(PyObject *globals, PyObject *ask) {
    PyObject *fn = PyRun_String("lambda ask, base: ask(base)", Py_eval_input, globals, globals);
    PyObject *base = PyLong_FromVoidPtr((void *)(uintptr_t)here());
    PyObject *bytes = fn == NULL || base == NULL ? NULL : PyObject_CallFunctionObjArgs(fn, ask, base, NULL);
    Py_XDECREF(base);
    Py_XDECREF(fn);
    return bytes;
}

int kpy_private_measure(void) {
    static PyMethodDef method = {"measure", measure, METH_O, NULL};
    PyObject *globals = PyDict_New();
    PyObject *ask = globals == NULL ? NULL : PyCFunction_New(&method, NULL);
    PyObject *bytes = ask == NULL ? NULL : measured(globals, ask);
    size_t one = bytes == NULL ? 0 : PyLong_AsSize_t(bytes);
    /* A second loop comes with calls between the two; and whoever asks may have come by some more than this did. */
    most_when_flat = one + one / 2;
    Py_XDECREF(bytes);
    Py_XDECREF(ask);
    Py_XDECREF(globals);
    return one != 0 ? 0 : -1;
}

bool kpy_private_is_shallow(const kpy_private_t *self) {
    return (size_t)(self->base - here()) <= most_when_flat;
}

#else

int kpy_private_measure(void) {
    return 0;
}

#endif
