/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Short histories of calls that tasks make at once on two shared channels, for histories.py, which says whether there
** is an order in which they could have happened one after the other.
**
**     histories SEED COUNT WORKERS
**
** Each history is a line "H kind capacity overflow" and a line for each call:
** "O began ended how result value arms...", with three numbers for each arm: channel, whether it sends, what it sends. In
** how are 1 for a try, 2 for a select that skips what is closed, and 4 times the number of the token that ends the call,
** which is that of its task, from 1 on. A close is a call without arms; its value is the channel. A trigger is one as
** well; its value is that of the last channel and the number of the token. An arm about the token of its task has that
** value in place of a channel.
*/

#include <stdio.h>
#include <stdlib.h>

#include "kcoro/shared_clauses.h"

#define CHANNELS 2
#define TASKS_MOST 4
#define CALLS_MOST 3
#define ARMS_MOST 2

struct arm {
    int channel, value;
    bool sending;
};

struct call {
    int began, ended, arms, result;
    int token; /* its number, or 0 */
    bool is_try, skips;
    intptr_t value;
    struct arm arm[ARMS_MOST];
};

struct actor {
    struct call calls[CALLS_MOST];
    int count;
    uint64_t chance;
};

static kc_shared_t *channels[CHANNELS];
static kc_shared_token_t *tokens[1 + TASKS_MOST]; /* the first is none */
static kc_atomic_int clock_of_all, ready;

static size_t pick(uint64_t *chance, size_t n) {
    return kc_pick_random(chance, n);
}

/* -- what a call does */

static void call_plain(struct call *call) {
    const struct arm *arm = &call->arm[0];
    int64_t timeout_ns = call->is_try ? 0 : -1;
    kc_shared_token_t *token = tokens[call->token];
    void *element = NULL;
    if (arm->sending)
        call->result = kc_send_unless(channels[arm->channel], (void *)(intptr_t)arm->value, timeout_ns, token);
    else
        call->result = kc_recv_unless(channels[arm->channel], &element, timeout_ns, token);
    call->value = (intptr_t)element;
}

static void call_select(struct call *call) {
    kc_clause_t clauses[ARMS_MOST];
    kc_triggered_t memory;
    kc_select_t select;
    for (int i = 0; i < call->arms; i++) {
        const struct arm *arm = &call->arm[i];
        if (arm->channel >= CHANNELS)
            kc_shared_clause_triggered(&clauses[i], &memory, tokens[arm->channel - CHANNELS + 1]);
        else if (arm->sending)
            kc_shared_clause_send(&clauses[i], channels[arm->channel], (void *)(intptr_t)arm->value);
        else
            kc_shared_clause_recv(&clauses[i], channels[arm->channel]);
    }
    kc_select_init(&select, clauses, (size_t)call->arms, KC_BIASED, call->skips ? KC_SKIP : KC_RAISE);
    call->result = kc_select_unless(&select, call->is_try ? 0 : -1, tokens[call->token]);
    call->value = call->result >= 0 ? (intptr_t)select.op.value : 0;
}

static void call_trigger(struct call *call) {
    call->result = kc_shared_token_trigger(tokens[call->value - CHANNELS + 1], NULL);
}

static int acts(void *arg) {
    struct actor *actor = arg;
    kc_atomic_add_sc(&ready, -1);
    while (kc_atomic_load(&ready) != 0) /* so that they come at once */
        kc_task_yield();
    for (int i = 0; i < actor->count; i++) {
        struct call *call = &actor->calls[i];
        for (volatile size_t pause = pick(&actor->chance, 30); pause != 0; pause--)
            ;
        call->began = kc_atomic_add_sc(&clock_of_all, 1);
        (call->arms == 0 ? call_trigger : call->arms == 1 ? call_plain : call_select)(call);
        call->ended = kc_atomic_add_sc(&clock_of_all, 1);
    }
    return 0;
}

/* -- one history */

/* Of the task with this number; tokens are those of `count` tasks. */
static void invent(struct call *call, int number, int count, uint64_t *chance, int *value) {
    if (pick(chance, 8) == 0) {
        call->value = CHANNELS + (intptr_t)pick(chance, (size_t)count);
        return;
    }
    call->token = pick(chance, 2) == 0 ? number : 0;
    call->arms = pick(chance, 3) == 0 ? 2 : 1;
    call->is_try = pick(chance, 3) == 0;
    call->skips = call->arms > 1 && pick(chance, 2) == 0;
    for (int i = 0; i < call->arms; i++) {
        struct arm *arm = &call->arm[i];
        arm->channel = (int)(pick(chance, 3) == 0);
        arm->sending = pick(chance, 2) == 0;
        arm->value = arm->sending ? ++*value : 0;
    }
    if (call->arms > 1 && !call->skips && pick(chance, 2) == 0) /* one that skips would wait for its token for ever */
        call->arm[pick(chance, 2)] = (struct arm){.channel = CHANNELS + number - 1};
}

static void close_one(struct call *call, int channel) {
    call->arms = 0;
    call->value = channel;
    call->began = kc_atomic_add_sc(&clock_of_all, 1);
    kc_shared_close(channels[channel], NULL);
    call->ended = kc_atomic_add_sc(&clock_of_all, 1);
}

static void tell(const struct call *call) {
    printf("O %d %d %d %d %d", call->began, call->ended, call->is_try + 2 * call->skips + 4 * call->token,
           call->result, (int)call->value);
    for (int i = 0; i < call->arms; i++)
        printf(" %d %d %d", call->arm[i].channel, call->arm[i].sending, call->arm[i].value);
    putchar('\n');
}

static void make_channels(uint64_t *chance) {
    kc_kind_t kind = (kc_kind_t)pick(chance, 4);
    size_t capacity = kind == KC_BUFFERED ? 1 + pick(chance, 2) : 0;
    kc_overflow_t overflow = kind == KC_BUFFERED ? (kc_overflow_t)pick(chance, 3) : KC_SUSPEND;
    for (int k = 0; k < CHANNELS; k++)
        if (kc_shared_make(&channels[k], kind, capacity, overflow, NULL) != 0)
            abort();
    printf("H %d %zu %d\n", (int)kind, capacity, (int)overflow);
}

/* Two to four tasks; and the main thread closes both channels, so that all calls end: now and then at any time. */
static void live(kc_sched_t *s, uint64_t *chance) {
    struct actor actors[TASKS_MOST] = {0};
    struct call ends[CHANNELS] = {0};
    kc_task_t *tasks[TASKS_MOST];
    int count = 2 + (int)pick(chance, TASKS_MOST - 1), value = 0;
    make_channels(chance);
    kc_atomic_store(&clock_of_all, 0);
    kc_atomic_store(&ready, count);
    for (int i = 0; i < count; i++)
        if (kc_shared_token_make(&tokens[1 + i], NULL) != 0)
            abort();
    for (int i = 0; i < count; i++) {
        actors[i].count = 1 + (int)pick(chance, CALLS_MOST);
        actors[i].chance = *chance + (uint64_t)i;
        for (int k = 0; k < actors[i].count; k++)
            invent(&actors[i].calls[k], 1 + i, count, chance, &value);
        kc_sched_spawn(s, &tasks[i], acts, &actors[i], NULL, -1);
    }
    if (pick(chance, 3) != 0)
        kc_sched_drain(s, -1);
    for (int k = 0; k < CHANNELS; k++)
        close_one(&ends[k], k);
    for (int i = 0; i < count; i++) {
        kc_task_join(tasks[i], NULL, -1);
        for (int k = 0; k < actors[i].count; k++)
            tell(&actors[i].calls[k]);
    }
    for (int i = 0; i < count; i++)
        kc_shared_token_release(tokens[1 + i]);
    for (int k = 0; k < CHANNELS; k++) {
        tell(&ends[k]);
        kc_shared_release(channels[k]);
    }
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    uint64_t chance = strtoull(argv[1], NULL, 10);
    kc_sched_options_t options = {.workers = strtoull(argv[3], NULL, 10), .resume = KC_RESUME_QUEUE};
    kc_sched_t *s;
    if (kc_sched_create(&s, &options) != 0 || kc_sched_start(s) != 0)
        return 1;
    for (long left = strtol(argv[2], NULL, 10); left > 0; left--)
        live(s, &chance);
    return kc_sched_shutdown(s, -1) != 0 || kc_sched_destroy(s) != 0;
}
