/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Pages by anonymous mappings, and by what Linux adds: no reservation, no huge pages, dropping what a page holds.
**
** Not part of the core: a build without it maps /dev/zero, and passes every test.
*/

#define _DEFAULT_SOURCE 1

#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

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

const kci_pages_t kci_pages_anonymous = {map, unmap, drop, limit};
