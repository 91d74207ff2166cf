/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** How workers sleep and are woken. Contracts in work.h.
**
** Rule 1: no wake-up is lost. Whoever makes work visible does so by an _sc operation, and then looks who sleeps;
** whoever goes to sleep counts itself among the sleepers by an _sc operation, and then looks for work once more. One of
** the two sees the other. The same holds for searchers: one that gives up counts itself out before it looks, and is one
** again if it sees something, because what it finds need not be all.
** Rule 2: one is woken for new work, and none while another one searches already; a searcher that was the last one, has
** found work and sees more of it wakes the next.
** Rule 3: one of the sleepers keeps the time, the others sleep without an end. It is woken for work last of all.
*/

#include "work.h"

/* -- the list of those that sleep; idle_lock is held */

static void lie_down(kci_worker_t *self) {
    kc_sched_t *s = self->sched;
    self->below = s->sleepers;
    self->above = NULL;
    if (s->sleepers != NULL)
        s->sleepers->above = self;
    s->sleepers = self;
    self->sleeps = true;
    kc_atomic_add_sc(&s->sleeping, 1);
}

static void get_up(kci_worker_t *self) {
    kc_sched_t *s = self->sched;
    *(self->above != NULL ? &self->above->below : &s->sleepers) = self->below;
    if (self->below != NULL)
        self->below->above = self->above;
    self->sleeps = false;
    kc_atomic_add_sc(&s->sleeping, -1);
}

/* -- searching */

static bool sees_work(kci_worker_t *self) {
    kc_sched_t *s = self->sched;
    if (kc_atomic_load_sc(&s->inject.length) != 0)
        return true;
    for (size_t i = 0; i < s->options.workers; i++)
        if (kci_deque_length(&s->workers[i].deque) != 0) {
            self->hint = i;
            return true;
        }
    return false;
}

void kci_search_begin(kci_worker_t *self) {
    if (self->is_searching)
        return;
    self->is_searching = true;
    kc_atomic_add_sc(&self->sched->searching, 1);
}

void kci_search_end(kci_worker_t *self, bool found) {
    if (!self->is_searching)
        return;
    self->is_searching = false;
    if (kc_atomic_add_sc(&self->sched->searching, -1) == 0 && found && sees_work(self))
        kci_notify(self->sched);
}

void kci_notify(kc_sched_t *s) {
    if (kc_atomic_load_sc(&s->sleeping) == 0 || kc_atomic_load_sc(&s->searching) != 0)
        return;
    pthread_mutex_lock(&s->idle_lock);
    kci_worker_t *chosen = s->sleepers;
    if (chosen != NULL && chosen == s->timekeeper && chosen->below != NULL)
        chosen = chosen->below;
    if (chosen != NULL && kc_atomic_load_sc(&s->searching) == 0) {
        get_up(chosen);
        chosen->is_searching = true;
        kc_atomic_add_sc(&s->searching, 1);
        pthread_cond_signal(&chosen->bell);
    }
    pthread_mutex_unlock(&s->idle_lock);
}

/* -- time */

void kci_announce(kc_sched_t *s, uint64_t deadline) {
    pthread_mutex_lock(&s->idle_lock);
    kci_worker_t *keeper = s->timekeeper != NULL ? s->timekeeper : s->sleepers;
    bool is_earlier = deadline < s->deadline;
    s->deadline = deadline;
    if (is_earlier && keeper != NULL)
        pthread_cond_signal(&keeper->bell);
    pthread_mutex_unlock(&s->idle_lock);
}

void kci_hand_time_over(kc_sched_t *s) {
    pthread_mutex_lock(&s->idle_lock);
    if (s->timekeeper == NULL && s->deadline != KC_NEVER && s->sleepers != NULL)
        pthread_cond_signal(&s->sleepers->bell);
    pthread_mutex_unlock(&s->idle_lock);
}

/* -- sleeping */

static void doze(kci_worker_t *self) {
    kc_sched_t *s = self->sched;
    kc_atomic_count_add(&self->counts.parks, 1);
    if (s->deadline == KC_NEVER || (s->timekeeper != NULL && s->timekeeper != self)) {
        pthread_cond_wait(&self->bell, &s->idle_lock);
    } else {
        struct timespec until = kci_timespec(s->deadline);
        s->timekeeper = self;
        pthread_cond_timedwait(&self->bell, &s->idle_lock, &until);
    }
    kc_atomic_count_add(&self->counts.wakeups, 1);
}

/* Whether it is time that woke it. */
static bool sleep_on(kci_worker_t *self) {
    kc_sched_t *s = self->sched;
    bool is_time = false;
    if ((size_t)kc_atomic_load_sc(&s->sleeping) == s->options.workers)
        pthread_cond_broadcast(&s->quiet);
    while (self->sleeps && !s->is_over && !is_time) {
        doze(self);
        is_time = s->timekeeper == self && kci_now() >= s->deadline;
    }
    if (self->sleeps)
        get_up(self);
    if (s->timekeeper == self)
        s->timekeeper = NULL;
    return is_time;
}

bool kci_idle(kci_worker_t *self) {
    kc_sched_t *s = self->sched;
    bool is_time = false;
    kci_search_end(self, false);
    pthread_mutex_lock(&s->idle_lock);
    bool goes_on = !s->is_over;
    if (goes_on) {
        lie_down(self);
        if (sees_work(self)) {
            get_up(self);
            kci_search_begin(self); /* again: others may have relied on it */
        } else {
            is_time = sleep_on(self);
        }
    }
    pthread_mutex_unlock(&s->idle_lock);
    if (is_time) {
        kci_run_timers(s);
        if (self->slot != NULL || kci_deque_length(&self->deque) != 0)
            kci_hand_time_over(s);
    }
    return goes_on;
}
