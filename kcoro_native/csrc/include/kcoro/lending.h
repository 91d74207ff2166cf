/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** A link's share in a channel: slots that are lent to one borrower, elements that one keeper holds ahead of its
** receives, and elements that travel; twin of reference/lending.py. A link is their only user, and has one loop:
** channels that threads share lend nothing.
**
**     lend ---> lent --somebody else sends, or close--> called back --end_lending--> as before
**     keep ---> kept --somebody else receives--------> called back --end_keeping--> as before
**
** Rule 1: queued + kept + lent <= capacity, but for elements that came back over a link.
** Rule 2: while slots are lent only the borrower sends. The first send of anybody else asks for them back, once, and
** waits for their return even beside a free slot: else it could overtake what the borrower has sent before.
** Rule 3: a free slot goes to the oldest sender that waits; slots are lent only while none does.
** Rule 4: while elements are kept only the keeper receives. Each receive of anybody else asks for them, and waits until
** those that nobody took are at the head again, in their old order.
** Rule 5: a closed channel is drained only when lent slots and travelling elements are settled.
** Rule 6: a try that finds a borrower or a keeper is answered when that end has answered, and not before.
**
** An element that was received, or taken ahead, is the caller's; what is put back is the channel's again.
*/
#ifndef KCORO_LENDING_H
#define KCORO_LENDING_H

#include "channel.h"

typedef struct kc_borrower kc_borrower_t;
typedef struct kc_keeper kc_keeper_t;

/* The end of a link that sends against lent slots. Put it first in a structure of your own to find your way back.
** The channel calls it; it uses the channel later, and not from there. */
struct kc_borrower {
    /* Somebody else wants to send: ask for the slots. Told once for each lend; kc_chan_end_lending answers it. */
    void (*recall)(kc_borrower_t *self);
    /* A try to receive wants to know what is on its way: call kc_chan_answered once for each question. */
    void (*ask)(kc_borrower_t *self);
    /* There may be more slots to lend than there were: see kc_chan_lendable. */
    void (*freed)(kc_borrower_t *self);
};

/* The end of a link that holds elements ahead of its receives. It may use the channel from there. */
struct kc_keeper {
    /* There are elements in the queue: kc_chan_take_ahead takes them. */
    void (*arrived)(kc_keeper_t *self);
    /* Somebody else wants to receive: have what was not taken come back, then call kc_chan_end_keeping, or do so now.
    ** Told by each receive of somebody else. */
    void (*recall)(kc_keeper_t *self);
    /* The channel is closed and nothing is left, not even on its way. May be told again. */
    void (*drained)(kc_keeper_t *self);
};

/* A try that waits for the answer of a link; the caller's memory, as a waiter of its own. Fill `waiter` by
** kc_waiter_init; leave it by kc_chan_withdraw or kc_waiter_leave. */
typedef struct kc_try {
    kc_waiter_t waiter;
    uint64_t turn;     /* the channel's: orders its tries */
    uint64_t question; /* the channel's: which question to the borrower it has put, 0 for none */
} kc_try_t;

/* -- elements that travel */

/*
** Note that the element just received travels to another process, and is not known to have arrived. A closed channel is
** not drained meanwhile.
**
** Returns 0, or -EINVAL.
*/
int kc_chan_hand_out(kc_chan_t *ch);

/*
** Note that `count` of those handed out arrived or come back. Those that come back go to the head in their old order,
** or to receivers that wait; after kc_chan_cancel they are reported as the queue was.
**
** put_back  `back` elements, oldest first; the channel's when 0 is returned, else still the caller's
**
** Returns 0, -ENOMEM (only where something is put back; nothing has changed), -EINVAL: not so many travel.
*/
int kc_chan_settle(kc_chan_t *ch, size_t count, void *const *put_back, size_t back);

/* -- lent slots */

/*
** Make `borrower` the only sender, until kc_chan_end_lending.
**
** borrower  borrowed until then, or until the channel is destroyed, which it is not told
**
** Returns 1; 0, without effect: there is a borrower, or a sender waits, or the channel is closed, KC_RENDEZVOUS or of a
** policy that drops; or -EINVAL.
*/
int kc_chan_lend(kc_chan_t *ch, kc_borrower_t *borrower);

/* How many slots could be lent now; 0 while a sender waits, and from a recall or a close on. SIZE_MAX: any number. */
size_t kc_chan_lendable(const kc_chan_t *ch);

/* Lend so many more slots. 0, or -EINVAL, without effect: more than are lendable, or more than half of SIZE_MAX. */
int kc_chan_lend_slots(kc_chan_t *ch, size_t count);

/*
** Take in what the borrower sends.
**
** element  the channel's when 0 is returned, else still the caller's
** slot     against a lent slot: always done, also after a close (it is drained then) and a cancel (it is reported).
**          Without one as kc_chan_send_now, but for a channel that is called back or has a sender waiting: -EAGAIN
**
** Returns 0, -EAGAIN and -EPIPE (without a slot only), -ENOMEM (the slot is still lent), -EINVAL: no borrower, no slot.
*/
int kc_chan_fill(kc_chan_t *ch, void *element, bool slot);

/* Count values that were sent, and replaced and reported at the borrower's end (KC_CONFLATED). 0, or -EINVAL. */
int kc_chan_replaced(kc_chan_t *ch, size_t count);

/*
** Have a KC_UNLIMITED channel count as full, or not any more, for a borrower whose bytes reach a bound. Ends with
** kc_chan_end_lending.
**
** Returns 0, or -EINVAL: another kind, or no borrower.
*/
int kc_chan_hold_back(kc_chan_t *ch, bool full);

/* What the borrower had sent before the oldest question has come: its try ends if it waits. 0; -EINVAL: no question. */
int kc_chan_answered(kc_chan_t *ch);

/*
** The slots are back, or lost with their link: senders that waited are served, tries end, a close finishes.
**
** Returns 0, or -EINVAL: there is no borrower.
*/
int kc_chan_end_lending(kc_chan_t *ch);

/* -- elements kept ahead */

/*
** Make `keeper` the only receiver, until kc_chan_end_keeping.
**
** keeper  borrowed until then, or until the channel is destroyed, when it is told `drained`
**
** Returns 1; 0, without effect: there is a keeper, or a receiver waits, or the channel is KC_RENDEZVOUS, KC_CONFLATED
** or of a policy that drops; or -EINVAL.
*/
int kc_chan_keep(kc_chan_t *ch, kc_keeper_t *keeper);

/*
** Take the oldest element for the keeper. It travels, and has its slot still, until kc_chan_settle_ahead.
**
** element  set when 0 is returned, and the caller's then
**
** Returns 0, -EAGAIN, -EPIPE (closed and drained), -EINVAL.
*/
int kc_chan_take_ahead(kc_chan_t *ch, void **element);

/* As kc_chan_settle, for elements that were taken ahead; the slots of `count` of them are free now. */
int kc_chan_settle_ahead(kc_chan_t *ch, size_t count, void *const *put_back, size_t back);

/*
** The share is over: receivers that waited are served, tries end. What is kept still has to be settled.
**
** Returns 0, or -EINVAL: there is no keeper.
*/
int kc_chan_end_keeping(kc_chan_t *ch);

/* -- what others have to know of a share */

/*
** Queue a try that -EAGAIN did not answer, because something may be on its way. It completes like any waiter; once it
** is certain that it would block it is out of the queue, and its operation expired (KC_TIMED_OUT).
**
** t  borrowed until it has left the queue
**
** Returns 1; 0: -EAGAIN was the answer; -EINVAL, as kc_chan_enqueue.
*/
int kc_chan_ask(kc_chan_t *ch, kc_try_t *t);

/* Whether a link has slots lent (`sending`), or keeps elements, so that nobody else is served. 1, 0 or -EINVAL. */
int kc_chan_is_shared(const kc_chan_t *ch, bool sending);

/* Have a share in that direction given up: somebody waits whom this channel cannot see. 0, or -EINVAL. */
int kc_chan_want(kc_chan_t *ch, bool sending);

/*
** Whether somebody in that direction may be matched with who waits in the other: not while lent slots are called back,
** nor while elements are kept; what the link has comes first.
**
** Returns 1, 0 or -EINVAL.
*/
int kc_chan_may_meet(const kc_chan_t *ch, bool sending);

#endif
