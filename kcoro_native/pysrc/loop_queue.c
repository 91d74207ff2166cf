/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Queues of runnable tasks; see loop.h. */

#include "loop.h"

#include <string.h>

#define FIRST_SIZE 64

static int grow(kpy_queue_t *queue, size_t tasks) {
    size_t size = queue->size == 0 ? FIRST_SIZE : queue->size;
    while (size < tasks)
        size *= 2;
    kpy_task_t **slots = PyMem_New(kpy_task_t *, size);
    if (slots == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < queue->length; i++)
        slots[i] = queue->slots[(queue->head + i) & (queue->size - 1)];
    PyMem_Free(queue->slots);
    queue->slots = slots;
    queue->size = size;
    queue->head = 0;
    return 0;
}

int kpy_queue_reserve(kpy_queue_t *queue, size_t tasks) {
    return tasks <= queue->size ? 0 : grow(queue, tasks);
}

void kpy_queue_push(kpy_queue_t *queue, kpy_task_t *task) {
    queue->slots[(queue->head + queue->length++) & (queue->size - 1)] = task;
}

void kpy_queue_push_first(kpy_queue_t *queue, kpy_task_t *task) {
    queue->head = (queue->head - 1) & (queue->size - 1);
    queue->slots[queue->head] = task;
    queue->length++;
}

kpy_task_t *kpy_queue_take(kpy_queue_t *queue, size_t index) {
    size_t mask = queue->size - 1;
    kpy_task_t *task = queue->slots[(queue->head + index) & mask];
    for (; index != 0; index--)
        queue->slots[(queue->head + index) & mask] = queue->slots[(queue->head + index - 1) & mask];
    queue->head = (queue->head + 1) & mask;
    queue->length--;
    return task;
}

void kpy_queue_remove(kpy_queue_t *queue, kpy_task_t *task) {
    for (size_t i = queue->length; i-- != 0;)
        if (queue->slots[(queue->head + i) & (queue->size - 1)] == task)
            kpy_queue_take(queue, i);
}

void kpy_queue_free(kpy_queue_t *queue) {
    PyMem_Free(queue->slots);
    memset(queue, 0, sizeof *queue);
}
