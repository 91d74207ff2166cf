/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Python.h, for the versions that this extension was written for; the only place that compares version numbers.
**
** A version that is not known is refused here, by the compiler: what the interpreter promises about its objects changes
** from one to the next, and each has to be tested.
*/
#ifndef KPY_PYTHON_H
#define KPY_PYTHON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

/* Tests pretend to be another version. */
#ifndef KPY_VERSION_HEX
#define KPY_VERSION_HEX PY_VERSION_HEX
#endif

#if defined(PYPY_VERSION) || defined(GRAALVM_PYTHON)
#error "kcoro-native is made for CPython; on another Python use the reference engine, which needs no compiler"
#endif
#if KPY_VERSION_HEX < 0x030b0000 || KPY_VERSION_HEX >= 0x030f0000
#error "kcoro-native knows CPython 3.11 to 3.14; on another version use the reference engine (KCORO_ENGINE=reference)"
#endif
#if defined(Py_GIL_DISABLED) || defined(KPY_PRETEND_FREE_THREADED)
#error "kcoro-native needs the GIL; on a free-threaded Python use the reference engine (KCORO_ENGINE=reference)"
#endif

/* The exception being raised, taken out of the thread as an instance; NULL when there is none. */
static inline PyObject *kpy_take_exception(void) {
#if KPY_VERSION_HEX >= 0x030c0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (type == NULL)
        return NULL;
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(value, traceback);
    Py_XDECREF(traceback);
    Py_DECREF(type);
    return value;
#endif
}

/* Raise `error`, a reference to which is taken over; NULL raises nothing. */
static inline void kpy_raise(PyObject *error) {
#if KPY_VERSION_HEX >= 0x030c0000
    PyErr_SetRaisedException(error);
#else
    if (error == NULL)
        PyErr_Clear();
    else
        PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(error)), error, PyException_GetTraceback(error));
#endif
}

/* A whole number that fits an int; -1 with an exception where it does not. */
static inline int kpy_as_int(PyObject *number) {
    long value = PyLong_AsLong(number);
    if (value >= INT_MIN && value <= INT_MAX)
        return (int)value;
    PyErr_Format(PyExc_OverflowError, "%ld is too large", value);
    return -1;
}

#endif
