/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** kcoro_native._native: the native engine as a module of multi-phase initialisation.
**
** Types are heap types: they can be made once for each interpreter and freed with it, which static types cannot.
*/

#include "coroutine.h"
#include "loop.h"
#include "module.h"
#include "stackful.h"

static struct PyModuleDef definition;

kpy_state_t *kpy_state_of_class(PyTypeObject *type) {
    PyObject *module = PyType_GetModuleByDef(type, &definition);
    return module == NULL ? NULL : PyModule_GetState(module);
}

/* The names of the pollers that were compiled in, the best first. */
static PyObject *pollers(void) {
    PyObject *names = PyList_New(0);
    const char *name;
    for (size_t i = 0; names != NULL && (name = kc_poller_known(i)) != NULL; i++) {
        PyObject *text = PyUnicode_FromString(name);
        if (text == NULL || PyList_Append(names, text) != 0)
            Py_CLEAR(names);
        Py_XDECREF(text);
    }
    return names;
}

static PyObject *compiled(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
#ifdef KC_ATOMICS_BY_MUTEX
    const char *atomics = "mutex";
#else
    const char *atomics = "C11";
#endif
    return Py_BuildValue("{s:s, s:i, s:s, s:s, s:s, s:N}", "libkcoro", kc_version(), "abi", KC_ABI, "python",
                         PY_VERSION, "atomics", atomics, "switcher", kc_coro_switcher(), "pollers", pollers());
}

static PyMethodDef functions[] = {
    {"compiled", compiled, METH_NOARGS,
     "compiled($module, /)\n--\n\n"
     "What was compiled in: the versions, how atomics are made and stacks are switched, and the pollers."},
    {"_no_stackful", kpy_no_stackful, METH_NOARGS,
     "_no_stackful($module, /)\n--\n\nWhy there are no stackful functions here, or None."},
    {"_end_coroutines", kpy_end_coroutines, METH_NOARGS,
     "_end_coroutines($module, /)\n--\n\nDestroy the coroutines of this thread that wait; no more can be made then."},
    {"_use_stacks", FAST(kpy_use_stacks), METH_FASTCALL,
     KPY_DOC("_use_stacks($module, size, kept, /)", "Have new stacks be of a size, and keep the memory of free ones.")},
    {"_count_stacks", kpy_count_stacks, METH_NOARGS,
     KPY_DOC("_count_stacks($module, /)", "How many stacks there are, and how often free ones lost their memory.")},
    {"wait", kpy_wait, METH_O,
     "wait($module, awaitable, /)\n--\n\nIn a stackful function: what `await` is in an async one."},
    {"_quicken", FAST(kpy_quicken), METH_FASTCALL,
     KPY_DOC("_quicken($module, channel, selected, recv, send, /)",
             "Give a class of channels methods that are fast on a native loop, and select the other classes.")},
    {"_quicken_scopes", FAST(kpy_quicken_scopes), METH_FASTCALL,
     KPY_DOC("_quicken_scopes($module, task, scope, numbers, pending, /)", "Keep what launching children needs.")},
    {NULL, NULL, 0, NULL},
};

/* libkcoro's memory is Python's, so that whoever counts it (tracemalloc) or lets it fail sees that as well. */
static void *resize(void *ctx, void *block, size_t size) {
    (void)ctx;
    return PyMem_RawRealloc(block, size);
}

static void release(void *ctx, void *block) {
    (void)ctx;
    PyMem_RawFree(block);
}

static int exec(PyObject *module) {
    kpy_state_t *state = PyModule_GetState(module);
    if (kc_check_abi(KC_ABI) != 0) {
        PyErr_SetString(PyExc_ImportError, "kcoro_native._native was compiled for another libkcoro: reinstall it");
        return -1;
    }
    /* The memory of libkcoro and the quick methods are shared by all interpreters. */
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "kcoro_native works in the main interpreter only: "
                                           "in this one, set KCORO_ENGINE=reference");
        return -1;
    }
    state->module = module;
    const kc_memory_t memory = {resize, release, NULL};
    kc_memory_use(&memory);
    if (kpy_share(state) != 0 || kpy_add_operation(module, state) != 0 || kpy_add_select(module, state) != 0 ||
        kpy_add_arm(module, state) != 0 || kpy_add_channel(module, state) != 0 || kpy_add_waiting(module, state) != 0 ||
        kpy_init_loop(module, state) != 0)
        return -1;
    return PyModule_AddStringConstant(module, "VERSION", KC_VERSION);
}

/* Everything that the state holds, for the three functions that follow. */
#define EACH_TYPE(DO) DO(operation) DO(select) DO(arm) DO(channel) DO(waiting)
#define EACH_SHARED(DO)                                                                                                \
    DO(ok) DO(would_block) DO(closed) DO(nobody) DO(channel_closed) DO(snapshot) DO(report_unraisable) DO(kinds)       \
    DO(overflows) DO(undelivered) DO(closed_rules) DO(unpark) DO(recall) DO(ask) DO(freed) DO(arrived) DO(drained)
#define VISIT(name) Py_VISIT(state->name);
#define CLEAR(name) Py_CLEAR(state->name);

static int traverse(PyObject *module, visitproc visit, void *arg) {
    kpy_state_t *state = PyModule_GetState(module);
    EACH_TYPE(VISIT)
    EACH_SHARED(VISIT)
    return kpy_loops_traverse(state, visit, arg);
}

/* Everything stays until the module is freed: objects that are still alive use it. The cycles that lead through here
** are broken by the types, whose own clearing lets go of the module. */
static int clear(PyObject *module) {
    kpy_spares_free(PyModule_GetState(module));
    return 0;
}

static void module_free(void *module) {
    kpy_state_t *state = PyModule_GetState(module);
    clear(module);
    EACH_TYPE(CLEAR)
    EACH_SHARED(CLEAR)
    kpy_loops_free(state);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)exec},
#if KPY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "kcoro_native._native",
    .m_doc = "The native engine of kcoro: channels and operations in C.",
    .m_size = sizeof(kpy_state_t),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__native(void) {
    return PyModuleDef_Init(&definition);
}
