/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** A stack that is used up ends the process, and its last words name the coroutine. Each scenario is a child process,
** because the environment is read once. Rows: C2, C3, C6, DG1.
*/

#define _XOPEN_SOURCE 700 /* SA_ONSTACK */

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../csrc/coro.h"
#include "../csrc/switch.h"
#include "check.h"
#include "kcoro/coroutine.h"
#include "kcoro/stack.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1 /* it has words of its own, and its own way to die */
#else
#define HAS_SANITIZER 0
#endif

#define ENV "KCORO_DEBUG_CTX_CHECK"

static char words[20000];
static int ended;

/* Run it in a child with the variable set to `checks`, or unset. Its words and how it ended are kept. */
static void in_a_child(void (*scenario)(void), const char *checks) {
    int ends[2], status;
    size_t length = 0;
    ssize_t more;
    if (pipe(ends) != 0)
        return;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        if (checks != NULL)
            setenv(ENV, checks, 1);
        else
            unsetenv(ENV);
        failures = 0;
        scenario();
        _exit(failures);
    }
    close(ends[1]);
    while ((more = read(ends[0], words + length, sizeof words - 1 - length)) > 0)
        length += (size_t)more;
    words[length] = '\0';
    close(ends[0]);
    waitpid(child, &status, 0);
    ended = WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static int says(const char *what) {
    return strstr(words, what) != NULL;
}

/* -- bodies */

static int idles(void *arg) {
    (void)arg;
    kc_coro_yield();
    return 0;
}

static int deeper(volatile char *above, int left) {
    volatile char here[512];
    memset((void *)here, left, sizeof here);
    return left == 0 ? 0 : deeper(here, left - 1) + here[left % 512] + above[0];
}

static int overflows(void *arg) {
    volatile char top[1] = {0};
    int bytes = *(int *)arg;
    int sum = deeper(top, bytes / 512);
    kc_coro_yield();
    return sum;
}

static int faults(void *arg) {
    volatile int *volatile nothing = NULL;
    (void)arg;
    return *nothing;
}

static kc_coro_t *make(const char *name, kc_coro_fn fn, void *arg) {
    kc_coro_options_t options = {0, name};
    kc_coro_t *co = NULL;
    CHECK(kc_coro_create(&co, fn, arg, &options), ==, 0);
    return co;
}

static void without_guards(void) {
    kc_stack_rules_t rules = {0, 0, 1024};
    kc_stacks_use(&rules);
}

/* -- checks */

static void goes_well(void) {
    kc_coro_t *co[200];
    for (int i = 0; i < 200; i++) {
        co[i] = make("sound", idles, NULL);
        CHECK(kc_coro_resume(co[i]), ==, 0);
    }
    for (int i = 0; i < 200; i++) {
        CHECK(kc_coro_resume(co[i]), ==, 0);
        CHECK(kc_coro_destroy(co[i]), ==, 0);
    }
}

static void goes_well_without_guards(void) {
    without_guards();
    goes_well();
}

static void spoils_a_canary(void) {
    kc_coro_t *co = make("parser", idles, NULL);
    kc_coro_resume(co);
    co->stack->canary[2]++;
    CHECK(kc_coro_resume(co), ==, 0);
    CHECK(kc_coro_state(co), ==, KC_CORO_FINISHED);
}

static int spoils_its_own(void *arg) {
    (void)arg;
    kc_coro_current()->stack->canary[0] = 0;
    kc_coro_yield();
    return 0;
}

/* Who never comes back is looked at when it leaves. */
static void leaves_with_a_spoilt_canary(void) {
    kc_coro_resume(make("parser", spoils_its_own, NULL));
}

static void spoils_a_canary_without_guards(void) {
    without_guards();
    make("neighbour", idles, NULL);
    spoils_a_canary();
}

static void moves_a_stack_pointer(void) {
    kc_coro_t *co = make("parser", idles, NULL), *other = make("other", idles, NULL);
    kc_coro_resume(co);
    kc_coro_resume(other);
    co->sp = other->sp;
    kc_coro_resume(co);
}

TEST(a_sound_program_is_silent_with_and_without_checks) {
    static const char *const values[] = {NULL, "", "0", "1"};
    for (int i = 0; i < 4; i++) {
        in_a_child(goes_well, values[i]);
        CHECK(ended, ==, 0);
        CHECK(strlen(words), ==, 0);
        in_a_child(goes_well_without_guards, values[i]);
        CHECK(ended, ==, 0);
        CHECK(strlen(words), ==, 0);
    }
}

TEST(a_spoilt_canary_ends_the_process) {
    in_a_child(spoils_a_canary, "1");
    CHECK(ended, ==, SIGABRT);
    CHECK(says("kcoro: coroutine 'parser' (id 1, stack of ") && says("canary"), ==, 1);
    in_a_child(leaves_with_a_spoilt_canary, "1");
    CHECK(ended, ==, SIGABRT);
    CHECK(says("'parser'"), ==, 1);
}

TEST(without_the_variable_a_guarded_stack_is_not_checked) {
    in_a_child(spoils_a_canary, NULL);
    CHECK(ended, ==, 0);
    in_a_child(spoils_a_canary, "0");
    CHECK(ended, ==, 0);
}

TEST(a_stack_without_a_guard_is_always_checked) {
    in_a_child(spoils_a_canary_without_guards, NULL);
    CHECK(ended, ==, SIGABRT);
    CHECK(says("'parser' (id 2, ") && says("canary"), ==, 1);
}

TEST(a_stack_pointer_out_of_bounds_ends_the_process) {
    in_a_child(moves_a_stack_pointer, "1");
    CHECK(ended, ==, SIGABRT);
    CHECK(says("'parser'") && says("stack pointer"), ==, 1);
}

/* -- overflows */

static int far_more = 300000, a_little_more = 66000;

static void overflows_at_a_guard(void) {
    kc_coro_resume(make("deep", overflows, &far_more));
}

static void overflows_and_reports(void) {
    CHECK(kc_coro_report_overflow(true), ==, 0);
    CHECK(kc_coro_report_overflow(true), ==, 0);
    overflows_at_a_guard();
}

static void *in_a_thread(void *arg) {
    (void)arg;
    overflows_and_reports();
    return NULL;
}

static void overflows_in_a_thread(void) {
    pthread_t thread;
    CHECK(kc_coro_report_overflow(true), ==, 0);
    pthread_create(&thread, NULL, in_a_thread, NULL);
    pthread_join(thread, NULL);
}

static void overflows_after_reporting_ended(void) {
    CHECK(kc_coro_report_overflow(true), ==, 0);
    CHECK(kc_coro_report_overflow(false), ==, 0);
    overflows_at_a_guard();
}

static void overflows_without_a_guard(void) {
    kc_coro_t *co;
    without_guards();
    make("neighbour", idles, NULL);
    co = make("deep", overflows, &a_little_more);
    kc_coro_resume(co);
}

static void faults_and_reports(void) {
    kc_coro_report_overflow(true);
    kc_coro_resume(make("innocent", faults, NULL));
}

static void is_sent_a_signal(void) {
    kc_coro_report_overflow(true);
    kill(getpid(), SIGSEGV);
}

/* -- what lies beside a stack with a guard */

static const kci_stack_t *beside;
static char as_it_was[65536 - 64];

static void compares(int number) {
    (void)number;
    _exit(memcmp(as_it_was, beside->low, sizeof as_it_was) != 0);
}

static void overflows_beside_another(void) {
    kc_coro_t *other = make("other", idles, NULL), *co = make("deep", overflows, &far_more);
    struct sigaction looks;
    kc_coro_report_overflow(true); /* for its signal stack */
    memset(&looks, 0, sizeof looks);
    looks.sa_handler = compares;
    looks.sa_flags = SA_ONSTACK;
    kc_coro_resume(other);
    beside = other->stack;
    CHECK(co->stack->low - other->stack->top, <, 65536); /* it is the next one below */
    CHECK(co->stack->low - other->stack->top, >, 0);
    memcpy(as_it_was, beside->low, sizeof as_it_was);
    sigaction(SIGSEGV, &looks, NULL);
    sigaction(SIGBUS, &looks, NULL);
    kc_coro_resume(co);
    _exit(2);
}

static void expect_death_by_fault(void) {
    if (!HAS_SANITIZER)
        CHECK(ended == SIGSEGV || ended == SIGBUS, ==, 1);
    CHECK(ended, !=, 0);
}

TEST(an_overflow_dies_at_the_guard) {
    in_a_child(overflows_at_a_guard, NULL);
    expect_death_by_fault();
    CHECK(says("kcoro:"), ==, 0);
    in_a_child(overflows_after_reporting_ended, NULL);
    expect_death_by_fault();
    CHECK(says("kcoro:"), ==, 0);
}

TEST(the_report_of_an_overflow_names_the_coroutine) {
    in_a_child(overflows_and_reports, NULL);
    expect_death_by_fault();
    CHECK(says("kcoro: coroutine 'deep' (id 1, stack of 6") && says("used up"), ==, 1);
    in_a_child(overflows_in_a_thread, NULL);
    expect_death_by_fault();
    CHECK(says("'deep'"), ==, 1);
}

TEST(memory_beside_a_guarded_stack_is_as_it_was) {
    in_a_child(overflows_beside_another, NULL);
    CHECK(ended, ==, 0);
}

TEST(what_is_no_overflow_is_not_reported_as_one) {
    in_a_child(faults_and_reports, NULL);
    expect_death_by_fault();
    CHECK(says("kcoro:"), ==, 0);
    in_a_child(is_sent_a_signal, NULL);
    expect_death_by_fault();
    CHECK(says("kcoro:"), ==, 0);
}

TEST(an_overflow_without_a_guard_is_found_at_the_next_switch) {
    in_a_child(overflows_without_a_guard, NULL);
    CHECK(ended, ==, SIGABRT);
    CHECK(says("'deep'") && says("more than its stack was used"), ==, 1);
}

/* -- past the end */

static void goes_on_after_the_end(void) {
    kc_coro_t *co = make("ended", idles, NULL);
    kci_thread_t *here = kci_here();
    kc_coro_resume(co);
    kc_coro_resume(co);
    if (here->main.is_watched)
        kci_go_watched(here, &here->main, co, NULL, false);
    here->current = co;
    kci_switch(&here->main, co, NULL);
}

TEST(who_goes_on_after_its_end_is_caught) {
    in_a_child(goes_on_after_the_end, NULL);
    CHECK(ended, ==, SIGABRT);
    CHECK(says("'ended'") && says("after its end"), ==, 1);
}

int main(void) {
    RUN(a_sound_program_is_silent_with_and_without_checks);
    RUN(a_spoilt_canary_ends_the_process);
    RUN(without_the_variable_a_guarded_stack_is_not_checked);
    RUN(a_stack_without_a_guard_is_always_checked);
    RUN(a_stack_pointer_out_of_bounds_ends_the_process);
    RUN(an_overflow_dies_at_the_guard);
    RUN(the_report_of_an_overflow_names_the_coroutine);
    RUN(memory_beside_a_guarded_stack_is_as_it_was);
    RUN(what_is_no_overflow_is_not_reported_as_one);
    RUN(an_overflow_without_a_guard_is_found_at_the_next_switch);
    RUN(who_goes_on_after_its_end_is_caught);
    return DONE;
}
