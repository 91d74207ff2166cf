/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* All of libkcoro: channels, select, cancel tokens and timers, for one loop in one thread; coroutines, a scheduler that
** runs them in many threads, and channels and tokens that they share. It knows no Python. */
#ifndef KCORO_KCORO_H
#define KCORO_KCORO_H

#include "call.h"
#include "cancel.h"
#include "channel.h"
#include "clause.h"
#include "clauses.h"
#include "codes.h"
#include "coroutine.h"
#include "event.h"
#include "half.h"
#include "lending.h"
#include "log.h"
#include "memory.h"
#include "poller.h"
#include "scheduler.h"
#include "scope.h"
#include "select.h"
#include "semantics.h"
#include "shared.h"
#include "shared_clauses.h"
#include "shared_half.h"
#include "shared_token.h"
#include "stack.h"
#include "timer.h"
#include "version.h"
#include "waiter.h"

#endif
