/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Runs programs about timers and tokens on libkcoro; times.py does the same on the reference engine. */

#include <string.h>

#include "harness.h"

#define THINGS 24

struct pen {
    int32_t *trace;
    size_t length, room;
};

static void see(struct pen *pen, int64_t what) {
    if (pen->length + 1 < pen->room) {
        pen->trace[pen->length] = (int32_t)(what >> 31);
        pen->trace[pen->length + 1] = (int32_t)(what & 0x7fffffff);
    }
    pen->length += 2;
}

/* -- timers */

enum timer_step { START, STOP, EXPIRE, NEXT };

struct timer {
    kc_timer_t timer;
    struct clock *clock;
    int id, then, other; /* what it does when it fires: nothing, start or cancel the other */
};

struct clock {
    struct pen pen;
    kc_timers_t timers;
    struct timer all[THINGS];
    uint64_t now;
};

static void fire(kc_timer_t *self);

static void start(struct clock *c, struct timer *timer, uint64_t delay) {
    see(&c->pen, kc_timer_start(&c->timers, &timer->timer, c->now + delay, fire) == 0);
}

static void fire(kc_timer_t *self) {
    struct timer *timer = (struct timer *)self;
    struct clock *c = timer->clock;
    see(&c->pen, 1000 + timer->id);
    if (timer->then == 1)
        start(c, &c->all[timer->other], 0);
    else if (timer->then == 2)
        see(&c->pen, kc_timer_cancel(&c->all[timer->other].timer));
}

/* A time of mantissa and exponent: few steps reach every level of a wheel. */
static uint64_t span(const int32_t *step) {
    return (uint64_t)step[2] << step[3];
}

size_t run_timers(const int32_t *steps, size_t count, int32_t *trace, size_t room) {
    static struct clock c;
    memset(&c, 0, sizeof c);
    c.pen = (struct pen){trace, 0, room};
    kc_timers_init(&c.timers, 0);
    for (int i = 0; i < THINGS; i++) {
        c.all[i].clock = &c;
        c.all[i].id = i;
    }
    for (const int32_t *step = steps; step < steps + count * WORDS; step += WORDS) {
        struct timer *timer = &c.all[step[1] % THINGS];
        if (step[0] == START && timer->timer.timers == NULL) {
            timer->then = step[4] % 4;
            timer->other = step[5] % THINGS;
            start(&c, timer, span(step));
        } else if (step[0] == STOP) {
            see(&c.pen, kc_timer_cancel(&timer->timer));
        } else if (step[0] == EXPIRE) {
            c.now += span(step);
            see(&c.pen, kc_timers_expire(&c.timers, c.now));
        } else if (step[0] == NEXT) {
            uint64_t next = kc_timers_next(&c.timers);
            see(&c.pen, next == KC_NEVER ? -1 : (int64_t)next);
            see(&c.pen, (int64_t)kc_timers_count(&c.timers));
        }
    }
    return c.pen.length;
}

/* -- tokens */

enum token_step { GROW, LISTEN, IGNORE, SET };

struct listener {
    kc_subscription_t subscription;
    struct forest *forest;
    int id, then, other; /* what it does: nothing, take another back, set another token, grow a child */
};

struct forest {
    struct pen pen;
    kc_token_t tokens[THINGS];
    struct listener listeners[THINGS];
    int token_count, listener_count;
};

static void grow(struct forest *f, int parent) {
    if (f->token_count < THINGS) {
        kc_token_t *token = &f->tokens[f->token_count];
        kc_token_init(token, f->token_count == 0 ? NULL : &f->tokens[parent % f->token_count]);
        f->token_count++;
        see(&f->pen, token->is_set);
    }
}

static void heard(kc_subscription_t *self) {
    struct listener *listener = (struct listener *)self;
    struct forest *f = listener->forest;
    see(&f->pen, 1000 + listener->id);
    for (int i = 0; i < f->token_count; i++)
        see(&f->pen, f->tokens[i].is_set);
    if (listener->then == 1)
        see(&f->pen, kc_token_unsubscribe(&f->listeners[listener->other % f->listener_count].subscription));
    else if (listener->then == 2)
        see(&f->pen, kc_token_trigger(&f->tokens[listener->other % f->token_count], NULL));
    else if (listener->then == 3)
        grow(f, listener->other);
}

static void listen(struct forest *f, const int32_t *step) {
    if (f->listener_count == THINGS)
        return;
    struct listener *listener = &f->listeners[f->listener_count];
    *listener = (struct listener){.forest = f, .id = f->listener_count, .then = step[4] % 6, .other = step[5]};
    f->listener_count++;
    see(&f->pen, kc_token_subscribe(&f->tokens[step[1] % f->token_count], &listener->subscription, heard) == 0);
}

size_t run_tokens(const int32_t *steps, size_t count, int32_t *trace, size_t room) {
    struct forest f;
    memset(&f, 0, sizeof f);
    f.pen = (struct pen){trace, 0, room};
    grow(&f, 0);
    for (const int32_t *step = steps; step < steps + count * WORDS; step += WORDS) {
        if (step[0] == GROW)
            grow(&f, step[1]);
        else if (step[0] == LISTEN)
            listen(&f, step);
        else if (step[0] == IGNORE && f.listener_count != 0)
            see(&f.pen, kc_token_unsubscribe(&f.listeners[step[1] % f.listener_count].subscription));
        else if (step[0] == SET)
            see(&f.pen, kc_token_trigger(&f.tokens[step[1] % f.token_count], (void *)(intptr_t)(step[2] + 1)));
    }
    for (int i = 0; i < f.token_count; i++)
        see(&f.pen, (int64_t)(intptr_t)f.tokens[i].reason);
    return f.pen.length;
}
