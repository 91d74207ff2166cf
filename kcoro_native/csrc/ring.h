/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** A ring of pointers: the queue of a channel.
**
** Rule 1: 0 <= length <= room; the oldest element stands at `head`.
** Rule 2: a ring of fixed room never allocates after it was made; one that grows doubles, and gives its memory back
** when it is empty (row CH4).
*/
#ifndef KCI_RING_H
#define KCI_RING_H

#include <stdbool.h>
#include <stddef.h>

typedef struct kci_ring {
    void **slots;
    size_t room, head, length;
} kci_ring_t;

/* Room for exactly so many elements, or for none yet (0). 0 or -ENOMEM. */
int kci_ring_make(kci_ring_t *ring, size_t room);

/* Free the slots; the elements are whose they were. */
void kci_ring_free(kci_ring_t *ring);

/* Make room for one more. 0, or -ENOMEM, and the ring is as it was. */
int kci_ring_grow(kci_ring_t *ring);

/* Give the memory of an empty ring that had grown back. */
void kci_ring_shrink(kci_ring_t *ring);

static inline void kci_ring_push(kci_ring_t *ring, void *element) {
    size_t at = ring->head + ring->length;
    ring->slots[at < ring->room ? at : at - ring->room] = element;
    ring->length++;
}

static inline void *kci_ring_pop(kci_ring_t *ring) {
    void *element = ring->slots[ring->head];
    if (++ring->head == ring->room)
        ring->head = 0;
    ring->length--;
    return element;
}

#endif
