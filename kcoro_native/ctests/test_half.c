/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Halves: the last one out closes or cancels; a closed one is misuse. */

#include "kcoro/half.h"

#include "check.h"
#include "parkers.h"

TEST(the_last_sender_out_closes_the_channel) {
    kc_chan_t *ch;
    kc_sender_t a, b;
    void *element;
    kc_chan_make(&ch, KC_BUFFERED, 2, KC_SUSPEND, NULL);
    CHECK(kc_sender_open(&a, ch), ==, 0);
    CHECK(kc_sender_clone(&b, &a), ==, 0);
    CHECK(kc_sender_send_now(&a, ELEMENT(1)), ==, 0);
    CHECK(kc_sender_close(&a), ==, 0);
    CHECK(kc_chan_is_closed(ch), ==, 0);
    CHECK(kc_sender_close(&b), ==, 0);
    CHECK(kc_chan_is_closed(ch), ==, 1);
    CHECK(kc_chan_recv_now(ch, &element), ==, 0);
    CHECK(kc_chan_recv_now(ch, &element), ==, -EPIPE);
    kc_chan_destroy(ch);
}

TEST(the_last_receiver_out_cancels_the_channel) {
    kc_chan_t *ch;
    kc_receiver_t a, b;
    struct call c;
    kc_chan_make(&ch, KC_RENDEZVOUS, 0, KC_SUSPEND, NULL);
    kc_receiver_open(&a, ch);
    kc_receiver_clone(&b, &a);
    kc_chan_enqueue(ch, begin(&c, true, ELEMENT(1)));
    kc_receiver_close(&a);
    CHECK(kc_op_result(&c.op), ==, -EAGAIN);
    kc_receiver_close(&b);
    CHECK(kc_op_result(&c.op), ==, -EPIPE);
    CHECK(VALUE(c.w.value), ==, 1);
    kc_chan_destroy(ch);
}

TEST(a_half_keeps_its_channel_and_a_closed_half_is_misuse) {
    kc_chan_t *ch;
    kc_sender_t tx;
    kc_receiver_t rx;
    void *element;
    kc_chan_make(&ch, KC_UNLIMITED, 0, KC_SUSPEND, NULL);
    kc_sender_open(&tx, ch);
    kc_receiver_open(&rx, ch);
    kc_chan_release(ch);
    CHECK(kc_sender_send_now(&tx, ELEMENT(3)), ==, 0);
    CHECK(kc_receiver_recv_now(&rx, &element), ==, 0);
    CHECK(kc_sender_close(&tx), ==, 0);
    CHECK(kc_sender_close(&tx), ==, 0);
    CHECK(kc_sender_send_now(&tx, NULL), ==, -EINVAL);
    CHECK(kc_sender_clone(&tx, &tx), ==, -EINVAL);
    CHECK(kc_receiver_close(&rx), ==, 0);
    CHECK(kc_receiver_recv_now(&rx, &element), ==, -EINVAL);
    CHECK(kc_receiver_clone(&rx, &rx), ==, -EINVAL);
}

TEST(no_half_is_misuse) {
    kc_sender_t tx;
    kc_receiver_t rx;
    CHECK(kc_sender_open(NULL, NULL) + EINVAL, ==, 0);
    CHECK(kc_sender_open(&tx, NULL) + EINVAL, ==, 0);
    CHECK(kc_sender_clone(&tx, NULL) + EINVAL, ==, 0);
    CHECK(kc_sender_send_now(NULL, NULL) + EINVAL, ==, 0);
    CHECK(kc_sender_close(NULL) + EINVAL, ==, 0);
    CHECK(kc_receiver_open(NULL, NULL) + EINVAL, ==, 0);
    CHECK(kc_receiver_open(&rx, NULL) + EINVAL, ==, 0);
    CHECK(kc_receiver_clone(&rx, NULL) + EINVAL, ==, 0);
    CHECK(kc_receiver_recv_now(NULL, NULL) + EINVAL, ==, 0);
    CHECK(kc_receiver_close(NULL) + EINVAL, ==, 0);
}

int main(void) {
    RUN(the_last_sender_out_closes_the_channel);
    RUN(the_last_receiver_out_cancels_the_channel);
    RUN(a_half_keeps_its_channel_and_a_closed_half_is_misuse);
    RUN(no_half_is_misuse);
    return DONE;
}
