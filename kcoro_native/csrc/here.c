/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** What each thread knows of coroutines; see coro.h.
**
** A file of its own, and kept out of optimisation at link time: whoever calls kci_here anew gets the thread that runs
** now, and not an address from before a switch.
*/

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "near.h"

#define IDS 1024 /* that a thread takes at once */

_Thread_local kci_thread_t kci_thread;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t key;
static uint64_t ids;
static bool checks_all;

static void end(void *thread) {
    kci_thread_t *self = thread;
    kci_near_leave(self);
    kci_signal_stack_end(self);
    self->is_known = false; /* what runs later in this thread, such as another destructor, begins anew */
}

static void begin_process(void) {
    const char *wish = getenv("KCORO_DEBUG_CTX_CHECK");
    checks_all = KCORO_CTX_DIAGNOSTICS && wish != NULL && *wish != '\0' && strcmp(wish, "0") != 0;
    pthread_key_create(&key, end);
    kci_switch_tune();
}

static void begin_thread(void) {
    pthread_once(&once, begin_process);
    kc_atomic_store(&kci_thread.main.state, KC_CORO_RUNNING);
    kci_fiber_of_thread(&kci_thread.main.fiber);
    kci_thread.main.is_watched = KCI_FIBERS;
    kci_thread.watches_all = KCI_FIBERS || checks_all;
    kci_thread.current = &kci_thread.main;
    kci_thread.is_known = true;
    pthread_setspecific(key, &kci_thread);
}

kci_thread_t *kci_here(void) {
    if (!kci_thread.is_known)
        begin_thread();
    return &kci_thread;
}

kci_thread_t *kci_here_if_known(void) {
    return kci_thread.is_known ? &kci_thread : NULL;
}

bool kci_checks_all(void) {
    return checks_all;
}

void kci_more_ids(kci_thread_t *thread) {
    pthread_mutex_lock(&lock);
    thread->next_id = ids;
    ids += IDS;
    thread->last_id = ids;
    pthread_mutex_unlock(&lock);
}
