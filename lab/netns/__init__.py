# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Two machines on one: a program in each of two network namespaces, and a line between their kernels that is ours.

``device``  makes the network of one machine and becomes its program
``line``    forwards packets between two such devices, and loses, delays and counts them
``pair``    starts both programs and the line

Sockets, kernels and libraries are real, so that what a transport does about loss is seen and not simulated. ``sim:``
has virtual time and repeats itself; this has neither: a seed decides which packet of a direction is lost, and the
kernels decide what is in it.
"""
