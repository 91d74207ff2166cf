/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The poller that every POSIX system has: poll(2), woken by a pipe to itself. Good for tens of descriptors.
**
** Invariant: polled[0] is the reading end of the pipe; polled[i] and ctx[i] belong together.
*/

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "kcoro/atomic.h"
#include "pollers.h"

#define FIRST_ROOM 8

typedef struct poll_poller {
    kc_poller_t poller;
    struct pollfd *polled;
    void **ctx;
    size_t count, room;
    size_t next; /* where the next wait begins to tell, so that a small `ready` starves nobody */
    int pipe[2];
    kc_atomic_int is_woken;
} poll_poller_t;

/* -- its life */

static void release(kc_poller_t *poller) {
    poll_poller_t *self = (poll_poller_t *)poller;
    for (int i = 0; i < 2; i++)
        if (self->pipe[i] >= 0)
            close(self->pipe[i]);
    kci_free(self->polled);
    kci_free(self->ctx);
    kci_free(self);
}

static int grow(poll_poller_t *self) {
    size_t room = self->room != 0 ? 2 * self->room : FIRST_ROOM;
    struct pollfd *polled = kci_alloc(room, sizeof *polled);
    void **ctx = kci_alloc(room, sizeof *ctx);
    if (polled == NULL || ctx == NULL) {
        kci_free(polled);
        kci_free(ctx);
        return -ENOMEM;
    }
    if (self->count != 0) {
        memcpy(polled, self->polled, self->count * sizeof *polled);
        memcpy(ctx, self->ctx, self->count * sizeof *ctx);
    }
    kci_free(self->polled);
    kci_free(self->ctx);
    self->polled = polled;
    self->ctx = ctx;
    self->room = room;
    return 0;
}

static int push(poll_poller_t *self, int fd, short events, void *ctx) {
    if (self->count == self->room && grow(self) != 0)
        return -ENOMEM;
    self->polled[self->count] = (struct pollfd){fd, events, 0};
    self->ctx[self->count++] = ctx;
    return 0;
}

/* Neither end may block, or be inherited by programs that are started. */
static int open_pipe(int *ends) {
    if (pipe(ends) != 0) {
        ends[0] = ends[1] = -1;
        return -ENOMEM;
    }
    for (int i = 0; i < 2; i++)
        if (fcntl(ends[i], F_SETFL, O_NONBLOCK) != 0 || fcntl(ends[i], F_SETFD, FD_CLOEXEC) != 0)
            return -ENOMEM;
    return 0;
}

static int make(kc_poller_t **out) {
    poll_poller_t *self = kci_alloc(1, sizeof *self);
    if (self == NULL)
        return -ENOMEM;
    memset(self, 0, sizeof *self);
    self->poller.ops = &kci_poller_poll;
    kc_atomic_store(&self->is_woken, 0);
    if (open_pipe(self->pipe) != 0 || push(self, self->pipe[0], POLLIN, NULL) != 0) {
        release(&self->poller);
        return -ENOMEM;
    }
    *out = &self->poller;
    return 0;
}

/* -- what is watched */

/* Its place, or 0, where no descriptor of a user stands. */
static size_t find(const poll_poller_t *self, int fd) {
    for (size_t i = 1; i < self->count; i++)
        if (self->polled[i].fd == fd)
            return i;
    return 0;
}

static short events_of(unsigned want) {
    return (short)((want & KC_READ ? POLLIN : 0) | (want & KC_WRITE ? POLLOUT : 0));
}

static int add(kc_poller_t *poller, int fd, unsigned want, void *ctx) {
    poll_poller_t *self = (poll_poller_t *)poller;
    if (fd == self->pipe[0] || fd == self->pipe[1] || find(self, fd) != 0)
        return -EINVAL;
    return push(self, fd, events_of(want), ctx);
}

static int mod(kc_poller_t *poller, int fd, unsigned want, void *ctx) {
    poll_poller_t *self = (poll_poller_t *)poller;
    size_t i = find(self, fd);
    if (i == 0)
        return -EINVAL;
    self->polled[i].events = events_of(want);
    self->ctx[i] = ctx;
    return 0;
}

static int del(kc_poller_t *poller, int fd) {
    poll_poller_t *self = (poll_poller_t *)poller;
    size_t i = find(self, fd);
    if (i == 0)
        return -EINVAL;
    self->polled[i] = self->polled[--self->count];
    self->ctx[i] = self->ctx[self->count];
    return 0;
}

/* -- waiting */

/* An end and an error are told to whoever reads or writes, who then learns which. */
static unsigned ready_of(const struct pollfd *polled) {
    int ended = polled->revents & (POLLHUP | POLLERR | POLLNVAL);
    unsigned ready = 0;
    if ((polled->events & POLLIN) && ((polled->revents & POLLIN) || ended))
        ready |= KC_READ;
    if ((polled->events & POLLOUT) && ((polled->revents & POLLOUT) || ended))
        ready |= KC_WRITE;
    return ready;
}

/* Empty the pipe first, then let wakes write again: one that comes between the two is this one. */
static void calm(poll_poller_t *self) {
    char bytes[16];
    while (read(self->pipe[0], bytes, sizeof bytes) > 0)
        continue;
    kc_atomic_store(&self->is_woken, 0);
}

static int tell(poll_poller_t *self, kc_ready_t *ready, size_t room) {
    size_t told = 0, users = self->count - 1, first = users != 0 ? self->next % users : 0;
    for (size_t k = 0; k < users && told < room && told < INT_MAX; k++) {
        size_t i = 1 + (first + k) % users;
        unsigned bits = ready_of(&self->polled[i]);
        if (bits == 0)
            continue;
        ready[told++] = (kc_ready_t){self->polled[i].fd, bits, self->ctx[i]};
        self->next = i;
    }
    return (int)told;
}

/* A descriptor that nothing is wanted of would still be told of its end: poll(2) passes over negative ones. */
static void hide_unwanted(poll_poller_t *self, bool hide) {
    for (size_t i = 1; i < self->count; i++)
        if (self->polled[i].events == 0 && (self->polled[i].fd < 0) != hide)
            self->polled[i].fd = -1 - self->polled[i].fd;
}

static int wait(kc_poller_t *poller, kc_ready_t *ready, size_t room, int64_t timeout_ns) {
    poll_poller_t *self = (poll_poller_t *)poller;
    hide_unwanted(self, true);
    int n = poll(self->polled, (nfds_t)self->count, kci_poll_ms(timeout_ns));
    hide_unwanted(self, false);
    if (n <= 0)
        return 0;
    if (self->polled[0].revents != 0)
        calm(self);
    return tell(self, ready, room);
}

static int wake(kc_poller_t *poller) {
    poll_poller_t *self = (poll_poller_t *)poller;
    int saved = errno; /* a signal handler leaves it as it was */
    if (kc_atomic_swap_if(&self->is_woken, 0, 1) && write(self->pipe[1], "", 1) != 1)
        kc_atomic_store(&self->is_woken, 0);
    errno = saved;
    return 0;
}

const kc_poller_ops_t kci_poller_poll = {"poll", make, release, add, mod, del, wait, wake};
