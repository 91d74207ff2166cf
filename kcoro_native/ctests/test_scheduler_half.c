/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Halves of channels that tasks on one, two and eight workers share, and what such a channel says of itself.
** Rows: SC3, CH9, CH10, CH13. */

#include "kcoro/shared_half.h"

#include "workers.h"

#if defined(ROUNDS)
/* Whoever compiles it has said how many. */
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS 200
#else
#define ROUNDS 2000
#endif
#define SENDERS 4
#define RECEIVERS 3

/* -- one after the other */

TEST(the_last_sender_out_closes_and_what_is_queued_is_drained) {
    kc_shared_t *ch;
    kc_shared_sender_t one, other;
    void *element = NULL;
    CHECK(kc_shared_make(&ch, KC_BUFFERED, 2, KC_SUSPEND, NULL), ==, 0);
    CHECK(kc_shared_sender_open(&one, ch), ==, 0);
    CHECK(kc_shared_sender_clone(&other, &one), ==, 0);
    CHECK(kc_send(one.ch, ELEMENT(1), 0), ==, 0);
    CHECK(kc_shared_sender_close(&one), ==, 0);
    CHECK(kc_shared_sender_close(&one), ==, 0); /* again, which counts nothing */
    CHECK(kc_send(one.ch, ELEMENT(2), 0), ==, -EINVAL);
    CHECK(kc_shared_sender_clone(&one, &one), ==, -EINVAL);
    CHECK(kc_send(other.ch, ELEMENT(2), 0), ==, 0);
    CHECK(kc_shared_is_closed(ch), ==, 0);
    CHECK(kc_shared_sender_close(&other), ==, 0);
    CHECK(kc_shared_is_closed(ch), ==, 1);
    CHECK(kc_recv(ch, &element, -1), ==, 0);
    CHECK(kc_recv(ch, &element, -1), ==, 0);
    CHECK(VALUE(element), ==, 2);
    CHECK(kc_recv(ch, &element, -1), ==, -EPIPE);
    kc_shared_release(ch);
}

static void count_told(void *ctx, void *element, kc_undelivered_t why) {
    CHECK(why, ==, KC_UNDELIVERED_CANCELLED);
    *(int *)ctx += (int)VALUE(element);
}

TEST(the_last_receiver_out_cancels) {
    int told = 0;
    kc_shared_t *ch;
    kc_chan_hooks_t hooks = {count_told, NULL, &told, NULL};
    kc_shared_receiver_t one, other;
    CHECK(kc_shared_make(&ch, KC_BUFFERED, 2, KC_SUSPEND, &hooks), ==, 0);
    CHECK(kc_shared_receiver_open(&one, ch), ==, 0);
    CHECK(kc_shared_receiver_clone(&other, &one), ==, 0);
    kc_send(ch, ELEMENT(7), 0);
    kc_shared_receiver_close(&other);
    CHECK(told, ==, 0);
    kc_shared_receiver_close(&one);
    CHECK(told, ==, 7);
    CHECK(kc_send(ch, ELEMENT(8), -1), ==, -EPIPE);
    CHECK(kc_shared_receiver_close(NULL), ==, -EINVAL);
    CHECK(kc_shared_receiver_open(NULL, ch), ==, -EINVAL);
    CHECK(kc_shared_receiver_open(&one, NULL), ==, -EINVAL);
    CHECK(kc_shared_sender_close(NULL), ==, -EINVAL);
    CHECK(kc_shared_sender_open(NULL, ch), ==, -EINVAL);
    kc_shared_release(ch);
}

TEST(a_half_keeps_its_channel) {
    kc_shared_t *ch;
    kc_shared_sender_t sender;
    kc_shared_receiver_t receiver;
    void *element = NULL;
    CHECK(kc_shared_make(&ch, KC_BUFFERED, 1, KC_SUSPEND, NULL), ==, 0);
    kc_shared_sender_open(&sender, ch);
    kc_shared_receiver_open(&receiver, ch);
    kc_shared_release(ch);
    CHECK(kc_send(sender.ch, ELEMENT(1), -1), ==, 0);
    kc_shared_sender_close(&sender);
    CHECK(kc_recv(receiver.ch, &element, -1), ==, 0);
    CHECK(kc_recv(receiver.ch, &element, -1), ==, -EPIPE);
    kc_shared_receiver_close(&receiver);
}

TEST(a_channel_says_what_it_holds_and_why_it_is_closed) {
    int why = 0, later = 0;
    void *element;
    kc_shared_t *ch;
    CHECK(kc_shared_make(&ch, KC_BUFFERED, 2, KC_SUSPEND, NULL), ==, 0);
    CHECK(kc_shared_length(ch), ==, 0);
    kc_send(ch, ELEMENT(1), 0);
    CHECK(kc_shared_length(ch), ==, 1);
    CHECK(kc_shared_is_closed(ch) + kc_shared_is_drained(ch), ==, 0);
    CHECK(kc_shared_reason(ch) == NULL, ==, 1);
    kc_shared_close(ch, &why);
    kc_shared_cancel(ch, &later, KC_UNDELIVERED_CANCELLED);
    CHECK(kc_shared_reason(ch) == &why, ==, 1);
    CHECK(kc_shared_is_closed(ch) + kc_shared_is_drained(ch), ==, 2);
    CHECK(kc_shared_length(ch), ==, 0);
    kc_shared_release(ch);
    CHECK(kc_shared_make(&ch, KC_BUFFERED, 2, KC_SUSPEND, NULL), ==, 0);
    kc_send(ch, ELEMENT(1), 0);
    kc_shared_close(ch, NULL);
    CHECK(kc_shared_is_closed(ch) - kc_shared_is_drained(ch), ==, 1);
    CHECK(kc_recv(ch, &element, 0), ==, 0);
    CHECK(kc_shared_is_drained(ch), ==, 1);
    kc_shared_release(ch);
    CHECK(kc_shared_length(NULL), ==, 0);
    CHECK(kc_shared_reason(NULL) == NULL, ==, 1);
    CHECK(kc_shared_is_closed(NULL) == -EINVAL && kc_shared_is_drained(NULL) == -EINVAL, ==, 1);
}

/* -- at once */

struct half_world {
    kc_shared_sender_t senders[SENDERS];
    kc_shared_receiver_t receivers[RECEIVERS];
    kc_atomic_int next_sender, next_receiver, sent, received;
};

static int sends_and_goes(void *arg) {
    struct half_world *w = arg;
    kc_shared_sender_t half, *own = &w->senders[kc_atomic_add_sc(&w->next_sender, 1) - 1];
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(kc_shared_sender_clone(&half, own), ==, 0);
        if (kc_send(half.ch, ELEMENT(i), -1) == 0)
            kc_atomic_add_sc(&w->sent, 1);
        kc_shared_sender_close(&half);
    }
    return kc_shared_sender_close(own);
}

static int receives_to_the_end(void *arg) {
    struct half_world *w = arg;
    kc_shared_receiver_t *own = &w->receivers[kc_atomic_add_sc(&w->next_receiver, 1) - 1];
    void *element;
    int rc;
    while ((rc = kc_recv(own->ch, &element, LONG)) == 0)
        kc_atomic_add_sc(&w->received, 1);
    kc_shared_receiver_close(own);
    return rc;
}

static int receives_one_and_goes(void *arg) {
    struct half_world *w = arg;
    kc_shared_receiver_t *own = &w->receivers[kc_atomic_add_sc(&w->next_receiver, 1) - 1];
    void *element;
    int rc = kc_recv(own->ch, &element, LONG);
    kc_atomic_add_sc(&w->received, rc == 0);
    kc_shared_receiver_close(own);
    return rc;
}

static void populate(struct half_world *w, kc_kind_t kind) {
    kc_shared_t *ch;
    CHECK(kc_shared_make(&ch, kind, 0, KC_SUSPEND, NULL), ==, 0);
    for (int i = 0; i < SENDERS; i++)
        kc_shared_sender_open(&w->senders[i], ch);
    for (int i = 0; i < RECEIVERS; i++)
        kc_shared_receiver_open(&w->receivers[i], ch);
    kc_shared_release(ch);
    kc_atomic_store(&w->next_sender, 0);
    kc_atomic_store(&w->next_receiver, 0);
    kc_atomic_store(&w->sent, 0);
    kc_atomic_store(&w->received, 0);
}

TEST(receivers_get_all_until_the_last_sender_goes) {
    EACH(n) {
        struct half_world w;
        kc_task_t *tasks[SENDERS + RECEIVERS];
        kc_sched_t *s = started(n, KC_RESUME_QUEUE);
        populate(&w, KC_UNLIMITED);
        for (int i = 0; i < SENDERS + RECEIVERS; i++)
            tasks[i] = spawn(s, i < SENDERS ? sends_and_goes : receives_to_the_end, &w);
        for (int i = 0; i < SENDERS + RECEIVERS; i++)
            CHECK(joined(tasks[i]), ==, i < SENDERS ? 0 : -EPIPE);
        CHECK(kc_atomic_load(&w.received), ==, SENDERS * ROUNDS);
        end(s);
    }
}

TEST(no_sender_waits_for_receivers_that_are_gone) {
    EACH(n) {
        struct half_world w;
        kc_task_t *tasks[SENDERS + RECEIVERS];
        kc_sched_t *s = started(n, KC_RESUME_QUEUE);
        populate(&w, KC_RENDEZVOUS);
        for (int i = 0; i < SENDERS + RECEIVERS; i++)
            tasks[i] = spawn(s, i < SENDERS ? sends_and_goes : receives_one_and_goes, &w);
        for (int i = 0; i < SENDERS + RECEIVERS; i++)
            CHECK(joined(tasks[i]), ==, 0);
        CHECK(kc_atomic_load(&w.received), ==, RECEIVERS);
        CHECK(kc_atomic_load(&w.sent), ==, RECEIVERS);
        end(s);
    }
}

int main(void) {
    RUN(the_last_sender_out_closes_and_what_is_queued_is_drained);
    RUN(the_last_receiver_out_cancels);
    RUN(a_half_keeps_its_channel);
    RUN(a_channel_says_what_it_holds_and_why_it_is_closed);
    RUN(receivers_get_all_until_the_last_sender_goes);
    RUN(no_sender_waits_for_receivers_that_are_gone);
    return DONE;
}
