# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The program behind ``kcoro demo``: worker processes count the words of real files, and the count is proved.

Work goes out over one channel, results come back over another, progress over a CONFLATED one; the coordinator selects
over them. The rest of the folder, in the order in which a job passes through it:

files        which files, and in what batches
jobs         the ledger: what was given out to whom, what is answered, what has to be given out again
messages     what is written into the channels, as bytes
worker       a process that takes jobs and answers them
words        how a worker counts
tally        what the accepted answers add up to
proof        the same count by other means
chaos        whom to kill, and when
crew         the worker processes themselves
coordinator  the select loop
program      everything together, and what is cleaned up at its end
report       what a person or a program reads afterwards
"""
