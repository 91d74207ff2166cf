/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Pages by anonymous mappings, and by what Linux adds: no reservation, no huge pages, dropping what a page holds, and
** guards that are marks in a mapping and do not split it.
**
** Not part of the core: a build without it maps /dev/zero, and passes every test.
*/

#define _DEFAULT_SOURCE 1

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#include "fibers.h"
#include "pages.h"

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif
#ifndef MAP_STACK
#define MAP_STACK 0
#endif

static void *map(size_t length) {
    const int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
    void *at = mmap(NULL, length, PROT_READ | PROT_WRITE, how, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
#ifdef MADV_NOHUGEPAGE
    madvise(at, length, MADV_NOHUGEPAGE); /* or a stack may cost 2 MiB where huge pages are for everybody */
#endif
    return at;
}

static void unmap(void *at, size_t length) {
    munmap(at, length);
}

static void drop(void *at, size_t length) {
    madvise(at, length, MADV_DONTNEED);
}

/* Linux 6.13 and later; the headers may be older. The leak sanitizer would read such pages: their mapping allows it. */
#if defined(__linux__) && !defined(KCI_ASAN)
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* Mark the pages. The first time it is tried whether they cannot be read then: an emulator may agree to any advice. */
static bool mark(void *at, size_t length) {
    static enum { UNKNOWN, MARKS, NO_MARKS } can = UNKNOWN;
    if (can == NO_MARKS)
        return false;
    bool is_marked = madvise(at, length, MADV_GUARD_INSTALL) == 0;
    if (can == UNKNOWN)
        can = is_marked && madvise(at, length, MADV_POPULATE_READ) != 0 && errno == EFAULT ? MARKS : NO_MARKS;
    return is_marked && can == MARKS;
}
#else
static bool mark(void *at, size_t length) {
    (void)at, (void)length;
    return false;
}
#endif

static bool guard(void *at, size_t length) {
    return mark(at, length) || kci_guard(at, length);
}

static size_t limit(void) {
    unsigned long maps = 65530;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    if (file == NULL)
        return maps;
    if (fscanf(file, "%lu", &maps) != 1)
        maps = 65530;
    fclose(file);
    return maps;
}

const kci_pages_t kci_pages_anonymous = {map, unmap, drop, guard, limit};
