/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** What the library tells whoever looks for a fault; quiet until it is asked to speak, at run time.
**
** Rule 1: nothing is logged on a path that every send or receive takes.
** Rule 2: the library never writes to a file or a terminal by itself, but for the last words of a process in which a
** coroutine has used up its stack; see kcoro/coroutine.h.
*/
#ifndef KCORO_LOG_H
#define KCORO_LOG_H

/* How much is told; each level includes those above it. */
typedef enum kc_log_level {
    /* Nothing at all.
    ** The default, and what tests of a program want. */
    KC_LOG_QUIET = 0,
    /* What hints at a fault of the program, such as a channel that is destroyed while somebody waits.
    ** Use it while developing. */
    KC_LOG_WARNING = 1,
    /* Which way was taken where there were several, such as the poller.
    ** Use it to understand a machine. */
    KC_LOG_DEBUG = 2
} kc_log_level_t;

/*
** Have `write` called with each message up to `level`; NULL ends it. Call it from one thread, before others start.
**
** write  gets a text without a newline, valid during the call; it must not call the library
**
** Returns 0, or -EINVAL: no such level.
*/
int kc_log_use(kc_log_level_t level, void (*write)(void *ctx, kc_log_level_t level, const char *text), void *ctx);

#endif
