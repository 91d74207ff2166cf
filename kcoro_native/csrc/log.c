/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What the library tells; contracts in kcoro/log.h. */

#include "kcoro/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "tell.h"

#define LONGEST 200 /* bytes of a message; none of ours comes near it */

static struct {
    kc_log_level_t level;
    void (*write)(void *ctx, kc_log_level_t level, const char *text);
    void *ctx;
} sink;

int kc_log_use(kc_log_level_t level, void (*write)(void *ctx, kc_log_level_t level, const char *text), void *ctx) {
    if (level < KC_LOG_QUIET || level > KC_LOG_DEBUG)
        return -EINVAL;
    sink.level = write == NULL ? KC_LOG_QUIET : level;
    sink.write = write;
    sink.ctx = ctx;
    return 0;
}

void kci_tell(kc_log_level_t level, const char *format, ...) {
    char text[LONGEST];
    va_list args;
    if (level > sink.level)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    sink.write(sink.ctx, level, text);
}
