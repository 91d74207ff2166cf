/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* The world in which harness.c runs a program. */
#ifndef HARNESS_WORLD_H
#define HARNESS_WORLD_H

#include "harness.h"

enum step {
    TRY_SEND, TRY_RECV, WAIT, LOOK, END, BEGIN_CLAIM, ANSWER, CLOSE, CANCEL, COUNT, ASK, SELECT, HAPPEN,
    LEND, FILL, REPLACED, HOLD_BACK, ANSWERED, END_LENDING, KEEP, TAKE_AHEAD, SETTLE_AHEAD, END_KEEPING,
    HAND_OUT, SETTLE, TRY_AND_ASK, WANT, ASK_ABOUT_SHARE
};
enum seen { STEP = 1000, WOKEN, LOST, STATE, TOLD };
enum told { BORROWER_RECALL, BORROWER_ASK, BORROWER_FREED, KEEPER_ARRIVED, KEEPER_RECALL, KEEPER_DRAINED };

#define CALLS 64
#define ARMS 4
#define STEPS 1024 /* of one program, at most; each brings less than two elements */
#define EVENTS 2
#define ELEMENT_OF_EVENTS ((void *)(intptr_t)500)

/* Elements that the end of a link has in its hands, oldest first. */
struct hand {
    void *elements[STEPS];
    size_t count;
};

/* What links have of one channel: a borrower, a keeper, and what travels. */
struct share {
    kc_borrower_t borrower;
    kc_keeper_t keeper;
    struct world *world;
    int index;
    bool lends, keeps, recalled, ends_at_once, takes_at_once;
    size_t slots, questions;
    struct hand kept, travelling;
};

/* A plain call has an operation and one waiter, a select has all in it. */
struct call {
    kc_op_t plain, *op;
    kc_try_t waiting;
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
    struct share shares[CHANNELS];
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

/* The same with one clause, about one channel; and have it wait there. */
struct call *plain_call(struct world *t, int index, bool sending, void *value);
void stand(struct world *t, int index, bool sending, void *value);

/* A step about the share of a link in a channel. */
void about_shares(struct world *t, const int32_t *step, int index);

/* Set up the ends of links of one channel. */
void make_share(struct world *t, int index);

/* What became of a select: the result, the clause, the value; and who won is remembered for the next. */
void see_result(struct world *t, const struct call *call, int rc);

/* Begin the select of a step, and have it wait unless it ends at once. */
void begin_select(struct world *t, const int32_t *step);

#endif
