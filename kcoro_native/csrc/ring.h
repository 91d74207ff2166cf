/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** A ring of pointers: the queue of a channel.
**
** Rule 1: 0 <= length <= room; the oldest element stands at `head`.
** Rule 2: a ring of fixed room allocates after it was made only for what is put back beyond it; one that grows
** doubles, and gives its memory back when it is empty (row CH4).
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

/* Make room for `more` elements. 0, or -ENOMEM, and the ring is as it was. */
int kci_ring_reserve(kci_ring_t *ring, size_t more);

/* Give the memory of an empty ring that had grown back. */
void kci_ring_shrink(kci_ring_t *ring);

static inline void kci_ring_push(kci_ring_t *ring, void *element) {
    size_t at = ring->head + ring->length;
    ring->slots[at < ring->room ? at : at - ring->room] = element;
    ring->length++;
}

static inline void kci_ring_put_back(kci_ring_t *ring, void *element) {
    ring->head = (ring->head != 0 ? ring->head : ring->room) - 1;
    ring->slots[ring->head] = element;
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
