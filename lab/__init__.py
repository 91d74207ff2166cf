# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Scenarios over production code, each with figures, checks and a verdict: ``python -m lab``.

A lab has no implementation of its own: it uses the public interface of ``kcoro_core``, as a program does, and says by
figures whether a phase of the project is done. What can be exact is a check; what a machine decides is a figure.

``ipc/posix_co``  many calls in flight, cancelling, many channels over one connection
``ipc/sim``       bad lines, repeated from a seed
``select``        contended selects: one winner each, nothing lost
``mux``           fair shares and bounded memory of many channels over one link

``netns``         no lab but the ground for some: two machines on one, with a line between them that loses packets

``gates`` says which labs a gate consists of, ``runner`` runs them, ``sabotage`` shows that they can fail.
"""
