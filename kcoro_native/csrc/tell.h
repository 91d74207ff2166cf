/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Logging for the rest of the library; contracts in kcoro/log.h. */
#ifndef KCI_TELL_H
#define KCI_TELL_H

#include "kcoro/log.h"

/* Log a text that is made as printf does; what is too long is cut. */
void kci_tell(kc_log_level_t level, const char *format, ...);

#endif
