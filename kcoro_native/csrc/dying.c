/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The last words of a process whose coroutines have used up a stack. Contracts in coro.h and kcoro/coroutine.h.
**
** The only file that ends the process or writes to standard error: what a stack ran over is not known, so that nothing
** else of the program can be trusted. It calls what a signal handler may, and allocates nothing there.
*/

#define _XOPEN_SOURCE 700 /* sigaltstack belongs to the X/Open part of POSIX */

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "coro.h"
#include "pages.h"

#define SIGNAL_STACK 65536

/* -- words */

typedef struct words {
    char text[400];
    size_t length;
} words_t;

static void put(words_t *words, const char *text) {
    while (*text != '\0' && words->length < sizeof words->text)
        words->text[words->length++] = *text++;
}

static void put_number(words_t *words, uint64_t number) {
    char digits[21];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    put(words, &digits[at]);
}

void kci_say(const kc_coro_t *co, const char *why) {
    words_t words = {"", 0};
    put(&words, "kcoro: coroutine '");
    put(&words, co->name);
    put(&words, "' (id ");
    put_number(&words, co->id);
    put(&words, ", stack of ");
    put_number(&words, co->stack == NULL ? 0 : (uint64_t)(co->stack->top - co->stack->low));
    put(&words, " bytes): ");
    put(&words, why);
    put(&words, "\n");
    if (write(STDERR_FILENO, words.text, words.length) < 0)
        return; /* nobody listens */
}

void kci_die(const kc_coro_t *co, const char *why) {
    kci_say(co, why);
    abort();
}

/* -- faults at a guard page */

static const int signals[] = {SIGSEGV, SIGBUS};
static struct sigaction before[2];
static bool is_reporting;

static bool is_overflow(const kc_coro_t *co, const char *at) {
    const kci_stack_t *stack = co->stack;
    return stack != NULL && stack->has_guard && at < stack->low && at >= stack->low - kci_page_size();
}

/* What is no overflow goes to whoever was there before; so does an overflow, once it is told, and ends the process. */
static void report(int number, siginfo_t *info, void *context) {
    kci_thread_t *thread = kci_here_if_known();
    (void)context;
    if (thread != NULL && info->si_code > 0 && is_overflow(thread->current, info->si_addr))
        kci_say(thread->current, "its stack is used up; create it with a larger stack_size");
    sigaction(number, &before[number == SIGBUS], NULL);
    if (info->si_code <= 0)
        raise(number); /* it was sent, and will not come again by itself */
}

static int begin_signal_stack(kci_thread_t *thread) {
    stack_t stack;
    if (sigaltstack(NULL, &stack) != 0)
        return -ENOTSUP;
    if ((stack.ss_flags & SS_DISABLE) == 0)
        return 0;
    memset(&stack, 0, sizeof stack);
    stack.ss_sp = kci_alloc(1, SIGNAL_STACK);
    if (stack.ss_sp == NULL)
        return -ENOMEM;
    stack.ss_size = SIGNAL_STACK;
    if (sigaltstack(&stack, NULL) != 0) {
        kci_free(stack.ss_sp);
        return -ENOTSUP;
    }
    thread->signal_stack = stack.ss_sp;
    return 0;
}

void kci_signal_stack_end(kci_thread_t *thread) {
    stack_t none, now;
    if (thread->signal_stack == NULL)
        return;
    memset(&none, 0, sizeof none);
    none.ss_flags = SS_DISABLE;
    if (sigaltstack(NULL, &now) == 0 && now.ss_sp == thread->signal_stack)
        sigaltstack(&none, NULL);
    kci_free(thread->signal_stack);
    thread->signal_stack = NULL;
}

static int take_signals(void) {
    struct sigaction ours;
    memset(&ours, 0, sizeof ours);
    ours.sa_sigaction = report;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&ours.sa_mask);
    for (int i = 0; i < 2; i++)
        if (sigaction(signals[i], &ours, &before[i]) != 0)
            return -ENOTSUP;
    return 0;
}

int kc_coro_report_overflow(bool on) {
    kci_thread_t *here = kci_here();
    int rc = on ? begin_signal_stack(here) : 0;
    if (rc != 0 || on == is_reporting)
        return rc;
    if (on)
        rc = take_signals();
    else
        for (int i = 0; i < 2; i++)
            sigaction(signals[i], &before[i], NULL);
    is_reporting = on && rc == 0;
    if (!on)
        kci_signal_stack_end(here);
    return rc;
}
