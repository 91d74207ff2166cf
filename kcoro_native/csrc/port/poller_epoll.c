/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The poller of Linux: epoll, woken by an eventfd. Waiting costs what is ready, not what is watched.
**
** Not part of the core: a build without it has poll(2), and passes every test.
**
** Invariant: watched[fd].is_watched says whether the kernel has fd from us; the eventfd has no entry.
*/

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "alloc.h"
#include "kcoro/atomic.h"
#include "pollers.h"

#define BATCH 64 /* events for one system call; more are told next time */
#define FIRST_ROOM 64

typedef struct watch {
    void *ctx;
    unsigned want;
    bool is_watched;
} watch_t;

typedef struct epoll_poller {
    kc_poller_t poller;
    watch_t *watched; /* by descriptor */
    size_t room;
    int epoll, event;
    kc_atomic_int is_woken;
} epoll_poller_t;

/* -- its life */

static void release(kc_poller_t *poller) {
    epoll_poller_t *self = (epoll_poller_t *)poller;
    if (self->epoll >= 0)
        close(self->epoll);
    if (self->event >= 0)
        close(self->event);
    kci_free(self->watched);
    kci_free(self);
}

static int make(kc_poller_t **out) {
    epoll_poller_t *self = kci_alloc(1, sizeof *self);
    if (self == NULL)
        return -ENOMEM;
    memset(self, 0, sizeof *self);
    self->poller.ops = &kci_poller_epoll;
    kc_atomic_store(&self->is_woken, 0);
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    int missing = self->epoll < 0 && errno == ENOSYS;
    self->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event wanted = {.events = EPOLLIN, .data.fd = self->event};
    if (self->epoll < 0 || self->event < 0 || epoll_ctl(self->epoll, EPOLL_CTL_ADD, self->event, &wanted) != 0) {
        release(&self->poller);
        return missing ? -ENOTSUP : -ENOMEM;
    }
    *out = &self->poller;
    return 0;
}

/* -- what is watched */

static int make_room(epoll_poller_t *self, size_t fd) {
    size_t room = self->room != 0 ? self->room : FIRST_ROOM;
    if (fd < self->room)
        return 0;
    while (room <= fd)
        room *= 2;
    watch_t *watched = kci_alloc(room, sizeof *watched);
    if (watched == NULL)
        return -ENOMEM;
    memset(watched, 0, room * sizeof *watched);
    if (self->room != 0)
        memcpy(watched, self->watched, self->room * sizeof *watched);
    kci_free(self->watched);
    self->watched = watched;
    self->room = room;
    return 0;
}

/* Tell the kernel. One that nothing is wanted of is taken out: it would still be told of its end. */
static int ask(epoll_poller_t *self, int fd, unsigned before, unsigned want) {
    struct epoll_event wanted = {.data.fd = fd};
    wanted.events = (want & KC_READ ? EPOLLIN : 0u) | (want & KC_WRITE ? EPOLLOUT : 0u);
    if (want == 0 && before == 0)
        return 0;
    int how = want == 0 ? EPOLL_CTL_DEL : before == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (epoll_ctl(self->epoll, how, fd, &wanted) == 0 || want == 0)
        return 0;
    return errno == ENOMEM || errno == ENOSPC ? -ENOMEM : errno == EPERM ? -ENOTSUP : -EINVAL;
}

static bool is_watched(const epoll_poller_t *self, int fd) {
    return (size_t)fd < self->room && self->watched[fd].is_watched;
}

static int set(epoll_poller_t *self, int fd, unsigned before, unsigned want, void *ctx) {
    int rc = ask(self, fd, before, want);
    if (rc == 0)
        self->watched[fd] = (watch_t){ctx, want, true};
    return rc;
}

static int add(kc_poller_t *poller, int fd, unsigned want, void *ctx) {
    epoll_poller_t *self = (epoll_poller_t *)poller;
    if (fd == self->epoll || fd == self->event || is_watched(self, fd))
        return -EINVAL;
    return make_room(self, (size_t)fd) != 0 ? -ENOMEM : set(self, fd, 0, want, ctx);
}

static int mod(kc_poller_t *poller, int fd, unsigned want, void *ctx) {
    epoll_poller_t *self = (epoll_poller_t *)poller;
    return is_watched(self, fd) ? set(self, fd, self->watched[fd].want, want, ctx) : -EINVAL;
}

static int del(kc_poller_t *poller, int fd) {
    epoll_poller_t *self = (epoll_poller_t *)poller;
    if (!is_watched(self, fd))
        return -EINVAL;
    ask(self, fd, self->watched[fd].want, 0); /* it may be closed already, against the rules; then it is out */
    self->watched[fd].is_watched = false;
    return 0;
}

/* -- waiting */

/* Read first, then let wakes write again: one that comes between the two is this one. */
static void calm(epoll_poller_t *self) {
    uint64_t count;
    if (read(self->event, &count, sizeof count) < 0)
        count = 0; /* nobody has written yet, or it was read: both are calm */
    kc_atomic_store(&self->is_woken, 0);
}

static kc_ready_t ready_of(const epoll_poller_t *self, const struct epoll_event *event) {
    const watch_t *watch = &self->watched[event->data.fd];
    unsigned bits = (event->events & EPOLLIN ? KC_READ : 0u) | (event->events & EPOLLOUT ? KC_WRITE : 0u);
    if (event->events & (EPOLLHUP | EPOLLERR))
        bits = KC_READ | KC_WRITE;
    return (kc_ready_t){event->data.fd, bits & watch->want, watch->ctx};
}

static int wait(kc_poller_t *poller, kc_ready_t *ready, size_t room, int64_t timeout_ns) {
    epoll_poller_t *self = (epoll_poller_t *)poller;
    struct epoll_event events[BATCH];
    int told = 0, n = epoll_wait(self->epoll, events, room < BATCH ? (int)room : BATCH, kci_poll_ms(timeout_ns));
    for (int i = 0; i < n; i++) {
        if (events[i].data.fd == self->event)
            calm(self);
        else
            ready[told++] = ready_of(self, &events[i]);
    }
    return told;
}

static int wake(kc_poller_t *poller) {
    epoll_poller_t *self = (epoll_poller_t *)poller;
    uint64_t one = 1;
    int saved = errno; /* a signal handler leaves it as it was */
    if (kc_atomic_swap_if(&self->is_woken, 0, 1) && write(self->event, &one, sizeof one) != sizeof one)
        kc_atomic_store(&self->is_woken, 0);
    errno = saved;
    return 0;
}

const kc_poller_ops_t kci_poller_epoll = {"epoll", make, release, add, mod, del, wait, wake};
