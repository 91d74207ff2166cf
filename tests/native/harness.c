/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Runs a program of channel operations on libkcoro and writes down all that can be seen of it; on_reference.py does
** the same on the reference engine, and test_model.py compares. Both files name the same steps in the same order.
*/

#include "harness_world.h"

#include <stdlib.h>

void see(struct world *t, intptr_t what) {
    if (t->length < t->room)
        t->trace[t->length] = (int32_t)what;
    t->length++;
}

static void unpark(kc_parker_t *self, kc_op_t *op) {
    struct world *t = (struct world *)self;
    see(t, WOKEN);
    see(t, ((struct call *)op->task)->id);
    see(t, kc_op_claim(op));
    see(t, op->error);
    see(t, op->error != 0 || kc_op_claim(op) < 0 ? 0 : (intptr_t)op->value);
}

/* -- without waiting */

void *next_value(struct world *t) {
    return (void *)++t->number;
}

int try_send(struct world *t, kc_chan_t *ch, void *value) {
    int rc = kc_chan_send_now(ch, value);
    see(t, rc);
    return rc;
}

int try_recv(struct world *t, kc_chan_t *ch, void **value) {
    *value = NULL;
    int rc = kc_chan_recv_now(ch, value);
    see(t, rc);
    see(t, (intptr_t)*value);
    return rc;
}

static void lost(void *ctx, void *element, kc_undelivered_t why) {
    struct hook *hook = ctx;
    struct world *t = hook->world;
    void *value;
    see(t, LOST);
    see(t, hook->index);
    see(t, (intptr_t)element);
    see(t, why);
    if (t->hook_mode == 0 || t->hook_depth == 3)
        return;
    t->hook_depth++;
    if (t->hook_mode == 1)
        try_recv(t, t->channels[hook->index], &value);
    else
        try_send(t, t->channels[(hook->index + 1) % t->channel_count], next_value(t));
    t->hook_depth--;
}

/* -- waiting */

struct call *new_call(struct world *t, int count) {
    if (t->call_count == CALLS)
        return NULL;
    struct call *call = calloc(1, sizeof *call);
    call->id = t->call_count;
    call->count = count;
    call->op = &call->plain;
    t->calls[t->call_count++] = call;
    return call;
}

struct call *plain_call(struct world *t, int index, bool sending, void *value) {
    struct call *call = new_call(t, 1);
    if (call == NULL)
        return NULL;
    kc_op_init(call->op, &t->parker);
    call->op->task = call;
    kc_waiter_init(&call->waiting.waiter, call->op, 0, sending, value);
    call->channel = t->channels[index];
    return call;
}

void stand(struct world *t, int index, bool sending, void *value) {
    struct call *call = plain_call(t, index, sending, value);
    if (call != NULL)
        see(t, kc_chan_enqueue(call->channel, &call->waiting.waiter));
}

static void wait(struct world *t, int index, bool sending) {
    kc_chan_t *ch = t->channels[index];
    void *value = sending ? next_value(t) : NULL, *got;
    if ((sending ? try_send(t, ch, value) : try_recv(t, ch, &got)) == -EAGAIN)
        stand(t, index, sending, value);
}

/* The calls whose owner has not looked yet, counted; one of them. */
static struct call *pick(struct world *t, int number) {
    int there = 0;
    for (int i = 0; i < t->call_count; i++)
        there += !t->calls[i]->left;
    if (there == 0)
        return NULL;
    number %= there;
    for (int i = 0;; i++)
        if (!t->calls[i]->left && number-- == 0)
            return t->calls[i];
}

static void leave(struct world *t, struct call *call) {
    call->left = true;
    if (call->is_select)
        see_result(t, call, kc_select_finish(&call->select));
    else
        see(t, kc_chan_withdraw(call->channel, &call->waiting.waiter));
}

static bool undecided(const struct call *call) {
    return kc_op_result(call->op) == -EAGAIN;
}

static void end(struct world *t, struct call *call, int how) {
    if (how == 0)
        see(t, kc_op_expire(call->op));
    else
        see(t, how == 1 ? kc_op_revoke(call->op) : kc_op_give_up(call->op));
}

/* Look at the clauses again after a claim that was denied, and stand in line again if none is ready. */
static void again(struct world *t, struct call *call) {
    kc_waiter_t *w = &call->waiting.waiter;
    kc_chan_t *ch = call->channel;
    void *got = NULL;
    leave(t, call);
    call->left = false;
    int rc = w->sending ? try_send(t, ch, w->value) : try_recv(t, ch, &got);
    if (rc == -EAGAIN)
        see(t, kc_chan_enqueue(ch, w));
    else if (rc == -EPIPE)
        see(t, kc_waiter_shut(w));
    else
        see(t, kc_waiter_complete(w, got));
}

static void answer(struct world *t, struct call *call, bool granted) {
    if (kc_op_claim(call->op) > KC_CLAIMING)
        return;
    if (granted) {
        see(t, kc_op_win_claim(call->op));
        leave(t, call);
        return;
    }
    int waits = kc_op_end_claim(call->op);
    see(t, waits);
    if (waits && !call->is_select)
        again(t, call);
    else if (waits && kc_select_again(&call->select) != -EAGAIN) {
        call->left = true;
        see_result(t, call, kc_op_result(call->op));
    }
}

/* -- books */

static void ask(struct world *t, const kc_chan_t *ch) {
    see(t, kc_chan_send_must_wait(ch));
    see(t, kc_chan_recv_must_wait(ch));
    size_t room = kc_chan_there(ch, true);
    see(t, room == SIZE_MAX ? -1 : (intptr_t)room);
    see(t, (intptr_t)kc_chan_there(ch, false));
    see(t, kc_chan_is_drained(ch));
}

static void show(struct world *t, const kc_chan_t *ch) {
    kc_snapshot_t s;
    if (kc_chan_snapshot(ch, &s) != 0)
        return;
    const uint64_t numbers[] = {s.length, s.peak_length, s.closed, s.waiting_senders, s.waiting_receivers, s.sent,
        s.received, s.dropped, s.handoffs, s.failed_would_block, s.failed_deadline, s.failed_cancelled,
        s.failed_closed};
    see(t, STATE);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        see(t, (intptr_t)numbers[i]);
}

/* -- programs */

static void about_calls(struct world *t, const int32_t *step) {
    struct call *call = pick(t, step[1]);
    if (call == NULL)
        return;
    if (step[0] == LOOK && !undecided(call))
        leave(t, call);
    else if (step[0] == END)
        end(t, call, step[2]);
    else if (step[0] == BEGIN_CLAIM)
        see(t, kc_op_begin_claim(call->op, step[3] % call->count));
    else if (step[0] == ANSWER)
        answer(t, call, step[2] != 0);
}

static void run_step(struct world *t, const int32_t *step) {
    int index = step[1] % t->channel_count;
    kc_chan_t *ch = t->channels[index];
    void *value;
    see(t, STEP);
    switch (step[0]) {
    case TRY_SEND:
        try_send(t, ch, next_value(t));
        break;
    case TRY_RECV:
        try_recv(t, ch, &value);
        break;
    case WAIT:
        wait(t, index, step[2] != 0);
        break;
    case CLOSE:
        see(t, kc_chan_close(ch, NULL));
        break;
    case CANCEL:
        see(t, kc_chan_cancel(ch, NULL, (kc_undelivered_t)(step[3] % 6)));
        break;
    case COUNT:
        see(t, kc_chan_count_failure(ch, -1 - step[2]));
        break;
    case ASK:
        ask(t, ch);
        break;
    case SELECT:
        begin_select(t, step);
        break;
    case HAPPEN:
        see(t, kc_event_set(&t->events[step[1] % EVENTS], ELEMENT_OF_EVENTS));
        break;
    case LOOK:
    case END:
    case BEGIN_CLAIM:
    case ANSWER:
        about_calls(t, step);
        break;
    default:
        about_shares(t, step, index);
    }
}

static void make(struct world *t, const int32_t *shape, int index) {
    t->hooks[index] = (struct hook){t, index};
    kc_chan_hooks_t hooks = {.undelivered = lost, .ctx = &t->hooks[index]};
    make_share(t, index);
    kc_chan_make(&t->channels[index], (kc_kind_t)shape[0], (size_t)shape[1], (kc_overflow_t)shape[2], &hooks);
}

size_t run_program(const int32_t *head, const int32_t *steps, size_t count, int32_t *trace, size_t room) {
    struct world t = {.parker = {unpark}, .trace = trace, .room = room, .chance = 1, .last = -1};
    for (int i = 0; i < EVENTS; i++)
        kc_event_init(&t.events[i]);
    t.channel_count = head[0];
    t.hook_mode = head[1];
    for (int i = 0; i < t.channel_count; i++)
        make(&t, head + 2 + 3 * i, i);
    for (size_t i = 0; i < count; i++) {
        run_step(&t, steps + i * WORDS);
        if (i % 4 == 3 || i + 1 == count)
            for (int k = 0; k < t.channel_count; k++)
                show(&t, t.channels[k]);
    }
    size_t length = t.length; /* what the end of the world shows is not compared */
    t.hook_mode = 0;          /* and its hooks leave the channels alone that are gone already */
    for (int i = 0; i < t.channel_count; i++)
        kc_chan_destroy(t.channels[i]);
    for (int i = 0; i < t.call_count; i++)
        free(t.calls[i]);
    return length;
}
