/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What the files of the extension have of one another; the objects are in types.h. */
#ifndef KPY_MODULE_H
#define KPY_MODULE_H

#include <stdbool.h>

#include "types.h"

/* -- module.c, types.c; what returns an int gives 0, or -1 with an exception */

kpy_state_t *kpy_state_of(PyTypeObject *type);

/* The same for a class of Python that has a type of this module among its bases; NULL and a TypeError without one. */
kpy_state_t *kpy_state_of_class(PyTypeObject *type);

/* Fill the state with what the engines share. */
int kpy_share(kpy_state_t *state);

/* Make the type of a file. */
int kpy_add_operation(PyObject *module, kpy_state_t *state);
int kpy_add_select(PyObject *module, kpy_state_t *state);
int kpy_add_arm(PyObject *module, kpy_state_t *state);
int kpy_add_channel(PyObject *module, kpy_state_t *state);
int kpy_add_waiting(PyObject *module, kpy_state_t *state);

/* Make one type, give it to the module, and have calls of it go to `call`, without a tuple of arguments; NULL: nobody
** calls it. */
PyTypeObject *kpy_make_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base, vectorcallfunc call);

/* Nobody but this module makes instances; nobody changes the types. */
#define KPY_TYPE_FLAGS                                                                                                 \
    (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE)

/* A docstring with the signature that help() shows. */
#define KPY_DOC(signature, text) signature "\n--\n\n" text

/* Parse the arguments of a vectorcall as PyArg_ParseTupleAndKeywords does; 0 with an exception. */
int kpy_parse(PyObject *const *args, size_t nargsf, PyObject *kwnames, const char *format, char **names, ...);

/* A method of another signature than PyCFunction has, for a PyMethodDef. */
#define FAST(function) (PyCFunction)(void (*)(void))function

/* -- shared.c */

/* The number of a member of an enumeration, its place in `members`; -1 with a TypeError. */
int kpy_number(PyObject *members, PyObject *member, const char *what);

/* Hand the exception being raised to sys.unraisablehook, and say what was going on. */
void kpy_report(kpy_state_t *state, PyObject *while_doing);

/* The same for what a method raised that libkcoro had called; Ctrl-C is raised again in whoever runs next. */
void kpy_report_call(kpy_state_t *state, PyObject *method, PyObject *whom);

/* A count, or infinity for SIZE_MAX. */
PyObject *kpy_count(size_t count);

/* The answer to a code of libkcoro; `done` for 0, a reference that is taken over. */
PyObject *kpy_answer(kpy_state_t *state, int code, PyObject *done);

/* A new ChannelClosed; never NULL, but whatever went wrong instead. A `reason` of NULL or None is not told. */
PyObject *kpy_closed_error(kpy_state_t *state, const char *text, PyObject *reason);

/* -- operation.c, deciding.c */

extern kc_parker_t kpy_parker;
extern PyMethodDef kpy_deciding[];

kpy_operation_t *kpy_operation_new(kpy_state_t *state, PyObject *parker, bool sending, PyObject *value);
void kpy_operation_init(kpy_operation_t *self, kpy_state_t *state);
int kpy_operation_traverse(PyObject *o, visitproc visit, void *arg);
int kpy_operation_clear(PyObject *o);
void kpy_spares_free(kpy_state_t *state);

/* End with an exception after a won claim; -1 when it is none. */
int kpy_fail(kpy_operation_t *self, PyObject *error);

/* Hand over a result after a won claim; -1 when nobody has won it. */
int kpy_finish(kpy_operation_t *self, PyObject *value);

/* -- select.c */

/* Claim the select for one of its clauses. */
bool kpy_select_win(kpy_select_t *self, int index);

/* A clause's channel is closed: whether that decided the select; -1 with an exception. */
int kpy_select_shut(kpy_select_t *self, kpy_arm_t *arm, PyObject *error);

/* -- place.c */

/* Begin a place; `value` is what it offers, and a reference to it is taken. */
void kpy_place_init(kpy_place_t *place, PyObject *owner, kc_op_t *op, int index, bool sending, PyObject *value);

/* The place of a waiter of this engine; NULL with a TypeError. */
kpy_place_t *kpy_place_of(kpy_state_t *state, PyObject *waiter);

/* -- channel.c and what stands beside it */

extern PyMethodDef kpy_channel_methods[];
extern PyGetSetDef kpy_channel_attributes[];

/* Around everything that is done with self->ch: what it lets go is dropped when the outermost one ends. */
void kpy_enter(kpy_channel_t *self);
void kpy_leave(kpy_channel_t *self);

/* Queue a place; -1 with a ValueError when it stands in another channel. */
int kpy_channel_enqueue(kpy_channel_t *self, kpy_place_t *place);

/* Take a place out; whether it stood there. */
bool kpy_channel_withdraw(kpy_channel_t *self, kpy_place_t *place);

PyObject *kpy_snapshot(PyObject *o, PyObject *unused);

/* Those who wait in one direction. */
PyObject *kpy_waiting_new(kpy_channel_t *channel, bool sending);

#endif
