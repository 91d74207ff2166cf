/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* A module for tests: the n-th allocation of Python from now on fails, in all three of its domains. */

#define _GNU_SOURCE
#include <Python.h>

#include <dlfcn.h>
#include <execinfo.h>
#include <string.h>

static PyMemAllocatorEx before[3];
static const PyMemAllocatorDomain domains[3] = {PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ};
static long countdown = -1; /* -1: none fails */
static int failed;
static long asked; /* how often memory was asked for since begin() */

/* Functions of CPython whose callers there do not get over it that no memory is left: MAKE_FUNCTION in 3.12 gives the code
** object back twice, and MAKE_CELL keeps what it was to hold. */
static const char *const spared[] = {"PyFunction_New", "PyFunction_NewWithQualName", "PyCell_New"};
#define NEAR 8

/* Whether such a function asks for memory. */
static int is_spared(void) {
    void *frames[NEAR];
    Dl_info info;
    int count = backtrace(frames, NEAR);
    for (int i = 0; i < count; i++)
        for (size_t j = 0; j < sizeof spared / sizeof *spared; j++)
            if (dladdr(frames[i], &info) != 0 && info.dli_sname != NULL && strcmp(info.dli_sname, spared[j]) == 0)
                return 1;
    return 0;
}

/* Whether this one fails; it fails once. */
static int fails(void) {
    asked++;
    if (countdown < 0 || (countdown != 0 && countdown-- != 0))
        return 0;
    if (is_spared()) /* the next one fails */
        return 0;
    countdown = -1;
    failed = 1;
    return 1;
}

static void *failing_malloc(void *ctx, size_t size) {
    PyMemAllocatorEx *from = ctx;
    return fails() ? NULL : from->malloc(from->ctx, size);
}

static void *failing_calloc(void *ctx, size_t count, size_t size) {
    PyMemAllocatorEx *from = ctx;
    return fails() ? NULL : from->calloc(from->ctx, count, size);
}

static void *failing_realloc(void *ctx, void *block, size_t size) {
    PyMemAllocatorEx *from = ctx;
    return fails() ? NULL : from->realloc(from->ctx, block, size);
}

static void failing_free(void *ctx, void *block) {
    PyMemAllocatorEx *from = ctx;
    from->free(from->ctx, block);
}

static void begin_failing(long n) {
    for (int i = 0; i < 3; i++) {
        PyMem_GetAllocator(domains[i], &before[i]);
        PyMemAllocatorEx after = {&before[i], failing_malloc, failing_calloc, failing_realloc, failing_free};
        PyMem_SetAllocator(domains[i], &after);
    }
    failed = 0;
    asked = 0;
    countdown = n;
}

static void end_failing(void) {
    countdown = -1;
    for (int i = 0; i < 3; i++)
        PyMem_SetAllocator(domains[i], &before[i]);
}

/* Call a function; its n-th allocation fails. Gives what it returned, or the exception, and whether one failed. */
static PyObject *call(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *fn, *answer;
    long n;
    if (!PyArg_ParseTuple(args, "nO:call", &n, &fn))
        return NULL;
    begin_failing(n);
    answer = PyObject_CallNoArgs(fn);
    end_failing();
    if (answer == NULL) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        PyErr_NormalizeException(&type, &value, &traceback);
        answer = value;
        Py_XDECREF(type);
        Py_XDECREF(traceback);
    }
    return Py_BuildValue("(Ni)", answer, failed);
}

/* The n-th allocation from here on fails, until end(), which says whether one did. */
static PyObject *begin(PyObject *module, PyObject *number) {
    (void)module;
    long n = PyLong_AsLong(number);
    if (n == -1 && PyErr_Occurred())
        return NULL;
    begin_failing(n);
    Py_RETURN_NONE;
}

static PyObject *end(PyObject *module, PyObject *nothing) {
    (void)module;
    (void)nothing;
    end_failing();
    return PyBool_FromLong(failed);
}

/* How often memory was asked for since begin(); also after end(). */
static PyObject *how_often(PyObject *module, PyObject *nothing) {
    (void)module;
    (void)nothing;
    return PyLong_FromLong(asked);
}

static PyMethodDef functions[] = {
    {"call", call, METH_VARARGS, NULL},
    {"begin", begin, METH_O, NULL},
    {"end", end, METH_NOARGS, NULL},
    {"asked", how_often, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "failing", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_failing(void) {
    return PyModule_Create(&definition);
}
