/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** What sanitizers and Valgrind are told of stacks and switches; nothing at all in a build without them.
**
** Rule 1: between kci_fiber_leave and the switch nothing is called, and kci_fiber_arrive is the first call behind it.
** Rule 2: the functions of the tools are declared here: their headers are no part of POSIX.
*/
#ifndef KCI_FIBERS_H
#define KCI_FIBERS_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define KCI_ASAN
#endif
#if defined(__SANITIZE_THREAD__)
#define KCI_TSAN
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KCI_ASAN
#endif
#if __has_feature(thread_sanitizer)
#define KCI_TSAN
#endif
#endif

#if defined(KCI_ASAN) || defined(KCI_TSAN)
#define KCI_FIBERS 1 /* somebody has to be told of each switch */
#else
#define KCI_FIBERS 0
#endif

#ifdef KCI_ASAN
void __sanitizer_start_switch_fiber(void **fake_stack_save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack_save, const void **bottom_old, size_t *size_old);
void __asan_unpoison_memory_region(void const volatile *at, size_t size);
void __lsan_register_root_region(const void *at, size_t size);
void __lsan_unregister_root_region(const void *at, size_t size);
#endif
#ifdef KCI_TSAN
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#endif
#ifdef KC_HAVE_VALGRIND
unsigned kci_valgrind_begin(void *low, void *high); /* csrc/port */
void kci_valgrind_end(unsigned stack);
#endif

/* What the tools know of one stack. */
typedef struct kci_fiber {
#ifdef KCI_ASAN
    struct kci_fiber *to; /* who runs while this one is left */
    void *fake;           /* where it keeps locals while it is left, under detect_stack_use_after_return */
#endif
#ifdef KCI_TSAN
    void *fiber;
#endif
    const void *low; /* of a thread: known once it was left */
    size_t size;
} kci_fiber_t;

/* The stack of the thread that runs. */
static inline void kci_fiber_of_thread(kci_fiber_t *self) {
    (void)self;
#ifdef KCI_TSAN
    self->fiber = __tsan_get_current_fiber();
#endif
}

/* The stack of a new coroutine. */
static inline void kci_fiber_begin(kci_fiber_t *self, const void *low, size_t size) {
    self->low = low;
    self->size = size;
#ifdef KCI_ASAN
    self->fake = NULL;
#endif
#ifdef KCI_TSAN
    self->fiber = __tsan_create_fiber(0);
#endif
}

/* `self` is about to be left for `to`, for ever where it `ends`. */
static inline void kci_fiber_leave(kci_fiber_t *self, kci_fiber_t *to, bool ends) {
    (void)self, (void)to, (void)ends;
#ifdef KCI_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
#ifdef KCI_ASAN
    self->to = to;
    __sanitizer_start_switch_fiber(ends ? NULL : &self->fake, to->low, to->size);
    if (ends)
        self->fake = NULL;
#endif
}

/* `left` was left, and who runs now is the one that it was left for. */
static inline void kci_fiber_arrive(kci_fiber_t *left) {
    (void)left;
#ifdef KCI_ASAN
    __sanitizer_finish_switch_fiber(left->to->fake, &left->low, &left->size);
#endif
}

/* A coroutine is destroyed. What it kept in a fake stack is given up by going there and away for ever. */
static inline void kci_fiber_end(kci_fiber_t *self) {
    (void)self;
#ifdef KCI_TSAN
    __tsan_destroy_fiber(self->fiber);
#endif
#ifdef KCI_ASAN
    if (self->fake != NULL) {
        void *mine;
        const void *low;
        size_t size;
        __sanitizer_start_switch_fiber(&mine, self->low, self->size);
        __sanitizer_finish_switch_fiber(self->fake, &low, &size);
        __sanitizer_start_switch_fiber(NULL, low, size);
        __sanitizer_finish_switch_fiber(mine, NULL, NULL);
    }
    __asan_unpoison_memory_region(self->low, self->size); /* frames that nobody left */
#endif
}

/* Pages for stacks were mapped, or are about to be unmapped: what they hold counts as held. */
static inline void kci_fiber_pages(void *at, size_t length, bool begin) {
    (void)at, (void)length, (void)begin;
#ifdef KCI_ASAN
    (begin ? __lsan_register_root_region : __lsan_unregister_root_region)(at, length);
#endif
}

#endif
