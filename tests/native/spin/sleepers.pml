/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Workers that sleep and are woken. As many tasks come as there are workers, some from a thread and one from a task; no
** task ever stops, so that each needs a worker of its own. When nothing moves any more, every task has one: no wake-up is
** lost.
*/

#define WORKERS 3
#define NOBODY WORKERS

byte inject, deque[WORKERS], sleeping, searching;
bool sleeps[WORKERS], is_searching[WORKERS], idle_lock, first_has_run;

/* idle.c: static bool sees_work(kci_worker_t *self) { */
inline sees_work(answer, i) {
    answer = false;
    i = 0;
    if
    :: inject != 0 -> answer = true
    :: else -> skip
    fi;
    do
    :: i < WORKERS && !answer ->
        if
        :: deque[i] != 0 -> answer = true
        :: else -> i++
        fi
    :: else -> break
    od;
    i = 0
}

/* idle.c: void kci_notify(kc_sched_t *s) { */
inline kci_notify(chosen) {
    /* idle.c: if (kc_atomic_load_sc(&s->sleeping) == 0 || kc_atomic_load_sc(&s->searching) != 0) */
    if
    :: sleeping != 0 ->
        if
        :: searching == 0 ->
            atomic { !idle_lock -> idle_lock = true };
            chosen = 0;
            do
            :: chosen < WORKERS && !sleeps[chosen] -> chosen++
            :: else -> break
            od;
            /* idle.c: if (chosen != NULL && kc_atomic_load_sc(&s->searching) == 0) { */
            if
            :: chosen != NOBODY && searching == 0 ->
                /* idle.c: get_up(chosen); */
                sleeping--;
                /* idle.c: chosen->is_searching = true; */
                is_searching[chosen] = true;
                searching++;
                sleeps[chosen] = false
            :: else -> skip
            fi;
            chosen = 0;
            idle_lock = false
        :: else -> skip
        fi
    :: else -> skip
    fi
}

/* idle.c: void kci_search_end(kci_worker_t *self, bool found) { */
inline kci_search_end(self, found, answer, i, chosen) {
    if
    :: is_searching[self] ->
        is_searching[self] = false;
        searching--;
        /* idle.c: if (kc_atomic_add_sc(&self->sched->searching, -1) == 0 && found && sees_work(self)) */
        if
        :: searching == 0 && found ->
            sees_work(answer, i);
            if
#ifdef SEARCHER_THAT_FOUND_WAKES_NOBODY
            :: false -> skip
#else
            :: answer -> kci_notify(chosen)
#endif
            :: else -> skip
            fi;
            answer = false
        :: else -> skip
        fi
    :: else -> skip
    fi
}

/* What it takes runs for ever; the first task of all spawns one more before. */
proctype worker(byte self) {
    bool answer;
    byte i, chosen, victim, spawns;
next:
    /* worker.c: task = found(kci_inject_pull(s), &self->counts.inject_pulls); */
    atomic {
        if
        :: inject != 0 -> inject--; answer = true
        :: else -> skip
        fi
    };
    if
    :: answer -> goto runs
    :: else -> skip
    fi;
    /* worker.c: kci_search_begin(self); */
    if
    :: !is_searching[self] ->
        is_searching[self] = true;
        searching++
    :: else -> skip
    fi;
    select (victim : 0 .. WORKERS - 1); /* anybody, at random: it may miss what is there */
    /* worker.c: task = kci_deque_take(&s->workers[choose_victim(self)].deque, &lost); */
    atomic {
        if
        :: deque[victim] != 0 -> deque[victim]--; answer = true
        :: else -> skip
        fi
    };
    victim = 0;
    if
    :: answer -> goto runs
    :: else -> skip
    fi;
#ifndef SEARCHES_WHILE_IT_LOOKS
    /* idle.c: kci_search_end(self, false); */
    kci_search_end(self, false, answer, i, chosen);
#endif
    atomic { !idle_lock -> idle_lock = true };
#ifdef LOOKS_BEFORE_IT_LIES_DOWN
    sees_work(answer, i);
#endif
    /* idle.c: lie_down(self); */
    sleeps[self] = true;
    sleeping++;
#ifndef LOOKS_BEFORE_IT_LIES_DOWN
    /* idle.c: if (sees_work(self)) { */
    sees_work(answer, i);
#endif
    if
    :: answer ->
        answer = false;
        sleeps[self] = false;
        sleeping--;
#ifndef SEES_WORK_AND_NOT_AS_A_SEARCHER
        /* idle.c: kci_search_begin(self); */
        is_searching[self] = true;
        searching++;
#endif
        idle_lock = false;
        goto next
    :: else -> skip
    fi;
#ifdef SEARCHES_WHILE_IT_LOOKS
    is_searching[self] = false;
    searching--;
#endif
    idle_lock = false;
end_dozes:
    /* idle.c: while (self->sleeps && !s->is_over && !is_time) { */
    atomic { !sleeps[self] && !idle_lock -> skip };
    goto next;
runs:
    answer = false;
    /* worker.c: kci_search_end(self, true); */
    kci_search_end(self, true, answer, i, chosen);
    atomic {
        if
        :: first_has_run -> skip
        :: else -> first_has_run = true; spawns = 1
        fi
    };
    if
    :: spawns == 1 ->
#ifdef NOTIFIED_BEFORE_IT_IS_THERE
        kci_notify(chosen);
        deque[self]++
#else
        /* worker.c: if (kci_deque_push(&self->deque, task)) */
        deque[self]++;
        /* worker.c: kci_notify(self->sched); */
        kci_notify(chosen)
#endif
    :: else -> skip
    fi
}

/* inject.c: void kci_inject_push(kc_sched_t *s, kc_task_t *first, kc_task_t *last, int count) { */
proctype thread() {
    byte chosen, left = WORKERS - 1;
    do
    :: left != 0 ->
        left--;
        inject++;
        kci_notify(chosen)
    :: else -> break
    od
}

init {
    atomic {
        byte w = 0;
        do
        :: w < WORKERS -> run worker(w); w++
        :: else -> break
        od;
        run thread()
    };
    /* Nothing moves any more. */
    timeout ->
        assert(inject == 0);
        assert(deque[0] + deque[1] + deque[2] == 0)
}
