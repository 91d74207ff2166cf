/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** What functions return: 0 or a count on success, else a negative errno value; twin of kcoro_core/errors.py.
**
** Rule 1: a negative result means that the call had no effect; an element that was offered is still the caller's.
** Rule 2: misuse (a NULL, a closed half, a destroyed channel) is -EINVAL, and never ends the process. A coroutine that
** has used up its stack does: see kcoro/coroutine.h.
**
**   0            done
**   -EAGAIN      would have to wait (a try), or waits now (see kc_chan_enqueue)
**   -ETIME       the deadline passed first
**   -ECANCELED   a token was set, or the owner gave up
**   -EPIPE       the channel is closed; for a receiver also drained
**   -ENOTSUP     this build, or this system, cannot do it
**   -ENOMEM      no memory; only functions that say so return it
**   -EINVAL      misuse
*/
#ifndef KCORO_CODES_H
#define KCORO_CODES_H

#include <errno.h>

/* POSIX lets a system leave ETIME out; there the nearest number stands in. */
#ifndef ETIME
#define ETIME ETIMEDOUT
#endif

/*
** The stable name of a result, such as "KC-WOULD-BLOCK" for -EAGAIN; never renamed, and static.
**
** Returns "KC-OK" for 0 and more, and "KC-UNKNOWN" for a number that no function of libkcoro returns.
*/
const char *kc_code_name(int code);

#endif
