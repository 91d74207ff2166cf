/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Cancel tokens that tasks on one, two and eight workers share, and threads. Rows: SC3, SC6, CH8, SE4. */

#include <pthread.h>
#include <stdlib.h>

#include "kcoro/shared_clauses.h"
#include "workers.h"

#if defined(ROUNDS)
/* Whoever compiles it has said how many. */
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS 200
#else
#define ROUNDS 2000
#endif

static kc_shared_t *shared(kc_kind_t kind, size_t capacity) {
    kc_shared_t *ch = NULL;
    CHECK(kc_shared_make(&ch, kind, capacity, KC_SUSPEND, NULL), ==, 0);
    return ch;
}

static kc_shared_token_t *token_below(kc_shared_token_t *parent) {
    kc_shared_token_t *token = NULL;
    CHECK(kc_shared_token_make(&token, parent), ==, 0);
    return token;
}

static kc_snapshot_t books_of(kc_shared_t *ch) {
    kc_snapshot_t books;
    CHECK(kc_shared_snapshot(ch, &books), ==, 0);
    return books;
}

static void await_waiters(kc_shared_t *ch, size_t senders, size_t receivers) {
    kc_snapshot_t books;
    do
        books = books_of(ch);
    while (books.waiting_senders != senders || books.waiting_receivers != receivers);
}

/* -- the tree */

TEST(a_token_sets_what_is_below_it_and_nothing_above) {
    kc_shared_token_t *root = token_below(NULL), *middle = token_below(root), *leaf = token_below(middle);
    kc_shared_token_t *sibling = token_below(root);
    CHECK(kc_shared_token_is_set(leaf), ==, 0);
    CHECK(kc_shared_token_reason(leaf) == NULL, ==, 1);
    CHECK(kc_shared_token_trigger(middle, ELEMENT(1)), ==, 1);
    CHECK(kc_shared_token_trigger(middle, ELEMENT(2)), ==, 0);
    CHECK(kc_shared_token_is_set(root) + kc_shared_token_is_set(sibling), ==, 0);
    CHECK(kc_shared_token_is_set(middle) + kc_shared_token_is_set(leaf), ==, 2);
    CHECK(VALUE(kc_shared_token_reason(leaf)), ==, 1);
    kc_shared_token_t *late = token_below(leaf);
    CHECK(kc_shared_token_is_set(late), ==, 1);
    CHECK(VALUE(kc_shared_token_reason(late)), ==, 1);
    CHECK(kc_shared_token_trigger(root, ELEMENT(3)), ==, 1);
    CHECK(VALUE(kc_shared_token_reason(sibling)), ==, 3);
    CHECK(VALUE(kc_shared_token_reason(leaf)), ==, 1);
    kc_shared_token_release(root);
    kc_shared_token_release(middle);
    kc_shared_token_release(leaf);
    kc_shared_token_release(sibling);
    CHECK(kc_shared_token_is_set(late), ==, 1);
    kc_shared_token_release(late);
}

TEST(a_parent_lives_as_long_as_its_children_and_depth_has_no_limit) {
    enum { DEEP = 100000 };
    kc_shared_token_t *root = token_below(NULL), *last = root;
    kc_shared_token_retain(root);
    for (int i = 0; i < DEEP; i++) {
        kc_shared_token_t *child = token_below(last);
        kc_shared_token_release(last);
        last = child;
    }
    CHECK(kc_shared_token_trigger(root, ELEMENT(3)), ==, 1);
    kc_shared_token_release(root);
    CHECK(VALUE(kc_shared_token_reason(last)), ==, 3);
    kc_shared_token_release(last);
}

/* -- calls */

TEST(a_call_by_a_set_token_takes_nothing_whatever_is_ready) {
    kc_shared_t *ch = shared(KC_BUFFERED, 2);
    kc_shared_token_t *token = token_below(NULL);
    kc_clause_t clause;
    kc_select_t select;
    void *element = NULL;
    CHECK(kc_recv_unless(ch, &element, 0, token), ==, -EAGAIN);
    CHECK(kc_recv_unless(ch, &element, MS, token), ==, -ETIME);
    CHECK(kc_send_unless(ch, ELEMENT(1), 0, token), ==, 0);
    kc_shared_token_trigger(token, NULL);
    CHECK(kc_send_unless(ch, ELEMENT(2), 0, token), ==, -ECANCELED);
    CHECK(kc_recv_unless(ch, &element, -1, token), ==, -ECANCELED);
    kc_shared_clause_recv(&clause, ch);
    kc_select_init(&select, &clause, 1, KC_BIASED, KC_RAISE);
    CHECK(kc_select_unless(&select, -1, token), ==, -ECANCELED);
    CHECK(books_of(ch).length, ==, 1);
    CHECK(books_of(ch).failed_cancelled, ==, 2); /* of a select no channel has a book */
    kc_shared_close(ch, NULL);
    CHECK(kc_send_unless(ch, ELEMENT(2), -1, token), ==, -ECANCELED); /* and not -EPIPE */
    CHECK(kc_select_unless(&select, -1, NULL), ==, 0);
    CHECK(kc_recv_unless(ch, &element, -1, NULL), ==, -EPIPE);
    kc_shared_token_release(token);
    kc_shared_release(ch);
}

struct waits {
    kc_shared_t *empty, *full;
    kc_shared_token_t *token, *of_others;
    kc_atomic_int cancelled, others;
};

static int ends(struct waits *w, int rc) {
    if (rc == -ECANCELED)
        kc_atomic_add_sc(&w->cancelled, 1);
    return rc;
}

static int receives_by_the_token(void *arg) {
    struct waits *w = arg;
    void *element;
    kc_shared_token_t *own = token_below(w->token);
    int rc = kc_recv_unless(w->empty, &element, LONG, own);
    kc_shared_token_release(own);
    return ends(w, rc);
}

static int sends_by_the_token(void *arg) {
    struct waits *w = arg;
    return ends(w, kc_send_unless(w->full, ELEMENT(1), -1, w->token));
}

static int selects_by_the_token(void *arg) {
    struct waits *w = arg;
    kc_clause_t clauses[2];
    kc_select_t select;
    kc_shared_clause_recv(&clauses[0], w->empty);
    kc_shared_clause_send(&clauses[1], w->full, ELEMENT(2));
    kc_select_init(&select, clauses, 2, KC_BIASED, KC_SKIP);
    return ends(w, kc_select_unless(&select, LONG, w->token));
}

static int receives_by_another(void *arg) {
    struct waits *w = arg;
    void *element;
    int rc = kc_recv_unless(w->empty, &element, LONG, w->of_others);
    kc_atomic_add_sc(&w->others, rc == -EPIPE);
    return rc;
}

static void *receives_in_a_thread(void *arg) {
    return (void *)(intptr_t)receives_by_the_token(arg);
}

TEST(a_trigger_ends_each_wait_by_its_tree_and_leaves_no_trace) {
    EACH(n) {
        pthread_t thread;
        void *of_thread;
        struct waits w = {.empty = shared(KC_RENDEZVOUS, 0), .full = shared(KC_BUFFERED, 1), .token = token_below(NULL),
                          .of_others = token_below(NULL)};
        kc_atomic_store(&w.cancelled, 0);
        kc_atomic_store(&w.others, 0);
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        kc_send(w.full, ELEMENT(9), 0);
        pthread_create(&thread, NULL, receives_in_a_thread, &w);
        spawn_many(s, 30, receives_by_the_token, &w);
        spawn_many(s, 30, sends_by_the_token, &w);
        spawn_many(s, 30, selects_by_the_token, &w);
        spawn_many(s, 10, receives_by_another, &w);
        await_waiters(w.empty, 0, 1 + 30 + 30 + 10);
        await_waiters(w.full, 30 + 30, 0);
        CHECK(kc_shared_token_trigger(w.token, NULL), ==, 1);
        pthread_join(thread, &of_thread);
        CHECK(VALUE(of_thread), ==, -ECANCELED);
        await_waiters(w.empty, 0, 10);
        await_waiters(w.full, 0, 0);
        CHECK(books_of(w.empty).failed_cancelled, ==, 31);
        CHECK(books_of(w.full).failed_cancelled, ==, 30);
        CHECK(books_of(w.full).sent, ==, 1);
        kc_shared_close(w.empty, NULL);
        CHECK(kc_sched_drain(s, LONG), ==, 0);
        CHECK(kc_atomic_load(&w.cancelled), ==, 91);
        CHECK(kc_atomic_load(&w.others), ==, 10);
        end(s);
        kc_shared_token_release(w.token);
        kc_shared_token_release(w.of_others);
        kc_shared_release(w.empty);
        kc_shared_release(w.full);
    }
}

/* -- a trigger and a partner that come at once */

struct meeting {
    kc_shared_t *one, *other;
    kc_shared_token_t *root, *token, *of_clause;
    kc_atomic_int ready;
    bool selects;
    int sent, received; /* what the two calls said */
};

static void comes(struct meeting *m) {
    kc_atomic_add_sc(&m->ready, 1);
    while (kc_atomic_load(&m->ready) < 3) /* so that they come at once */
        kc_task_yield();
}

static int receives(void *arg) {
    struct meeting *m = arg;
    void *element;
    kc_clause_t clauses[2];
    kc_select_t select;
    comes(m);
    if (!m->selects)
        return m->received = kc_recv_unless(m->one, &element, LONG, m->token);
    kc_shared_clause_recv(&clauses[0], m->other);
    kc_shared_clause_recv(&clauses[1], m->one);
    kc_select_init(&select, clauses, 2, KC_BIASED, KC_RAISE);
    int rc = kc_select_unless(&select, LONG, m->token);
    return m->received = rc == 1 ? 0 : rc;
}

static int sends(void *arg) {
    struct meeting *m = arg;
    comes(m);
    for (int i = 0; i < 10; i++)
        if ((m->sent = kc_send(m->one, ELEMENT(1), 0)) == 0)
            break;
    return m->sent;
}

static int triggers(void *arg) {
    struct meeting *m = arg;
    comes(m);
    return kc_shared_token_trigger(m->root, NULL);
}

TEST(an_element_moves_or_the_token_ends_the_call_and_never_both) {
    EACH(n) {
        int outcomes[2] = {0, 0};
        kc_sched_t *s = started(n, KC_RESUME_QUEUE);
        for (int i = 0; i < ROUNDS; i++) {
            struct meeting m = {.one = shared(KC_RENDEZVOUS, 0), .other = shared(KC_RENDEZVOUS, 0)};
            m.root = token_below(NULL);
            m.token = token_below(m.root);
            m.selects = i % 2 != 0;
            kc_atomic_store(&m.ready, 0);
            kc_task_t *tasks[] = {spawn(s, i % 3 ? receives : sends, &m), spawn(s, i % 3 ? sends : receives, &m),
                                  spawn(s, triggers, &m)};
            for (int k = 0; k < 3; k++)
                joined(tasks[k]);
            CHECK(m.received, ==, m.sent == 0 ? 0 : -ECANCELED);
            CHECK(books_of(m.one).waiting_receivers + books_of(m.other).waiting_receivers, ==, 0);
            outcomes[m.sent == 0]++;
            kc_shared_token_release(m.root);
            kc_shared_token_release(m.token);
            kc_shared_release(m.one);
            kc_shared_release(m.other);
        }
        CHECK(outcomes[0] + outcomes[1], ==, ROUNDS);
        end(s);
    }
}

/* -- what comes behind a trigger */

enum way { TRIES, WAITS, SELECTS_AND_TRIES, SELECTS_AND_WAITS, HAS_A_CLAUSE, WAYS };

/* One call in one of the ways; whether it received. */
static int receives_in_one_way(struct meeting *m, enum way way) {
    void *element;
    kc_triggered_t memory;
    kc_clause_t clauses[2];
    kc_select_t select;
    if (way == TRIES || way == WAITS)
        return kc_recv_unless(m->one, &element, way == TRIES ? 0 : LONG, m->token);
    kc_shared_clause_triggered(&clauses[0], &memory, m->of_clause);
    kc_shared_clause_recv(&clauses[1], m->one);
    if (way == HAS_A_CLAUSE) {
        kc_select_init(&select, clauses, 2, KC_BIASED, KC_RAISE);
        int rc = kc_select_wait(&select, LONG);
        return rc == 0 ? -ECANCELED : 0;
    }
    kc_select_init(&select, &clauses[1], 1, KC_BIASED, KC_RAISE);
    return kc_select_unless(&select, way == SELECTS_AND_TRIES ? 0 : LONG, m->token);
}

static int receives_until_the_trigger(void *arg) {
    struct meeting *m = arg;
    enum way way = (enum way)m->received;
    int rc;
    comes(m);
    do
        rc = receives_in_one_way(m, way);
    while (rc == -EAGAIN);
    return rc;
}

static int triggers_and_sends(void *arg) {
    struct meeting *m = arg;
    comes(m);
    for (volatile int pause = m->sent; pause != 0; pause--)
        ;
    kc_shared_token_trigger(m->root, NULL);
    return kc_send(m->one, ELEMENT(1), 0);
}

TEST(what_is_sent_behind_a_trigger_is_not_received_by_its_token) {
    EACH(n) {
        kc_sched_t *s = started(n, KC_RESUME_QUEUE);
        for (int i = 0; i < ROUNDS; i++) {
            struct meeting m = {.one = shared(KC_BUFFERED, 1), .root = token_below(NULL), .sent = i % 500};
            m.token = token_below(m.root);
            m.of_clause = token_below(m.root);
            m.received = i % WAYS;
            kc_atomic_store(&m.ready, 1);
            kc_task_t *one = spawn(s, receives_until_the_trigger, &m), *other = spawn(s, triggers_and_sends, &m);
            CHECK(joined(one), ==, -ECANCELED);
            CHECK(joined(other), ==, 0);
            CHECK(kc_shared_length(m.one), ==, 1);
            kc_shared_token_release(m.root);
            kc_shared_token_release(m.token);
            kc_shared_token_release(m.of_clause);
            kc_shared_release(m.one);
        }
        end(s);
    }
}

/* -- what is told is true of all */

#define CHILDREN 50

struct family {
    kc_shared_token_t *root, *children[CHILDREN];
    kc_atomic_int next;
};

static int looks_below(void *arg) {
    struct family *f = arg;
    kc_atomic_add_sc(&f->next, 1);
    while (kc_shared_token_is_set(f->root) == 0)
        kc_task_yield();
    int unset = 0;
    for (int i = CHILDREN - 1; i >= 0; i--)
        unset += kc_shared_token_is_set(f->children[i]) == 0;
    return unset;
}

static int triggers_all(void *arg) {
    struct family *f = arg;
    while (kc_atomic_load(&f->next) < 2)
        kc_task_yield();
    return kc_shared_token_trigger(f->root, NULL);
}

TEST(whoever_sees_a_token_set_sees_all_below_it_set) {
    EACH(n) {
        kc_sched_t *s = started(n, KC_RESUME_QUEUE);
        for (int i = 0; i < ROUNDS / 10; i++) {
            struct family f = {.root = token_below(NULL)};
            kc_atomic_store(&f.next, 0);
            for (int k = 0; k < CHILDREN; k++)
                f.children[k] = token_below(f.root);
            kc_task_t *tasks[] = {spawn(s, looks_below, &f), spawn(s, looks_below, &f), spawn(s, triggers_all, &f)};
            CHECK(joined(tasks[0]), ==, 0);
            CHECK(joined(tasks[1]), ==, 0);
            CHECK(joined(tasks[2]), ==, 1);
            for (int k = 0; k < CHILDREN; k++)
                kc_shared_token_release(f.children[k]);
            kc_shared_token_release(f.root);
        }
        end(s);
    }
}

/* -- children that come and go while others are triggered */

static int makes_and_releases(void *arg) {
    struct family *f = arg;
    uint64_t seed = (uint64_t)kc_atomic_add_sc(&f->next, 1);
    for (int i = 0; i < ROUNDS; i++) {
        kc_shared_token_t *parent = f->children[kc_pick_random(&seed, CHILDREN)];
        kc_shared_token_t *child = token_below(parent), *grandchild = token_below(child);
        kc_shared_token_release(child);
        if (kc_pick_random(&seed, 20) == 0)
            kc_shared_token_trigger(parent, NULL);
        if (kc_shared_token_is_set(parent) == 1)
            CHECK(kc_shared_token_is_set(grandchild), ==, 1);
        kc_shared_token_release(grandchild);
    }
    return 0;
}

TEST(children_may_come_and_go_while_their_parents_are_triggered) {
    EACH(n) {
        kc_task_t *tasks[4];
        struct family f = {.root = token_below(NULL)};
        kc_sched_t *s = started(n, KC_RESUME_QUEUE);
        kc_atomic_store(&f.next, 0);
        for (int k = 0; k < CHILDREN; k++)
            f.children[k] = token_below(f.root);
        for (int k = 0; k < 4; k++)
            tasks[k] = spawn(s, makes_and_releases, &f);
        for (int k = 0; k < 4; k++)
            joined(tasks[k]);
        for (int k = 0; k < CHILDREN; k++)
            kc_shared_token_release(f.children[k]);
        kc_shared_token_release(f.root);
        end(s);
    }
}

/* -- clauses */

TEST(a_clause_about_a_token_gives_its_reason_and_ends_nothing) {
    kc_shared_t *ch = shared(KC_BUFFERED, 1);
    kc_shared_token_t *token = token_below(NULL);
    kc_triggered_t memory;
    kc_clause_t clauses[2];
    kc_select_t select;
    kc_shared_clause_recv(&clauses[0], ch);
    CHECK(kc_shared_clause_triggered(&clauses[1], &memory, token), ==, 0);
    kc_select_init(&select, clauses, 2, KC_BIASED, KC_RAISE);
    CHECK(kc_select_wait(&select, 0), ==, -EAGAIN);
    CHECK(kc_select_wait(&select, MS), ==, -ETIME);
    kc_shared_token_trigger(token, ELEMENT(5));
    CHECK(kc_select_wait(&select, -1), ==, 1);
    CHECK(VALUE(select.op.value), ==, 5);
    kc_send(ch, ELEMENT(6), 0);
    CHECK(kc_select_wait(&select, -1), ==, 0);
    CHECK(VALUE(select.op.value), ==, 6);
    CHECK(kc_select_unless(&select, -1, token), ==, -ECANCELED); /* and that of a call beats it */
    kc_shared_token_release(token);
    kc_shared_release(ch);
}

static int waits_for_the_clause(void *arg) {
    struct meeting *m = arg;
    kc_triggered_t memory;
    kc_clause_t clauses[2];
    kc_select_t select;
    kc_shared_clause_recv(&clauses[0], m->one);
    kc_shared_clause_triggered(&clauses[1], &memory, m->of_clause);
    kc_select_init(&select, clauses, 2, KC_BIASED, KC_SKIP);
    int rc = kc_select_unless(&select, LONG, m->token);
    return rc == 1 ? (int)VALUE(select.op.value) : rc;
}

TEST(a_clause_about_a_token_wakes_a_select_that_waits) {
    EACH(n) {
        struct meeting m = {.one = shared(KC_RENDEZVOUS, 0), .root = token_below(NULL)};
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        m.of_clause = token_below(m.root);
        kc_task_t *task = spawn(s, waits_for_the_clause, &m);
        await_waiters(m.one, 0, 1);
        kc_shared_close(m.one, NULL); /* skipped: a token may still come */
        kc_shared_token_trigger(m.root, ELEMENT(8));
        CHECK(joined(task), ==, 8);
        end(s);
        kc_shared_token_release(m.root);
        kc_shared_token_release(m.of_clause);
        kc_shared_release(m.one);
    }
}

/* Selects by the tokens of two trees, each with a clause about the other: no order of theirs may block them. */
struct crossing {
    kc_shared_token_t *tokens[2];
    kc_shared_t *ch;
    kc_atomic_int next;
};

static int crosses(void *arg) {
    struct crossing *x = arg;
    uint64_t seed = (uint64_t)kc_atomic_add_sc(&x->next, 1);
    kc_triggered_t memory[2];
    kc_clause_t clauses[3];
    kc_select_t select;
    for (int i = 0; i < ROUNDS; i++) {
        size_t k = kc_pick_random(&seed, 2);
        kc_shared_token_t *own = token_below(x->tokens[k]), *other = token_below(x->tokens[1 - k]);
        kc_shared_clause_recv(&clauses[0], x->ch);
        kc_shared_clause_triggered(&clauses[1], &memory[0], other);
        kc_shared_clause_triggered(&clauses[2], &memory[1], i % 3 == 0 ? own : x->tokens[k]);
        kc_select_init(&select, clauses, 3, KC_BIASED, KC_RAISE);
        if (i % 2 == 0)
            kc_shared_token_trigger(other, ELEMENT(3));
        int rc = kc_select_unless(&select, i % 2 == 0 ? LONG : MS / 100, i % 5 == 0 ? NULL : own);
        CHECK(rc, ==, i % 2 == 0 ? 1 : -ETIME);
        kc_shared_token_release(own);
        kc_shared_token_release(other);
    }
    return 0;
}

TEST(selects_by_tokens_of_several_trees_do_not_block_each_other) {
    EACH(n) {
        kc_task_t *tasks[4];
        struct crossing x = {.tokens = {token_below(NULL), token_below(NULL)}, .ch = shared(KC_RENDEZVOUS, 0)};
        kc_sched_t *s = started(n, KC_RESUME_QUEUE);
        kc_atomic_store(&x.next, 0);
        for (int k = 0; k < 4; k++)
            tasks[k] = spawn(s, crosses, &x);
        for (int k = 0; k < 4; k++)
            joined(tasks[k]);
        end(s);
        kc_shared_token_release(x.tokens[0]);
        kc_shared_token_release(x.tokens[1]);
        kc_shared_release(x.ch);
    }
}

/* -- waiting for a token alone */

static int waits(void *token) {
    return kc_shared_token_wait(token, -1);
}

TEST(a_task_or_a_thread_waits_for_a_token) {
    EACH(n) {
        kc_shared_token_t *token = token_below(NULL);
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        CHECK(kc_shared_token_wait(token, 0), ==, -EAGAIN);
        CHECK(kc_shared_token_wait(token, MS), ==, -ETIME);
        kc_task_t *task = spawn(s, waits, token), *other = spawn(s, waits, token);
        kc_task_cancel(task);
        CHECK(joined(task), ==, -ECANCELED);
        CHECK(kc_shared_token_trigger(token, NULL), ==, 1);
        CHECK(joined(other), ==, 0);
        CHECK(kc_shared_token_wait(token, -1), ==, 0);
        end(s);
        kc_shared_token_release(token);
    }
}

TEST(misuse_of_shared_tokens_is_refused) {
    kc_shared_token_t *token = token_below(NULL), *none = token;
    kc_shared_t *ch = shared(KC_RENDEZVOUS, 0);
    kc_token_t plain;
    kc_triggered_t memory;
    kc_clause_t clause;
    kc_select_t select;
    CHECK(kc_shared_token_make(NULL, token), ==, -EINVAL);
    CHECK(kc_shared_token_retain(NULL) == -EINVAL && kc_shared_token_release(NULL) == -EINVAL, ==, 1);
    CHECK(kc_shared_token_trigger(NULL, NULL), ==, -EINVAL);
    CHECK(kc_shared_token_is_set(NULL), ==, -EINVAL);
    CHECK(kc_shared_token_wait(NULL, 0), ==, -EINVAL);
    CHECK(kc_shared_token_reason(NULL) == NULL, ==, 1);
    CHECK(kc_send_unless(NULL, NULL, 0, token), ==, -EINVAL);
    CHECK(kc_recv_unless(ch, NULL, 0, token), ==, -EINVAL);
    CHECK(kc_shared_clause_triggered(&clause, &memory, NULL), ==, -EINVAL);
    CHECK(kc_shared_clause_triggered(&clause, NULL, token), ==, -EINVAL);
    CHECK(kc_shared_clause_triggered(NULL, &memory, token), ==, -EINVAL);
    kc_token_init(&plain, NULL);
    CHECK(kc_clause_triggered(&clause, &memory, &plain), ==, 0);
    kc_select_init(&select, &clause, 1, KC_BIASED, KC_RAISE);
    CHECK(kc_select_wait(&select, 0), ==, -EINVAL); /* one for one loop has no lock */
    CHECK(kc_select_unless(NULL, 0, token), ==, -EINVAL);
    kc_shared_token_release(none);
    kc_shared_release(ch);
}

int main(void) {
    RUN(a_token_sets_what_is_below_it_and_nothing_above);
    RUN(a_parent_lives_as_long_as_its_children_and_depth_has_no_limit);
    RUN(a_call_by_a_set_token_takes_nothing_whatever_is_ready);
    RUN(a_trigger_ends_each_wait_by_its_tree_and_leaves_no_trace);
    RUN(an_element_moves_or_the_token_ends_the_call_and_never_both);
    RUN(what_is_sent_behind_a_trigger_is_not_received_by_its_token);
    RUN(whoever_sees_a_token_set_sees_all_below_it_set);
    RUN(children_may_come_and_go_while_their_parents_are_triggered);
    RUN(a_clause_about_a_token_gives_its_reason_and_ends_nothing);
    RUN(a_clause_about_a_token_wakes_a_select_that_waits);
    RUN(selects_by_tokens_of_several_trees_do_not_block_each_other);
    RUN(a_task_or_a_thread_waits_for_a_token);
    RUN(misuse_of_shared_tokens_is_refused);
    return DONE;
}
