/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Which libkcoro this is; contracts in kcoro/version.h. */

#include "kcoro/version.h"

#include <errno.h>

const char *kc_version(void) {
    return KC_VERSION;
}

int kc_check_abi(int abi) {
    return abi == KC_ABI ? 0 : -ENOTSUP;
}
