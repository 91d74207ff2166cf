/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Follows frame pointers out of a coroutine, as perf does, on a stack that somebody else has left full of words; `look`
** is where a debugger may stop. Everything has to be compiled with frame pointers.
*/

#include <string.h>

#include "check.h"
#include "kcoro/kcoro.h"

#define MANY 200 /* frames: more than there are, so that it went astray */
#define LEFT 512 /* bytes of a stack, in which a coroutine finds the registers to begin with */

/* Where the function that called this one keeps its own, and where it goes on, behind that. */
static const uintptr_t *two_words(uintptr_t frame) {
#ifdef __riscv
    return (const uintptr_t *)frame - 2; /* the frame pointer points behind them */
#else
    return (const uintptr_t *)frame;
#endif
}

/* How many functions there are, this one included; -1 if one has no frame in the stack of this coroutine. */
static int look(void) {
    void *low;
    size_t bytes;
    int frames = 0;
    kc_coro_stack(kc_coro_current(), &low, &bytes);
    for (uintptr_t at = (uintptr_t)__builtin_frame_address(0); at != 0; at = two_words(at)[0])
        if (at - (uintptr_t)low >= bytes || ++frames == MANY)
            return -1;
    return frames;
}

static int deeper(int left);
static int (*volatile deeper_still)(int left) = deeper;
static int (*volatile looks)(void) = look;

static int deeper(int left) {
    volatile int below = left == 0 ? looks() : deeper_still(left - 1);
    return below;
}

/* What the frames were at that depth, before and after it stopped in the middle. */
static int body(void *arg) {
    int *seen = arg;
    seen[0] = deeper_still(seen[0]);
    kc_coro_yield();
    seen[1] = deeper_still(seen[1]);
    return 0;
}

static kc_coro_t *frames_at(int depth) {
    kc_coro_t *co;
    int seen[2] = {depth, depth};
    CHECK(kc_coro_create(&co, body, seen, NULL), ==, 0);
    CHECK(kc_coro_resume(co), ==, 0);
    CHECK(kc_coro_resume(co), ==, 0);
    CHECK(kc_coro_state(co), ==, KC_CORO_FINISHED);
    CHECK(seen[0], ==, depth + 4); /* look, that many and one, body, kci_begin */
    CHECK(seen[1], ==, depth + 4);
    memset((char *)co - LEFT, 0x5a, LEFT); /* nobody goes back there */
    CHECK(kc_coro_destroy(co), ==, 0);
    return co;
}

TEST(frame_pointers_end_at_the_entry) {
    const kc_coro_t *first = frames_at(0);
    CHECK(frames_at(3) == first, ==, 1); /* and so the stack of the first */
}

int main(void) {
    RUN(frame_pointers_end_at_the_entry);
    return DONE;
}
