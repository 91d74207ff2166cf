/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** A test is one process: it checks, prints what it expected where it was wrong, and ends with 1 then.
**
**     TEST(a_closed_channel_drains) { CHECK(kc_chan_recv_now(ch, &v), ==, 0); }
**     int main(void) { RUN(a_closed_channel_drains); return DONE; }
*/
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

static int failures;
static const char *running;

/* Two integers and how they compare; pointers go through VALUE. */
#define CHECK(left, op, right)                                                                                         \
    do {                                                                                                               \
        intmax_t l_ = (intmax_t)(left), r_ = (intmax_t)(right);                                                        \
        if (!(l_ op r_)) {                                                                                             \
            failures++;                                                                                                \
            fprintf(stderr, "%s:%d: in %s: expected %s %s %s, but %s is %jd and %s is %jd\n", __FILE__, __LINE__,      \
                    running, #left, #op, #right, #left, l_, #right, r_);                                               \
        }                                                                                                              \
    } while (0)

#define TEST(name) static void name(void)
#define RUN(name) (running = #name, name())
#define DONE (failures != 0)

/* Elements are small numbers in a pointer. */
#define ELEMENT(number) ((void *)(intptr_t)(number))
#define VALUE(pointer) ((intptr_t)(pointer))

#endif
