/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Who follows frames upwards from a coroutine comes to its entry, and stops there. Row: C4. */

#include <string.h>
#include <unwind.h>

#include "../csrc/coro.h"
#include "check.h"

#define MANY 200 /* frames: more than there are, so that it went astray */

static int frames, above; /* all of them; and those above the function that calls the body */

static _Unwind_Reason_Code count(struct _Unwind_Context *context, void *arg) {
    uintptr_t ip = _Unwind_GetIP(context);
    (void)arg;
    if (ip == 0)
        return _URC_NO_REASON; /* some say the end like this */
    above++;
    if (_Unwind_FindEnclosingFunction((void *)(ip - 1)) == (void *)(uintptr_t)kci_begin)
        above = 0;
    return ++frames < MANY ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static int look(void) {
    frames = 0;
    above = MANY;
    _Unwind_Backtrace(count, NULL);
    return frames;
}

static int deeper(int left);
static int (*volatile deeper_still)(int left) = deeper;

static int deeper(int left) {
    volatile int below = left == 0 ? look() : deeper_still(left - 1);
    return below;
}

/* What the frames were at that depth, before and after it stopped in the middle. */
static int looks(void *arg) {
    int *seen = arg;
    seen[0] = deeper_still(seen[0]);
    kc_coro_yield();
    seen[1] = deeper_still(seen[1]);
    return 0;
}

static void frames_at(int depth, int seen[2]) {
    kc_coro_t *co;
    seen[0] = seen[1] = depth;
    kc_coro_create(&co, looks, seen, NULL);
    kc_coro_resume(co);
    kc_coro_resume(co);
    kc_coro_destroy(co);
}

TEST(it_stops_at_the_entry) {
    int shallow[2], deep[2];
    frames_at(0, shallow);
    frames_at(20, deep);
    CHECK(above, >=, 1);
    CHECK(above, <=, strcmp(kc_coro_switcher(), "ucontext") == 0 ? 2 : 1);
    CHECK(shallow[0], >=, above + 3); /* deeper, looks, kci_begin */
    CHECK(shallow[0], <=, above + 4); /* and look, unless it is inline */
    CHECK(deep[0], ==, shallow[0] + 20);
    CHECK(deep[1], ==, deep[0]);
    CHECK(shallow[1], ==, shallow[0]);
}

int main(void) {
    RUN(it_stops_at_the_entry);
    return DONE;
}
