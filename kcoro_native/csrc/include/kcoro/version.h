/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Which libkcoro this is.
**
** Rule 1: KC_VERSION is the version of all kcoro packages; KC_ABI counts incompatible changes of these headers alone.
** Rule 2: a program checks at run time that what it was compiled against is what it runs on: kc_check_abi(KC_ABI).
*/
#ifndef KCORO_VERSION_H
#define KCORO_VERSION_H

#ifdef __cplusplus
#error "the headers of libkcoro are C: its claim words are C11 atomics; wrap what you need in a C file"
#endif

/* The version of the package, as text. The same in every package of one release. */
#define KC_VERSION "0.1.0"

/* Counts incompatible changes of these headers. While it is 0 nothing is promised: any release may change anything. */
#define KC_ABI 0

/* The KC_VERSION that the library was compiled with; static. */
const char *kc_version(void);

/*
** Whether the library has the ABI that the caller was compiled with; call it as kc_check_abi(KC_ABI).
**
** Returns 0, or -ENOTSUP: nothing else of the library may be called then.
*/
int kc_check_abi(int abi);

#endif
