/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What the files of the loop need of core, and of each other, in one interpreter; see loop.h. */

#include "coroutine.h"
#include "loop.h"
#include "stackful.h"

#include <stddef.h>

PyObject *kpy_wrong_loop(const kpy_loop_t *self) {
    return self->base.state->loops->wrong_loop;
}

int kpy_loop_say(kpy_state_t *state, PyObject *error, const char *what) {
    PyObject *answer = PyObject_CallFunction(state->loops->report, "Os", error, what);
    if (answer == NULL)
        PyErr_WriteUnraisable(error);
    Py_XDECREF(answer);
    return answer == NULL ? -1 : 0;
}

static PyObject *from_core(const char *module_name, const char *name) {
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *value = module == NULL ? NULL : PyObject_GetAttrString(module, name);
    Py_XDECREF(module);
    return value;
}

typedef struct borrowed {
    size_t at;
    const char *module, *name;
} borrowed_t;

#define AT(field) offsetof(struct kpy_loops, field)

static const borrowed_t borrowed[] = {
    {AT(park_trap), "kcoro_core.reference.scheduler", "PARK"},
    {AT(poll_spec), "kcoro_core.transport", "PollSpec"},
    {AT(stats), "kcoro_core.engine", "SchedulerStats"},
    {AT(wrong_loop), "kcoro_core.errors", "WrongLoop"},
    {AT(cancelled), "kcoro_core.hosts.scopes", "Cancelled"},
    {AT(report), "kcoro_core.unraisable", "report_unraisable"},
    {AT(again), "kcoro_core.hosts.port", "AGAIN"},
    {AT(await_it), "kcoro_native._await", "await_it"},
    {AT(coroutine_abc), "collections.abc", "Coroutine"},
    {AT(end_of_iteration), "kcoro_core.channel", "end_of_iteration"},
    {AT(nowhere), "kcoro_core.hosts.port", "NOWHERE"},
};

static const struct {
    size_t at;
    const char *text;
} names[] = {
    {AT(str_task), "task"},         {AT(str_give_up), "give_up"},          {AT(str_throw), "throw"},
    {AT(str_close), "close"},       {AT(str_qualname), "__qualname__"},    {AT(str_value), "value"},
    {AT(str_name), "name"},         {AT(str_enter_here), "_enter_here"},   {AT(str_closed_error), "closed_error"},
    {AT(str_channel), "channel"},
    {AT(str_del), "__del__"},
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static PyObject **slot(struct kpy_loops *loops, size_t at) {
    return (PyObject **)((char *)loops + at);
}

static int borrow(struct kpy_loops *loops) {
    for (size_t i = 0; i < COUNT(borrowed); i++)
        if ((*slot(loops, borrowed[i].at) = from_core(borrowed[i].module, borrowed[i].name)) == NULL)
            return -1;
    for (size_t i = 0; i < COUNT(names); i++)
        if ((*slot(loops, names[i].at) = PyUnicode_InternFromString(names[i].text)) == NULL)
            return -1;
    PyObject *states = from_core("kcoro_core.reference.scheduler", "TaskState");
    loops->task_states = states == NULL ? NULL : PySequence_Tuple(states);
    Py_XDECREF(states);
    return loops->task_states == NULL ? -1 : 0;
}

static const size_t types[] = {
    AT(task), AT(scheduler), AT(loop),         AT(scope), AT(nursery), AT(timer), AT(watch),
    AT(park), AT(pause),     AT(cancel_point), AT(block), AT(sleep),   AT(exchange),
    AT(checkpoint), AT(plan), AT(launcher), AT(stackful), AT(coroutine),
};

static const size_t of_face[] = {
    AT(slow_send), AT(slow_recv), AT(slow_next), AT(face_class), AT(selected_class), AT(recv_class), AT(send_class),
    AT(handle_class), AT(handle_ids), AT(handle_pending), AT(slow_launch),
};

int kpy_loops_traverse(kpy_state_t *state, visitproc visit, void *arg) {
    struct kpy_loops *loops = state->loops;
    for (size_t i = 0; loops != NULL && i < COUNT(types); i++)
        Py_VISIT(*slot(loops, types[i]));
    for (size_t i = 0; loops != NULL && i < COUNT(borrowed); i++)
        Py_VISIT(*slot(loops, borrowed[i].at));
    for (size_t i = 0; loops != NULL && i < COUNT(of_face); i++)
        Py_VISIT(*slot(loops, of_face[i]));
    return 0;
}

void kpy_loops_free(kpy_state_t *state) {
    struct kpy_loops *loops = state->loops;
    if (loops == NULL)
        return;
    kpy_exchange_free_spares(loops); /* while their type is there */
    for (size_t i = 0; i < COUNT(types); i++)
        Py_CLEAR(*slot(loops, types[i]));
    for (size_t i = 0; i < COUNT(borrowed); i++)
        Py_CLEAR(*slot(loops, borrowed[i].at));
    for (size_t i = 0; i < COUNT(names); i++)
        Py_CLEAR(*slot(loops, names[i].at));
    for (size_t i = 0; i < COUNT(of_face); i++)
        Py_CLEAR(*slot(loops, of_face[i]));
    Py_CLEAR(loops->task_states);
    Py_CLEAR(loops->stop);
    state->loops = NULL;
    PyMem_Free(loops);
}

int kpy_init_loop(PyObject *module, kpy_state_t *state) {
    static int (*const inits[])(PyObject *, kpy_state_t *) = {
        kpy_init_task, kpy_init_scheduler, kpy_init_time,  kpy_init_scope, kpy_init_nursery,  kpy_init_host,
        kpy_init_wait, kpy_init_turn,      kpy_init_sleep, kpy_init_poll,  kpy_init_exchange, kpy_init_choice,
        kpy_init_launch, kpy_init_stackful, kpy_init_coroutine,
    };
    state->loops = PyMem_Calloc(1, sizeof *state->loops);
    if (state->loops == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (borrow(state->loops) != 0)
        return -1;
    for (size_t i = 0; i < COUNT(inits); i++)
        if (inits[i](module, state) != 0)
            return -1;
    return 0;
}
