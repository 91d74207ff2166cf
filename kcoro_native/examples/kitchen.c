/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** A kitchen with three cooks: orders go through a pipeline of channels, a waiter selects between what is ready, the
** closing bell and a look at the clock, and every task runs wherever one of two workers has time. It uses nothing but the
** installed headers:
**
**     cmake -S kcoro_native -B build && cmake --build build && cmake --install build --prefix PREFIX
**     cc -std=c11 -IPREFIX/include kitchen.c PREFIX/lib/libkcoro.a -lpthread -o kitchen && ./kitchen 1000
*/
#include <errno.h>
#include <kcoro/kcoro.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define COOKS 3
#define MILLISECOND INT64_C(1000000)

typedef struct kitchen {
    kc_shared_t *orders;     /* numbers of orders, in the pointers themselves */
    kc_shared_t *meals;      /* what the cooks have made of them */
    kc_shared_token_t *bell; /* is set when the kitchen closes */
    int wanted;
    int served;
    long long sum;
} kitchen_t;

/* Take orders until there are none; each meal takes a while, in which others cook. */
static int cook(void *arg) {
    kitchen_t *k = arg;
    void *order;
    int cooked = 0, rc;

    while ((rc = kc_recv(k->orders, &order, -1)) == 0) {
        if (cooked++ % 64 == 0)
            kc_task_sleep(MILLISECOND);
        uintptr_t meal = (uintptr_t)order * 2;
        if ((rc = kc_send(k->meals, (void *)meal, -1)) != 0)
            return rc;
    }
    return rc == -EPIPE ? cooked : rc; /* -EPIPE: closed and drained, which is the end of the day */
}

/* Serve until the bell; a select takes exactly one of its clauses. */
static int serve(void *arg) {
    kitchen_t *k = arg;

    for (;;) {
        kc_clause_t clauses[3];
        kc_triggered_t rings;
        kc_shared_after_t idles;
        kc_select_t select;
        kc_shared_clause_recv(&clauses[0], k->meals);
        kc_shared_clause_triggered(&clauses[1], &rings, k->bell);
        kc_shared_clause_after(&clauses[2], &idles, 1000 * MILLISECOND);
        kc_select_init(&select, clauses, 3, KC_BIASED, KC_RAISE);
        int won = kc_select_wait(&select, -1);
        if (won != 0)
            return won == 1 ? k->served : won < 0 ? won : -ETIME; /* at the bell no meal is left: they come first */
        k->sum += (long long)(uintptr_t)select.op.value;
        k->served++;
    }
}

/* Everything of one day, as a task that spawns the others and joins them; 0, or what went wrong. */
static int day(void *arg) {
    kitchen_t *k = arg;
    kc_sched_t *s = kc_sched_current();
    kc_task_t *cooks[COOKS], *waiter;
    int rc = kc_sched_spawn(s, &waiter, serve, k, NULL, 0), cooked = 0, result = 0;

    for (int i = 0; i < COOKS && rc == 0; i++)
        rc = kc_sched_spawn(s, &cooks[i], cook, k, NULL, 0);
    for (int i = 1; i <= k->wanted && rc == 0; i++)
        rc = kc_send(k->orders, (void *)(uintptr_t)i, -1);
    if (rc != 0)
        return rc; /* a scheduler that is shut down ends the tasks that are left */
    kc_shared_close(k->orders, NULL);
    for (int i = 0; i < COOKS; i++) {
        kc_task_join(cooks[i], &result, -1);
        cooked += result;
    }
    kc_shared_token_trigger(k->bell, NULL);
    kc_task_join(waiter, &result, -1);
    return result == cooked && cooked == k->wanted ? 0 : -EIO;
}

int main(int argc, char **argv) {
    kitchen_t k = {.wanted = argc > 1 ? atoi(argv[1]) : 1000};
    kc_sched_options_t options = {.workers = 2};
    kc_sched_t *s;
    kc_task_t *task;
    int failed, rc;

    if (kc_check_abi(KC_ABI) != 0)
        return fprintf(stderr, "kitchen: the headers are of another libkcoro\n"), 2;
    if ((rc = kc_shared_make(&k.orders, KC_BUFFERED, 16, KC_SUSPEND, NULL)) != 0 ||
        (rc = kc_shared_make(&k.meals, KC_RENDEZVOUS, 0, KC_SUSPEND, NULL)) != 0 ||
        (rc = kc_shared_token_make(&k.bell, NULL)) != 0 ||
        (rc = kc_sched_create(&s, &options)) != 0 || (rc = kc_sched_start(s)) != 0)
        return fprintf(stderr, "kitchen: cannot open: %d\n", rc), 2;

    failed = kc_sched_spawn(s, &task, day, &k, NULL, -1);
    if (failed == 0)
        kc_task_join(task, &failed, -1);
    kc_sched_shutdown(s, -1);
    kc_sched_destroy(s);
    kc_shared_release(k.orders);
    kc_shared_release(k.meals);
    kc_shared_token_release(k.bell);
    printf("%d orders, %d served, sum %lld\n", k.wanted, k.served, k.sum);
    return failed == 0 ? 0 : 1;
}
