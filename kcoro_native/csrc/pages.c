/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Pages by POSIX alone: private mappings of /dev/zero, because MAP_ANONYMOUS is younger than POSIX.1-2008. */

#include "pages.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

size_t kci_page_size(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

bool kci_guard(void *at, size_t length) {
    return mprotect(at, length, PROT_NONE) == 0;
}

static void *map(size_t length) {
    int zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
    if (zero < 0)
        return NULL;
    void *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
    close(zero);
    return at == MAP_FAILED ? NULL : at;
}

static void unmap(void *at, size_t length) {
    munmap(at, length);
}

/* POSIX has advice only, which need not be heard. */
static void drop(void *at, size_t length) {
    posix_madvise(at, length, POSIX_MADV_DONTNEED);
}

/* The default of the system that is known to have a limit. */
static size_t limit(void) {
    return 65530;
}

const kci_pages_t kci_pages_posix = {map, unmap, drop, kci_guard, limit};
