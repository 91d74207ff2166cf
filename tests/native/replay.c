/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Runs the programs of a file, for what a sanitizer finds; nothing is compared. The file is int32 numbers: for each
** program its kind (0 channels, 1 timers, 2 tokens), how many steps, HEAD words, and WORDS for each step.
*/

#include <stdio.h>
#include <stdlib.h>

#include "harness.h"

#define ROOM 65536

static int32_t trace[ROOM];

static void run(const int32_t *program, const int32_t *steps, size_t count) {
    if (program[0] == 0)
        run_program(program + 2, steps, count, trace, ROOM);
    else if (program[0] == 1)
        run_timers(steps, count, trace, ROOM);
    else
        run_tokens(steps, count, trace, ROOM);
}

int main(int argc, char **argv) {
    int32_t program[2 + HEAD];
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL)
        return 2;
    while (fread(program, sizeof program, 1, file) == 1) {
        size_t count = (size_t)program[1];
        int32_t *steps = calloc(count * WORDS, sizeof *steps); /* of this size alone, so that a step beyond is found */
        if (fread(steps, sizeof *steps * WORDS, count, file) != count)
            return 2;
        run(program, steps, count);
        free(steps);
    }
    fclose(file);
    return 0;
}
