/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Pages of the system, for stacks: by POSIX alone, or by what csrc/port has. */
#ifndef KCI_PAGES_H
#define KCI_PAGES_H

#include <stdbool.h>
#include <stddef.h>

/* A source of pages; `length` and addresses are multiples of the page size. */
typedef struct kci_pages {
    /* Private memory, zero and untouched, that counts only when it is touched; NULL without. */
    void *(*map)(size_t length);
    /* Give it back, guards and all. */
    void (*unmap)(void *at, size_t length);
    /* Have these pages lose what they hold, and count no more. */
    void (*drop)(void *at, size_t length);
    /* Have no access to these pages be possible until they are given back; false when the system refuses. One thread at
    ** a time. */
    bool (*guard)(void *at, size_t length);
    /* How many mappings a process may have, or SIZE_MAX. */
    size_t (*limit)(void);
} kci_pages_t;

extern const kci_pages_t kci_pages_posix;
#ifdef KC_HAVE_MAP_ANONYMOUS
extern const kci_pages_t kci_pages_anonymous; /* csrc/port */
#define kci_pages kci_pages_anonymous
#else
#define kci_pages kci_pages_posix
#endif

/* The size of a page. */
size_t kci_page_size(void);

/* The guard that every system has, which splits the mapping. */
bool kci_guard(void *at, size_t length);

#endif
