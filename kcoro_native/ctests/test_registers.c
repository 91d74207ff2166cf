/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What a callee keeps, a switch keeps: each register, and how floating point rounds and traps. Row: C4. */

#include "../csrc/owned.h"
#include "check.h"
#include "kcoro/coroutine.h"

#if defined(__x86_64__)
#define CONTROLS {6, 7}
static const char *const names[] = {"rbx", "rbp", "r12", "r13", "r14", "r15", "MXCSR", "x87"};
static const uint64_t settings[][2] = {
    {0x1f80, 0x037f}, {0x3f80, 0x077f}, {0x5f00, 0x0b7f}, {0x9f80, 0x037f}, {0x1f80, 0x0f7e}};
#elif defined(__aarch64__)
#define CONTROLS {11, 11}
static const char *const names[] = {"x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28",
                                    "x29", "FPCR", "d8", "d9", "d10", "d11", "d12", "d13", "d14", "d15"};
static const uint64_t settings[][2] = {{0, 0}, {1 << 22, 1 << 22}, {1 << 23, 1 << 23}, {1 << 24, 1 << 24}, {3 << 22, 3 << 22}};
#elif defined(__riscv)
#define CONTROLS {24, 24}
static const char *const names[] = {"s0",  "s1",  "s2",  "s3",  "s4",  "s5",  "s6",   "s7",   "s8",
                                    "s9",  "s10", "s11", "fs0", "fs1", "fs2", "fs3",  "fs4",  "fs5",
                                    "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "frm"};
static const uint64_t settings[][2] = {{0, 0}, {1, 1}, {2, 2}, {3, 3}, {4, 4}};
#else
#define NOTHING_TO_FILL
#endif

#ifdef NOTHING_TO_FILL
int main(void) {
    return 0;
}
#else

#define WORDS (sizeof names / sizeof names[0])
#define PARTIES 5 /* four coroutines, and who resumes them; of two some differ in one control word only */

void through(const uint64_t *in, uint64_t *out, int (*fn)(void *), void *arg);

/* The sticky flags of MXCSR belong to nobody. */
#define STICKY 0x3f

static void fill(uint64_t *words, unsigned party, unsigned round) {
    static const size_t controls[] = CONTROLS;
    for (size_t i = 0; i < WORDS; i++)
        words[i] = (uint64_t)0x0123456789abcdef * (party + 1) + round * 1000 + i;
    for (size_t i = 0; i < 2; i++)
        words[controls[i]] = settings[party][i];
}

static void compare(const uint64_t *in, const uint64_t *out, unsigned party) {
    for (size_t i = 0; i < WORDS; i++)
        if ((in[i] ^ out[i]) & ~(uint64_t)(names[i][0] == 'M' ? STICKY : 0)) {
            fprintf(stderr, "party %u: %s was %" PRIx64 " and is %" PRIx64 "\n", party, names[i], in[i], out[i]);
            failures++;
        }
}

static int yields(void *arg) {
    (void)arg;
    return kc_coro_yield();
}

static int resumes(void *arg) {
    return kc_coro_resume(arg);
}

/* The same by the moves that end in a return. */

static int leaves(void *arg) {
    kci_thread_t *here = kci_here();
    (void)arg;
    kci_owned_go(here, here->current->resumer);
    return 0;
}

static int enters(void *arg) {
    kci_thread_t *here = kci_here();
    ((kc_coro_t *)arg)->resumer = here->current;
    kci_owned_go(here, arg);
    return 0;
}

static int is_owned;

static int keeps_them(void *arg) {
    unsigned party = *(unsigned *)arg;
    uint64_t in[WORDS], out[WORDS];
    for (unsigned round = 0; round < 50; round++) {
        fill(in, party, round);
        through(in, out, is_owned ? leaves : yields, NULL);
        compare(in, out, party);
    }
    return 0;
}

TEST(a_switch_keeps_what_a_callee_keeps) {
    unsigned party[PARTIES] = {0, 1, 2, 3, 4};
    kc_coro_t *co[PARTIES];
    uint64_t in[WORDS], out[WORDS];
    for (int i = 1; i < PARTIES; i++)
        CHECK(kc_coro_create(&co[i], keeps_them, &party[i], NULL), ==, 0);
    for (int i = 1; i < PARTIES && is_owned; i++) {
        kci_own(co[i]);
        CHECK(kc_coro_resume(co[i]), ==, -EINVAL);
    }
    for (unsigned round = 0; round < 51; round++)
        for (int i = 1; i < PARTIES; i++) {
            fill(in, 0, round);
            through(in, out, is_owned ? enters : resumes, co[i]);
            compare(in, out, 0);
        }
    for (int i = 1; i < PARTIES; i++) {
        CHECK(kc_coro_state(co[i]), ==, KC_CORO_FINISHED);
        kc_coro_destroy(co[i]);
    }
}

/* -- a new coroutine has the settings of who created it */

/* Two quotients that no two ways of rounding make the same. */
static int divides(void *arg) {
    volatile double one = 1, three = 3, ten = 10;
    ((double *)arg)[0] = one / three;
    ((double *)arg)[1] = one / ten;
    return 0;
}

static int are_same(const double *a, const double *b) {
    return a[0] == b[0] && a[1] == b[1];
}

struct made {
    kc_coro_t *co;
    double quotients[2];
};

static int creates(void *arg) {
    struct made *made = arg;
    return kc_coro_create(&made->co, divides, made->quotients, NULL);
}

TEST(a_new_coroutine_rounds_as_its_creator_did) {
    uint64_t in[WORDS], out[WORDS];
    double usual[2];
    divides(usual);
    for (unsigned party = 1; party <= 2; party++) {
        struct made made;
        double expected[2];
        fill(in, party, 0);
        through(in, out, divides, expected);
        CHECK(are_same(usual, expected), ==, 0);
        through(in, out, creates, &made);
        CHECK(kc_coro_resume(made.co), ==, 0);
        CHECK(are_same(made.quotients, expected), ==, 1);
        divides(made.quotients);
        CHECK(are_same(made.quotients, usual), ==, 1);
        kc_coro_destroy(made.co);
    }
}

int main(void) {
    kc_coro_checks(); /* begins with coroutines, which takes the fastest way */
    for (int way = 0; way < kci_switch_ways(); way++) {
        kci_switch_use(way);
        for (is_owned = 0; is_owned < 2; is_owned++)
            RUN(a_switch_keeps_what_a_callee_keeps);
        RUN(a_new_coroutine_rounds_as_its_creator_did);
    }
    return DONE;
}
#endif
