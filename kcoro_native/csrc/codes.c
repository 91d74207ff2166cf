/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* The stable names of results; a test compares this table with kcoro_core/errors.py. */

#include "kcoro/codes.h"

#include <stddef.h>

static const struct {
    int number;
    const char *name;
} names[] = {
    {EAGAIN, "KC-WOULD-BLOCK"},     {ETIME, "KC-DEADLINE"},    {ECANCELED, "KC-CANCELLED"},
    {EPIPE, "KC-CHAN-CLOSED"},      {ENOTSUP, "KC-NOT-SUPPORTED"}, {EINVAL, "KC-ERROR"},
    {ENOMEM, "KC-NO-MEMORY"},
};

const char *kc_code_name(int code) {
    if (code >= 0)
        return "KC-OK";
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].number == -code)
            return names[i].name;
    return "KC-UNKNOWN";
}
