# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults that are planted into the coroutines of the reference engine; their laws and its own tests find each.

None needs a thread to come at the right moment: each is found in one run, on a machine however busy.
"""

from __future__ import annotations

from planted import Fault

FIBERS = "reference/coroutine.py"
STRANDS = "hosts/strands.py"

MEETING = [
    Fault(
        "a-permit-is-lost",
        FIBERS,
        "        if not self.call_off():\n            self._permit.append(None)\n",
        "        if not self.call_off():\n",
        "an unpark before the park is forgotten",
    ),
    Fault(
        "permits-add-up",
        FIBERS,
        "            self._permit.clear()  # several",
        "            pass  # several",
        "two unparks let two parks return at once",
    ),
    Fault(
        "parks-without-a-last-look",
        FIBERS,
        "        if self._permit and self.call_off():\n            self._take_permit()\n            return False\n",
        "",
        "an unpark between the look and the mark of a park wakes nobody",
    ),
    Fault(
        "unparks-without-a-last-look",
        FIBERS,
        "            if not self.call_off():\n                return False\n            self._take_permit()\n",
        "            return False\n",
        "a park between the two looks of an unpark waits although it was unparked",
    ),
    Fault(
        "a-permit-too-many",
        FIBERS,
        "                return False\n            self._take_permit()\n        return True\n",
        "                return False\n        return True\n",
        "an unpark that has won leaves a permit as well",
    ),
]

MOVES = [
    Fault(
        "never-ready",
        FIBERS,
        "        return READY if self.moved is PARKED and not self.meeting.waits else self.moved\n",
        "        return self.moved\n",
        "one that was unparked is PARKED, and cannot be resumed",
    ),
    Fault(
        "anybody-may-resume",
        FIBERS,
        "        if self.here is not None and self.here is not here:\n            raise foreign(self)\n        state",
        "        state",
        "another thread than its own resumes it",
    ),
    Fault(
        "any-state-will-do",
        FIBERS,
        "        if state not in COROUTINE_MOVES[verb][0]:\n",
        "        if state is RUNNING:\n",
        "one that is parked, or has ended, is resumed",
    ),
    Fault(
        "a-value-for-nobody",
        FIBERS,
        "        if state is CREATED and value is not None:\n            raise early(self)\n",
        "",
        "a value for a body that has not begun is lost",
    ),
    Fault(
        "calls-off-and-stays-parked",
        FIBERS,
        "        self.meeting.call_off()\n        self.resumer = here.current\n",
        "        self.resumer = here.current\n",
        "a parked one that was thrown into counts as waiting in its next park",
    ),
    Fault(
        "the-resumer-stays-behind",
        FIBERS,
        "        other.resumer, self.resumer = self.resumer, None\n",
        "        other.resumer, self.resumer = self, None\n",
        "a yield_to hands on itself and not who resumed it",
    ),
    Fault(
        "always-back-to-the-thread",
        FIBERS,
        "        self.resumer = here.current\n",
        "        self.resumer = None\n",
        "one that was resumed by another goes back to the thread",
    ),
]

ENDS = [
    Fault(
        "an-error-that-nobody-hears",
        FIBERS,
        "        here.depart(self, to, Letter() if self.outcome is None else self.outcome)\n",
        "        here.depart(self, to, Letter())\n",
        "whoever resumed it hears neither result nor error",
    ),
    Fault(
        "an-exit-is-a-result",
        FIBERS,
        "        except CoroutineExit:\n            return None\n",
        "        except CoroutineExit:\n            return Letter()\n",
        "one that was destroyed seems to have returned None",
    ),
    Fault(
        "clings-unseen",
        FIBERS,
        "        if self.moved is not FINISHED:\n            raise clung(self)\n",
        "",
        "a body that waits instead of ending counts as ended",
    ),
    Fault(
        "thrown-into-nothing",
        FIBERS,
        "            self._never_begin(Letter(error=error))\n            raise error\n",
        "            self._never_begin(Letter(error=error))\n            return None\n",
        "an error that is thrown into one that has not begun is swallowed",
    ),
    Fault(
        "never-begun-and-not-ended",
        FIBERS,
        "        self.outcome = outcome\n        self.moved = FINISHED\n        self.body = None\n",
        "        self.outcome = outcome\n        self.body = None\n",
        "one that was destroyed before it began is CREATED for ever",
    ),
    Fault(
        "holds-itself",
        FIBERS,
        "            me.handle = None  # perhaps",
        "            pass  # perhaps",
        "one that waits keeps itself alive, and is never found dropped",
    ),
    Fault(
        "dropped-and-forgotten",
        FIBERS,
        "        while self.dropped:\n            self.dropped.popleft().end_unseen()\n",
        "        self.dropped.clear()\n",
        "what was dropped where nothing could switch never cleans up",
    ),
    Fault(
        "orphans-are-foreign",
        FIBERS,
        "        if self.here is not None and self.here is not here and not self.here.alive():\n"
        "            self.here = here  # nobody else can end it any more\n",
        "",
        "whose thread has ended cannot be ended by anybody",
    ),
]

STACKS = [
    Fault(
        "everybodys-context",
        FIBERS,
        "            return Letter(self.context.run(fn, *args))\n",
        "            return Letter(fn(*args))\n",
        "a body runs in the context of its thread, and not in a copy of its maker's",
    ),
    Fault(
        "an-empty-context",
        FIBERS,
        "        self.context = contextvars.copy_context()\n",
        "        self.context = contextvars.Context()\n",
        "a body sees nothing of what its maker has set",
    ),
    Fault(
        "one-number-for-all",
        STRANDS,
        "Fiber(next(_numbers), fn, args, name)",
        "Fiber(1, fn, args, name)",
        "coroutines cannot be told apart",
    ),
    Fault(
        "an-ended-one-was-parked",
        STRANDS,
        "        return self._fiber.moved is not FINISHED and self._fiber.meeting.unpark()\n",
        "        return self._fiber.meeting.unpark() or self._fiber.moved is FINISHED\n",
        "an unpark of one that has ended says that it was parked",
    ),
    Fault(
        "handlers-may-switch",
        STRANDS,
        '        raise WrongState("a signal handler cannot switch while a coroutine runs; it may call unpark()")\n',
        "        pass\n",
        "a signal handler switches away under the body that runs",
    ),
    Fault(
        "dropped-at-the-wrong-thread",
        STRANDS,
        "            fiber.here.dropped.append(self)\n",
        "            here.dropped.append(self)\n",
        "what another thread has dropped is left to the one that cannot end it",
    ),
    Fault(
        "the-end-forgets-them",
        STRANDS,
        "            co.end_unseen()\n\n\ndef _after_fork",
        "            pass\n\n\ndef _after_fork",
        "what still waits at the end of the interpreter never cleans up",
    ),
    Fault(
        "a-child-waits-for-nobody",
        STRANDS,
        "        co._fiber.lose()\n",
        "        pass\n",
        "after a fork the child believes in stacks that are not there",
    ),
    Fault(
        "made-at-the-end",
        STRANDS,
        "        if _over:\n            raise",
        "        if False:\n            raise",
        "while the interpreter ends coroutines are made that nobody ends",
    ),
]

COROUTINES = [*MEETING, *MOVES, *ENDS, *STACKS]
