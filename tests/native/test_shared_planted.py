# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults planted into what threads share of libkcoro, its selects and its tokens, are found by their C tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from .test_scheduler_planted import LONGEST, SLOWLY, TRIED_SECONDS, fails, spoilt

pytestmark = pytest.mark.long

# Which test has to see it, and what is changed.
FAULTS = {
    "channels that close at once count as one": (
        "test_scheduler_select",
        "waiter.c",
        "        left = kc_atomic_add_sc(&op->open_arms, -1);\n",
        SLOWLY + "        kc_atomic_store(&op->open_arms, --left);\n",
    ),
    "a select that skips ends with the first that closes": (
        "test_scheduler_select",
        "waiter.c",
        "if (left != 0 || ",
        "if (",
    ),
    "time ends a select instead of winning": (
        "test_scheduler_select",
        "wait.c",
        "wait->in_time != NULL ? kc_waiter_complete(wait->in_time, NULL) : kc_op_expire(wait->op)",
        "kc_op_expire(wait->op)",
    ),
    "the last of equal clauses about time wins": (
        "test_scheduler_select",
        "shared_select.c",
        "after == timeout_ns && *in_time == NULL",
        "after == timeout_ns",
    ),
    "a timeout beats a clause that is as long": (
        "test_scheduler_select",
        "shared_select.c",
        "after < timeout_ns || is_as_long",
        "after < timeout_ns",
    ),
    "never comes at once": (
        "test_scheduler_select",
        "shared_select.c",
        "if (after >= 0 && (timeout_ns < 0 ||",
        "if ((timeout_ns < 0 ||",
    ),
    "a set token does not beat what is ready": (
        "test_scheduler_tokens",
        "shared.c",
        "if (token != NULL && kci_token_is_set(token))",
        "if (0)",
    ),
    "a set token does not beat a clause that is ready": (
        "test_scheduler_tokens",
        "shared_select.c",
        "held->token != NULL ? token->token.is_set : kci_token_is_set(token)",
        "0",
    ),
    "a trigger that comes before the wait is missed": (
        "test_scheduler_tokens",
        "shared_token.c",
        "    return token == NULL ? 0 : kc_token_subscribe(&token->token, &heed->subscription, end);",
        "    if (token != NULL)\n        kc_token_subscribe(&token->token, &heed->subscription, end);\n    return 0;",
        "    pthread_mutex_lock(&token->root->lock);\n    int rc = kci_heed",
        SLOWLY + "    pthread_mutex_lock(&token->root->lock);\n    int rc = kci_heed",
    ),
    "a token is asked before the channel is locked": (
        "test_scheduler_tokens",
        "shared.c",
        "    pthread_mutex_lock(&ch->lock);\n    if (token != NULL && kci_token_is_set(token))",
        "    bool is_set = kci_token_is_set(token);\n" + SLOWLY + "    pthread_mutex_lock(&ch->lock);\n    if (is_set)",
    ),
    "a select asks its token before its channels are locked": (
        "test_scheduler_tokens",
        "shared_select.c",
        "    lock_all(&held);\n    int rc = try_now(&held, token);",
        "    bool is_set = kci_token_is_set(token);\n" + SLOWLY + "    lock_all(&held);\n"
        "    int rc = is_set ? -ECANCELED : kc_select_poll(s);",
    ),
    "a call that waits leaves its channel before it heeds its token": (
        "test_scheduler_tokens",
        "shared.c",
        "rc = kci_heed_alone(&call->heed, token, &call->op);",
        "rc = kci_heed_alone(&call->heed, NULL, &call->op);",
        "    rc = kci_wait(&call.wait, timeout_ns);",
        SLOWLY + "    if (kci_heed_alone(&call.heed, token, &call.op) != 0 && kc_op_revoke(&call.op))\n"
        "        kci_wake_owners();\n    rc = kci_wait(&call.wait, timeout_ns);",
    ),
    "a trigger wakes nobody": (
        "test_scheduler_tokens",
        "shared_token.c",
        "kci_leave(&token->root->lock);",
        "pthread_mutex_unlock(&token->root->lock);",
    ),
    "a token is seen set before those below it are": (
        "test_scheduler_tokens",
        "shared_token.c",
        "            kc_atomic_store(&kci_shared_of(t)->is_set, 1);\n",
        "{\n            kc_atomic_store(&kci_shared_of(t)->is_set, 1);\n" + SLOWLY + "}\n",
        "    pthread_mutex_lock(&token->root->lock);\n    pthread_mutex_unlock(&token->root->lock);\n    return true;",
        "    return true;",
    ),
    "a late child is not seen set": (
        "test_scheduler_tokens",
        "shared_token.c",
        "    kc_atomic_store(&token->is_set, token->token.is_set);\n",
        "",
    ),
    "only the token itself is seen set": ("test_scheduler_tokens", "shared_token.c", "t = t->found)", "t = NULL)"),
    "a parent goes before its children": (
        "test_scheduler_tokens",
        "shared_token.c",
        "    kc_shared_token_retain(parent);\n",
        "",
    ),
    "a child that is gone stays in the tree": (
        "test_scheduler_tokens",
        "shared_token.c",
        "        kc_token_end(&token->token);\n",
        "",
    ),
    "trees are locked in any order": (
        "test_scheduler_tokens",
        "shared_select.c",
        "    if (held.has_trees)\n        held.token = token;\n",
        "",
    ),
    "a call is heeded for ever": (
        "test_scheduler_tokens",
        "shared_token.c",
        "    kc_token_forget(&heed->subscription);",
        "    (void)heed;",
    ),
    "a call that a token ended is in no book": (
        "test_scheduler_tokens",
        "shared.c",
        "    if (rc == -ECANCELED)\n        kc_chan_count_failure(ch->ch, KC_CANCELLED);\n",
        "",
    ),
    "a half that is closed twice counts twice": (
        "test_scheduler_half",
        "shared_half.c",
        "    half->ch = NULL;\n    if (ch == NULL)",
        "    if (ch == NULL)",
    ),
    "the last receiver only closes": (
        "test_scheduler_half",
        "shared_half.c",
        "kc_shared_cancel(ch, NULL, KC_UNDELIVERED_CANCELLED);",
        "kc_shared_close(ch, NULL);",
    ),
    "the last sender goes and nobody is told": (
        "test_scheduler_half",
        "shared_half.c",
        "        kc_shared_close(ch, NULL);\n",
        "        ;\n",
    ),
    "two that go at once count as one": (
        "test_scheduler_half",
        "shared_half.c",
        "    if (kc_atomic_add_sc(&ch->open_senders, -1) == 0)\n",
        "    int left = kc_atomic_load(&ch->open_senders) - 1;\n"
        + SLOWLY
        + "    kc_atomic_store(&ch->open_senders, left);\n    if (left == 0)\n",
    ),
    "a channel that is closed says it is drained": (
        "test_scheduler_half",
        "shared.c",
        "kc_chan_is_drained(ch->ch);",
        "kc_chan_is_closed(ch->ch);",
    ),
    "a clause of one loop is taken": (
        "test_scheduler_tokens",
        "shared_select.c",
        "        if (ops != &of_shared && ops != &of_time && ops != &of_tokens)\n            return false;\n",
        "",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str, build_dir: Path, tmp_path: Path) -> None:
    """By the test that is there to find it."""
    who, *change = FAULTS[fault]
    assert fails(spoilt(tmp_path, *change), who, TRIED_SECONDS)


@pytest.mark.parametrize("who", sorted({fault[0] for fault in FAULTS.values()}))
def test_nothing_is_found_where_nothing_is_wrong(who: str, build_dir: Path, tmp_path: Path) -> None:
    """Or what was found above is something else."""
    assert not fails(spoilt(tmp_path, "deque.h", "SPDX", "SPDX"), who, longest=3 * LONGEST)
