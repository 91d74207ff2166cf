/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* A ring of pointers: the parts that allocate. Rules in ring.h. */

#include "ring.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "alloc.h"

/* The room that a growing ring starts with, and down to which it keeps its memory: one cache line or two. */
#ifndef KC_RING_FIRST_ROOM
#define KC_RING_FIRST_ROOM 16
#endif

int kci_ring_make(kci_ring_t *ring, size_t room) {
    memset(ring, 0, sizeof *ring);
    if (room == 0)
        return 0;
    ring->slots = kci_alloc(room, sizeof *ring->slots);
    if (ring->slots == NULL)
        return -ENOMEM;
    ring->room = room;
    return 0;
}

void kci_ring_free(kci_ring_t *ring) {
    kci_free(ring->slots);
    memset(ring, 0, sizeof *ring);
}

/* Not a realloc: a ring that wraps would have to be moved apart again. */
int kci_ring_reserve(kci_ring_t *ring, size_t more) {
    kci_ring_t larger;
    size_t room = ring->room != 0 ? ring->room : KC_RING_FIRST_ROOM;
    if (ring->room - ring->length >= more)
        return 0;
    while (room - ring->length < more && room <= SIZE_MAX / 2)
        room *= 2;
    if (room - ring->length < more || kci_ring_make(&larger, room) != 0)
        return -ENOMEM;
    while (ring->length != 0)
        kci_ring_push(&larger, kci_ring_pop(ring));
    kci_free(ring->slots);
    *ring = larger;
    return 0;
}

void kci_ring_shrink(kci_ring_t *ring) {
    if (ring->length == 0 && ring->room > KC_RING_FIRST_ROOM)
        kci_ring_free(ring);
}
