/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What the kinds of pollers share. */
#ifndef KCI_POLLERS_H
#define KCI_POLLERS_H

#include "kcoro/poller.h"

extern const kc_poller_ops_t kci_poller_poll;
#ifdef KC_HAVE_EPOLL
extern const kc_poller_ops_t kci_poller_epoll; /* csrc/port */
#endif

/* A time in ns as the milliseconds that poll(2) wants: rounded up, so that no wait ends early, and -1 for ever. */
int kci_poll_ms(int64_t timeout_ns);

#endif
