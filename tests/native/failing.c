/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* A module for tests: the n-th allocation of Python from now on fails, in all three of its domains. */

#include <Python.h>

static PyMemAllocatorEx before[3];
static const PyMemAllocatorDomain domains[3] = {PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ};
static long countdown = -1; /* -1: none fails */
static int failed;

/* Whether this one fails; it fails once. */
static int fails(void) {
    if (countdown < 0 || countdown-- != 0)
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

/* Call a function; its n-th allocation fails. Gives what it returned, or the exception, and whether one failed. */
static PyObject *call(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *fn, *answer;
    long n;
    if (!PyArg_ParseTuple(args, "nO:call", &n, &fn))
        return NULL;
    for (int i = 0; i < 3; i++) {
        PyMem_GetAllocator(domains[i], &before[i]);
        PyMemAllocatorEx after = {&before[i], failing_malloc, failing_calloc, failing_realloc, failing_free};
        PyMem_SetAllocator(domains[i], &after);
    }
    failed = 0;
    countdown = n;
    answer = PyObject_CallNoArgs(fn);
    countdown = -1;
    for (int i = 0; i < 3; i++)
        PyMem_SetAllocator(domains[i], &before[i]);
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

static PyMethodDef functions[] = {{"call", call, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "failing", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_failing(void) {
    return PyModule_Create(&definition);
}
