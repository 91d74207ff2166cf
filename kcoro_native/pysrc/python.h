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
#include <stdbool.h>
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

/*
** What the interpreter keeps of the stack that a thread runs on differs from version to version; see private_stack.h.
** A version without KPY_HAS_PRIVATE_STACKS runs `async def` only: nobody has tested it.
*/
#ifndef KPY_HAS_PRIVATE_STACKS /* tests leave them out */
#define KPY_HAS_PRIVATE_STACKS 1
#endif
#define KPY_HAS_CFRAME (KPY_VERSION_HEX < 0x030d0000)      /* frames hang on a struct of the C stack */
#define KPY_HAS_USE_TRACING (KPY_VERSION_HEX < 0x030c0000) /* which says as well whether the thread is traced */
#define KPY_HAS_PY_RECURSION (KPY_VERSION_HEX >= 0x030c0000) /* calls of Python are counted apart from those of C */
#define KPY_HAS_C_RECURSION (KPY_HAS_PY_RECURSION && KPY_VERSION_HEX < 0x030e0000)
/* Calls of C are not counted any more: the interpreter looks at the stack pointer, and is told where a stack is. */
#ifndef KPY_HAS_BOUNDS /* tests pretend */
#define KPY_HAS_BOUNDS (KPY_VERSION_HEX >= 0x030e0000)
#endif
#define KPY_HAS_EXECUTOR (KPY_VERSION_HEX >= 0x030e0000) /* of traces that were compiled, where that is on */
#define KPY_HAS_CRITICAL_SECTION (KPY_VERSION_HEX >= 0x030d0000)

/*
** How the interpreter is told where a stack is. The first versions of CPython 3.14 have no function for it, and an
** extension that was compiled for a later one has to say so there: a weak symbol is NULL where nobody defines it.
*/
#if KPY_HAS_BOUNDS
#ifndef KPY_SET_BOUNDS /* tests pretend that there is none */
#define KPY_SET_BOUNDS PyUnstable_ThreadState_SetStackProtection
#endif
#define KPY_RESET_BOUNDS PyUnstable_ThreadState_ResetStackProtection
#if defined(__GNUC__)
#define KPY_MAY_BE_MISSING __attribute__((weak))
#else
#define KPY_MAY_BE_MISSING
#endif
extern KPY_MAY_BE_MISSING int KPY_SET_BOUNDS(PyThreadState *thread, void *low, size_t bytes);
extern KPY_MAY_BE_MISSING void KPY_RESET_BOUNDS(PyThreadState *thread);
#endif

/*
** For the few words of each thread that every switch looks at: their place is known when the module is loaded, so that
** looking costs no call. A process has room for some hundreds of bytes of such words in modules that come later.
*/
#if defined(__GNUC__)
#define KPY_THREAD_WORD _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define KPY_THREAD_WORD _Thread_local
#endif

/* For a function that is to be called, whoever compiles it. */
#if defined(__GNUC__)
#define KPY_APART __attribute__((noinline))
#else
#define KPY_APART
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

/* Whether the interpreter is ending; nothing is to be run for the sake of order then. */
static inline bool kpy_is_finalizing(void) {
#if KPY_VERSION_HEX >= 0x030d0000
    return Py_IsFinalizing() != 0;
#else
    PyObject *ask = PySys_GetObject("is_finalizing"); /* borrowed; gone when the modules are */
    PyObject *answer = ask == NULL ? NULL : PyObject_CallNoArgs(ask);
    bool is = answer != Py_False;
    Py_XDECREF(answer);
    PyErr_Clear();
    return is;
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
