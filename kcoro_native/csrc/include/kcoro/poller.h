/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Waiting for file descriptors: one interface, with poll(2) behind it everywhere, and better things where a system has
** them and the build was told so (csrc/port).
**
** Rule 1: level-triggered: a descriptor is told as long as it is ready.
** Rule 2: nothing but add allocates.
** Rule 3: one thread waits; any thread may wake it.
** Rule 4: a descriptor is deleted before it is closed.
*/
#ifndef KCORO_POLLER_H
#define KCORO_POLLER_H

#include <stddef.h>
#include <stdint.h>

#include "codes.h"

/* What a descriptor is watched for, and what it is ready for; bits. */
enum kc_want {
    /* There is something to read, or a reader would learn of an end or an error.
    ** Watch it while you can take more in. */
    KC_READ = 1,
    /* There is room to write, or a writer would learn of an end or an error.
    ** Watch it only while something waits to be written. */
    KC_WRITE = 2
};

typedef struct kc_poller kc_poller_t;

/* One descriptor that is ready. */
typedef struct kc_ready {
    int fd;
    unsigned ready; /* bits of kc_want, of those that it is watched for */
    void *ctx;      /* what was given to add or mod */
} kc_ready_t;

/* A kind of poller. Contracts are those of the functions below, which check arguments before they come here. */
typedef struct kc_poller_ops {
    const char *name; /* static */
    int (*make)(kc_poller_t **out);
    void (*free)(kc_poller_t *self);
    int (*add)(kc_poller_t *self, int fd, unsigned want, void *ctx);
    int (*mod)(kc_poller_t *self, int fd, unsigned want, void *ctx);
    int (*del)(kc_poller_t *self, int fd);
    int (*wait)(kc_poller_t *self, kc_ready_t *ready, size_t room, int64_t timeout_ns);
    int (*wake)(kc_poller_t *self);
} kc_poller_ops_t;

/* One poller; a kind of your own puts this first in its structure. */
struct kc_poller {
    const kc_poller_ops_t *ops;
};

/*
** Make a poller.
**
** name  "poll", or another that this build has; NULL takes the best that works here
**
** Returns 0 and sets *out; -ENOTSUP: no such poller; -ENOMEM: no memory or no descriptors; -EINVAL.
*/
int kc_poller_make(kc_poller_t **out, const char *name);

/* The name of the kind in place `index` of what this build has, best first; NULL behind the last. */
const char *kc_poller_known(size_t index);

/* Its kind; NULL of a NULL. */
const char *kc_poller_name(const kc_poller_t *poller);

/* Free it; the descriptors stay open. 0, or -EINVAL. */
int kc_poller_free(kc_poller_t *poller);

/*
** Watch a descriptor.
**
** want  KC_READ, KC_WRITE, both, or 0 for the time being
** ctx   handed back with each readiness; never looked into
**
** Returns 0; -EINVAL: no open descriptor, or watched already; -ENOTSUP: a file or a folder, which is always ready;
** -ENOMEM.
*/
int kc_poller_add(kc_poller_t *poller, int fd, unsigned want, void *ctx);

/* Watch it for something else from now on. 0, or -EINVAL: it is not watched. */
int kc_poller_mod(kc_poller_t *poller, int fd, unsigned want, void *ctx);

/* Watch it no more. 0, or -EINVAL: it is not watched. */
int kc_poller_del(kc_poller_t *poller, int fd);

/*
** Wait until a descriptor is ready, somebody called kc_poller_wake, or a signal came.
**
** timeout_ns  0 looks once, negative waits for ever; rounded up to what the system can count
**
** Returns how many entries of `ready` were set, at most `room`, which is at least 1 (those that are left are told next
** time); 0 when the time is over, or it was woken; or -EINVAL.
*/
int kc_poller_wait(kc_poller_t *poller, kc_ready_t *ready, size_t room, int64_t timeout_ns);

/*
** Have the wait that is under way, or the next, end at once. May be called from any thread, and from a signal handler
** where atomics are the compiler's; many calls before the wait ends are one.
**
** Returns 0, or -EINVAL.
*/
int kc_poller_wake(kc_poller_t *poller);

#endif
