/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Waiting for file descriptors: which kinds there are, and what is checked for all. Contracts in kcoro/poller.h. */

#include "kcoro/poller.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "pollers.h"
#include "tell.h"

#define ALL (KC_READ | KC_WRITE)

/* Best first. */
static const kc_poller_ops_t *const known[] = {
#ifdef KC_HAVE_EPOLL
    &kci_poller_epoll,
#endif
    &kci_poller_poll,
};

#define KNOWN (sizeof known / sizeof known[0])

int kci_poll_ms(int64_t timeout_ns) {
    if (timeout_ns < 0)
        return -1;
    int64_t ms = timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

int kc_poller_make(kc_poller_t **out, const char *name) {
    int rc = -ENOTSUP;
    if (out == NULL)
        return -EINVAL;
    *out = NULL;
    for (size_t i = 0; i < KNOWN && rc == -ENOTSUP; i++) {
        if (name != NULL && strcmp(name, known[i]->name) != 0)
            continue;
        rc = known[i]->make(out);
        kci_tell(KC_LOG_DEBUG, "poller %s: %s", known[i]->name, kc_code_name(rc));
    }
    return rc;
}

const char *kc_poller_known(size_t index) {
    return index < KNOWN ? known[index]->name : NULL;
}

const char *kc_poller_name(const kc_poller_t *poller) {
    return poller == NULL ? NULL : poller->ops->name;
}

int kc_poller_free(kc_poller_t *poller) {
    if (poller == NULL)
        return -EINVAL;
    poller->ops->free(poller);
    return 0;
}

int kc_poller_add(kc_poller_t *poller, int fd, unsigned want, void *ctx) {
    struct stat is;
    if (poller == NULL || (want & ~(unsigned)ALL) != 0 || fd < 0 || fstat(fd, &is) != 0)
        return -EINVAL;
    if (S_ISREG(is.st_mode) || S_ISDIR(is.st_mode))
        return -ENOTSUP; /* what epoll refuses and poll calls ready is the same everywhere */
    return poller->ops->add(poller, fd, want, ctx);
}

int kc_poller_mod(kc_poller_t *poller, int fd, unsigned want, void *ctx) {
    if (poller == NULL || (want & ~(unsigned)ALL) != 0 || fd < 0)
        return -EINVAL;
    return poller->ops->mod(poller, fd, want, ctx);
}

int kc_poller_del(kc_poller_t *poller, int fd) {
    return poller == NULL || fd < 0 ? -EINVAL : poller->ops->del(poller, fd);
}

int kc_poller_wait(kc_poller_t *poller, kc_ready_t *ready, size_t room, int64_t timeout_ns) {
    if (poller == NULL || ready == NULL || room == 0)
        return -EINVAL;
    return poller->ops->wait(poller, ready, room, timeout_ns);
}

int kc_poller_wake(kc_poller_t *poller) {
    return poller == NULL ? -EINVAL : poller->ops->wake(poller);
}
