/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* The world in which harness.c runs a program. */
#ifndef HARNESS_WORLD_H
#define HARNESS_WORLD_H

#include "harness.h"

enum step { TRY_SEND, TRY_RECV, WAIT, LOOK, END, BEGIN_CLAIM, ANSWER, CLOSE, CANCEL, COUNT, ASK, SELECT, HAPPEN };
enum seen { STEP = 1000, WOKEN, LOST, STATE };

#define CALLS 64
#define ARMS 4
#define EVENTS 2
#define ELEMENT_OF_EVENTS ((void *)(intptr_t)500)

/* A plain call has an operation and one waiter, a select has all in it. */
struct call {
    kc_op_t plain, *op;
    kc_waiter_t waiter;
    kc_chan_t *channel;
    kc_select_t select;
    kc_clause_t clauses[ARMS];
    bool is_select, left;
    int count, id;
};

struct world {
    kc_parker_t parker;
    struct hook {
        struct world *world;
        int index;
    } hooks[CHANNELS];
    kc_chan_t *channels[CHANNELS];
    struct call *calls[CALLS];
    kc_event_t events[EVENTS];
    uint32_t chance;
    int last, channel_count, call_count, hook_mode, hook_depth;
    intptr_t number;
    int32_t *trace;
    size_t length, room;
};

/* Write down one number. */
void see(struct world *t, intptr_t what);

/* A value that has not been used. */
void *next_value(struct world *t);

/* Try, and write down what came of it. */
int try_send(struct world *t, kc_chan_t *ch, void *value);
int try_recv(struct world *t, kc_chan_t *ch, void **value);

/* A call that may wait; NULL when there are too many. */
struct call *new_call(struct world *t, int count);

/* What became of a select: the result, the clause, the value; and who won is remembered for the next. */
void see_result(struct world *t, const struct call *call, int rc);

/* Begin the select of a step, and have it wait unless it ends at once. */
void begin_select(struct world *t, const int32_t *step);

#endif
