/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Runs programs of acts.py on a scheduler, each act in a task of its own, or a thread, and writes down what is true each
** time that everything is quiet. Nothing but public headers is used.
**
**     acts WORKERS < programs > traces
**
** All numbers are int32. A program is: channels, resume, acts; kind, capacity, overflow of each channel; WORDS of each
** act. A trace is its length, and then for each step what ended, what was lost, who waits, and the books.
*/

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kcoro/shared_clauses.h"
#include "kcoro/shared_half.h"

#define CHANNELS 4
#define ARMS 4
#define TOKENS 4
#define WORDS 20
#define ACTS 512
#define ROOM 65536

enum op { SEND, RECV, SELECT, WAIT, CLOSE, CANCEL, STOP, RELEASE, TRIGGER, OPEN, SHUT };
enum way { WITH_NEXT = 1, BY_THREAD = 2 };
enum about { ABOUT_RECV, ABOUT_SEND, ABOUT_TRIGGERED, ABOUT_AFTER };
enum patience { TRY, LATE, FOREVER, FAR };
#define HOUR INT64_C(3600000000000)
enum seen { ENDED = 1000, LOST, QUIET, BOOKS };

struct act {
    struct world *world;
    /* op, ways, channel, value, patience, rule, arms; subject, about, value of each; last the token */
    const int32_t *words;
    kc_task_t *task; /* NULL: a thread */
    pthread_t thread;
    kc_atomic_int has_ended;
    bool is_told, is_stopped;
    int rc, index;
    intptr_t value;
};

struct hook {
    struct world *world;
    int channel;
};

struct world {
    kc_sched_t *sched;
    kc_shared_t *channels[CHANNELS];
    kc_shared_token_t *tokens[TOKENS];
    kc_shared_sender_t senders[ACTS];
    kc_shared_receiver_t receivers[ACTS];
    struct hook hooks[CHANNELS];
    struct act acts[ACTS];
    int channel_count, act_count;
    kc_atomic_int missing; /* acts of this step that have not come yet: all go on at once */
    pthread_mutex_t lock;  /* of what hooks write */
    int32_t lost[ACTS * 3];
    size_t lost_count;
    int32_t trace[ROOM];
    size_t length;
};

static void die(const char *why) {
    fprintf(stderr, "%s\n", why);
    abort();
}

static void see(struct world *w, intptr_t what) {
    if (w->length == ROOM)
        die("the trace is too long");
    w->trace[w->length++] = (int32_t)what;
}

static void lose(void *ctx, void *element, kc_undelivered_t why) {
    struct hook *hook = ctx;
    struct world *w = hook->world;
    pthread_mutex_lock(&w->lock);
    if (w->lost_count == ACTS)
        die("more is lost than was sent");
    int32_t *lost = &w->lost[3 * w->lost_count++];
    lost[0] = hook->channel;
    lost[1] = (int32_t)(intptr_t)element;
    lost[2] = (int32_t)why;
    pthread_mutex_unlock(&w->lock);
}

/* -- what an act does */

static int64_t timeout(enum patience patience) {
    static const int64_t of[] = {[TRY] = 0, [LATE] = 1, [FOREVER] = -1, [FAR] = HOUR};
    return of[patience];
}

/* The token by which a call ends, or NULL. */
static kc_shared_token_t *token_of(const struct act *act) {
    return act->words[WORDS - 1] < 0 ? NULL : act->world->tokens[act->words[WORDS - 1]];
}

static int plain(struct act *act, kc_shared_t *ch) {
    void *element = (void *)(intptr_t)act->words[3];
    int64_t timeout_ns = timeout((enum patience)act->words[4]);
    kc_shared_token_t *token = token_of(act);
    if (act->words[0] == SEND)
        return token != NULL ? kc_send_unless(ch, element, timeout_ns, token) : kc_send(ch, element, timeout_ns);
    element = NULL;
    int rc = token != NULL ? kc_recv_unless(ch, &element, timeout_ns, token) : kc_recv(ch, &element, timeout_ns);
    act->value = (intptr_t)element;
    return rc;
}

/* What clauses about time and tokens need. */
struct memory {
    kc_shared_after_t after;
    kc_triggered_t triggered;
};

static int fill(const struct world *w, kc_clause_t *clause, struct memory *memory, const int32_t *arm) {
    if (arm[1] == ABOUT_AFTER)
        return kc_shared_clause_after(clause, &memory->after, timeout(LATE));
    if (arm[1] == ABOUT_TRIGGERED)
        return kc_shared_clause_triggered(clause, &memory->triggered, w->tokens[arm[0]]);
    kc_shared_t *ch = w->channels[arm[0]];
    return arm[1] == ABOUT_SEND ? kc_shared_clause_send(clause, ch, (void *)(intptr_t)arm[2])
                                : kc_shared_clause_recv(clause, ch);
}

static int chosen(struct act *act) {
    kc_clause_t clauses[ARMS];
    struct memory memory[ARMS];
    kc_select_t select;
    size_t count = (size_t)act->words[6];
    for (size_t i = 0; i < count; i++)
        if (fill(act->world, &clauses[i], &memory[i], act->words + 7 + 3 * i) != 0)
            die("a clause is refused");
    kc_select_init(&select, clauses, count, KC_BIASED, (kc_closed_rule_t)act->words[5]);
    kc_shared_token_t *token = token_of(act);
    int64_t timeout_ns = timeout((enum patience)act->words[4]);
    int rc = token != NULL ? kc_select_unless(&select, timeout_ns, token) : kc_select_wait(&select, timeout_ns);
    if (rc >= 0)
        act->value = (intptr_t)select.op.value;
    act->index = rc >= 0 ? rc : rc == -EPIPE && kc_op_claim(&select.op) >= 0 ? kc_op_claim(&select.op) : -1;
    return rc >= 0 ? 0 : rc;
}

static int act_on(struct act *act) {
    struct world *w = act->world;
    kc_shared_t *ch = w->channels[act->words[2]];
    size_t half = act->words[0] >= OPEN ? (size_t)act->words[3] / 2 : 0;
    kc_shared_sender_t *sender = &w->senders[half];
    kc_shared_receiver_t *receiver = &w->receivers[half];
    bool sends = act->words[3] % 2 != 0;
    switch ((enum op)act->words[0]) {
    case SEND:
    case RECV:
        return plain(act, ch);
    case SELECT:
        return chosen(act);
    case WAIT:
        return kc_shared_token_wait(token_of(act), timeout((enum patience)act->words[4]));
    case CLOSE:
        return kc_shared_close(ch, (void *)(intptr_t)act->words[3]);
    case CANCEL:
        return kc_shared_cancel(ch, (void *)(intptr_t)act->words[3], KC_UNDELIVERED_CANCELLED);
    case STOP:
        return kc_task_cancel(w->acts[act->words[3]].task);
    case RELEASE:
        w->channels[act->words[2]] = NULL;
        return kc_shared_release(ch);
    case OPEN:
        return sends ? kc_shared_sender_open(sender, ch) : kc_shared_receiver_open(receiver, ch);
    case SHUT:
        return sends ? kc_shared_sender_close(sender) : kc_shared_receiver_close(receiver);
    case TRIGGER:
        return kc_shared_token_trigger(w->tokens[act->words[3]], NULL) < 0 ? -EINVAL : 0;
    }
    return -EINVAL;
}

static int body(void *arg) {
    struct act *act = arg;
    kc_atomic_add_sc(&act->world->missing, -1);
    while (kc_atomic_load_sc(&act->world->missing) != 0)
        if (kc_task_yield() != 0)
            sched_yield();
    act->rc = act_on(act);
    kc_atomic_store_sc(&act->has_ended, 1);
    return 0;
}

static void *body_of_thread(void *arg) {
    body(arg);
    return NULL;
}

/* -- what is true while everything is quiet */

static void tell_ended(struct world *w, int begun) {
    for (int i = 0; i < begun; i++) {
        struct act *act = &w->acts[i];
        if (act->is_told || kc_atomic_load_sc(&act->has_ended) == 0)
            continue;
        act->is_told = true;
        see(w, ENDED);
        see(w, i);
        see(w, act->rc);
        see(w, act->index);
        see(w, act->value);
    }
}

static void tell_lost(struct world *w) {
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->lost_count; i++) {
        see(w, LOST);
        for (size_t k = 0; k < 3; k++)
            see(w, w->lost[3 * i + k]);
    }
    w->lost_count = 0;
    pthread_mutex_unlock(&w->lock);
}

static void tell_books(struct world *w, int channel) {
    kc_shared_t *ch = w->channels[channel];
    kc_snapshot_t s;
    if (kc_shared_snapshot(ch, &s) != 0)
        return; /* it is gone */
    const uint64_t numbers[] = {s.length, s.peak_length, s.closed, s.waiting_senders, s.waiting_receivers, s.sent,
        s.received, s.dropped, s.handoffs, s.failed_would_block, s.failed_deadline, s.failed_cancelled,
        s.failed_closed, (uintptr_t)kc_shared_reason(ch)};
    if (s.length != kc_shared_length(ch) || s.closed != (kc_shared_is_closed(ch) == 1))
        die("the snapshot says something else");
    if ((s.closed && s.length == 0) != (kc_shared_is_drained(ch) == 1))
        die("a drained channel does not say so");
    see(w, BOOKS);
    see(w, channel);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        see(w, (intptr_t)numbers[i]);
}

static bool goes_on(struct act *act) {
    return kc_atomic_load_sc(&act->has_ended) == 0;
}

/* In how many lines an act stands that waits; not for a WAIT, KC_SKIP, or other clauses. One that is about to end stands
** in its line as well, but not for long. */
static int lines_of(const struct act *act) {
    kc_shared_token_t *token = token_of(act);
    if (act->words[4] == LATE || act->is_stopped || (token != NULL && kc_shared_token_is_set(token) == 1))
        return ACTS;
    return act->words[0] == SELECT ? act->words[6] : 1;
}

/*
** Everybody who has not ended stands in all lines that it wants. Who had ended is asked first: then nobody is left who
** could decide one that stands in line.
*/
static bool all_wait(struct world *w, int begun) {
    kc_snapshot_t s;
    int missing = 0;
    for (int i = 0; i < begun; i++)
        missing += goes_on(&w->acts[i]) ? lines_of(&w->acts[i]) : 0;
    for (int i = 0; i < w->channel_count; i++)
        if (kc_shared_snapshot(w->channels[i], &s) == 0)
            missing -= (int)(s.waiting_senders + s.waiting_receivers);
    return missing == 0;
}

/* Whether the scheduler does not know when it is quiet: it knows no threads, and would wait for deadlines. */
static bool is_beyond_it(struct act *act) {
    return goes_on(act) && (act->words[4] == FAR || (act->words[1] & BY_THREAD) != 0);
}

static void settle(struct world *w, int begun) {
    bool looks = false;
    for (int i = 0; i < begun; i++)
        looks = looks || is_beyond_it(&w->acts[i]);
    if (!looks)
        kc_sched_drain(w->sched, -1);
    while (looks && !all_wait(w, begun))
        sched_yield();
}

static int waiting(const struct world *w, int begun) {
    int count = 0;
    for (int i = 0; i < begun; i++)
        count += !w->acts[i].is_told;
    return count;
}

static void tell(struct world *w, int begun) {
    settle(w, begun);
    tell_ended(w, begun);
    tell_lost(w);
    for (int i = 0; i < w->channel_count; i++)
        tell_books(w, i);
    see(w, QUIET);
    see(w, waiting(w, begun));
}

/* -- programs */

static void begin_one(struct world *w, struct act *act) {
    if (act->words[0] == STOP)
        w->acts[act->words[3]].is_stopped = true;
    int rc = (act->words[1] & BY_THREAD) != 0 ? pthread_create(&act->thread, NULL, body_of_thread, act)
                                              : kc_sched_spawn(w->sched, &act->task, body, act, NULL, -1);
    if (rc != 0)
        die("no task, or no thread");
}

static void join(struct act *act) {
    int rc = act->task != NULL ? kc_task_join(act->task, NULL, 0) : pthread_join(act->thread, NULL);
    if (rc != 0)
        die("somebody waits at the end of a program");
}

/* Begin this act and those that come with it; which one is next. */
static int begin(struct world *w, int at) {
    int end = at;
    while ((w->acts[end++].words[1] & WITH_NEXT) != 0)
        ;
    kc_atomic_store_sc(&w->missing, end - at);
    for (; at < end; at++)
        begin_one(w, &w->acts[at]);
    return end;
}

static void run(struct world *w) {
    for (int at = 0; at < w->act_count;) {
        at = begin(w, at);
        tell(w, at);
    }
    kc_sched_drain(w->sched, -1);
    for (int i = 0; i < w->act_count; i++)
        join(&w->acts[i]);
}

static void take(int32_t *to, size_t count) {
    if (fread(to, sizeof *to, count, stdin) != count)
        die("a program is cut off");
}

static void make(struct world *w, int channel) {
    int32_t shape[3];
    take(shape, 3);
    w->hooks[channel] = (struct hook){w, channel};
    kc_chan_hooks_t hooks = {.undelivered = lose, .ctx = &w->hooks[channel]};
    if (kc_shared_make(&w->channels[channel], (kc_kind_t)shape[0], (size_t)shape[1], (kc_overflow_t)shape[2],
            &hooks) != 0)
        die("no channel");
}

/* A token with a child and a grandchild, and one that is alone. */
static void make_tokens(struct world *w) {
    for (int i = 0; i < TOKENS; i++)
        if (kc_shared_token_make(&w->tokens[i], i == 0 || i == TOKENS - 1 ? NULL : w->tokens[i - 1]) != 0)
            die("no token");
}

static void live(kc_sched_t **scheds, const int32_t *head) {
    struct world *w = calloc(1, sizeof *w);
    if (w == NULL || head[0] > CHANNELS || head[2] > ACTS)
        die("too large a program");
    w->channel_count = head[0];
    w->sched = scheds[head[1]];
    w->act_count = head[2];
    pthread_mutex_init(&w->lock, NULL);
    make_tokens(w);
    for (int i = 0; i < w->channel_count; i++)
        make(w, i);
    int32_t *words = calloc((size_t)w->act_count + 1, WORDS * sizeof *words);
    take(words, (size_t)w->act_count * WORDS);
    for (int i = 0; i < w->act_count; i++)
        w->acts[i] = (struct act){.world = w, .words = words + i * WORDS, .index = -1};
    run(w);
    int32_t length = (int32_t)w->length;
    fwrite(&length, sizeof length, 1, stdout);
    fwrite(w->trace, sizeof *w->trace, w->length, stdout);
    pthread_mutex_destroy(&w->lock);
    for (int i = 0; i < TOKENS; i++)
        kc_shared_token_release(w->tokens[i]);
    free(words);
    free(w);
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    kc_sched_t *scheds[2];
    int32_t head[3];
    for (int i = 0; i < 2; i++) {
        kc_sched_options_t options = {.workers = strtoull(argv[1], NULL, 10), .resume = (kc_resume_t)i};
        if (kc_sched_create(&scheds[i], &options) != 0 || kc_sched_start(scheds[i]) != 0)
            return 1;
    }
    while (fread(head, sizeof *head, 3, stdin) == 3)
        live(scheds, head);
    for (int i = 0; i < 2; i++)
        if (kc_sched_shutdown(scheds[i], -1) != 0 || kc_sched_destroy(scheds[i]) != 0)
            return 1;
    return 0;
}
