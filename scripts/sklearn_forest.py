#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times scikit-learn's IsolationForest on one row at a time, in the format of Go's benchmarks, as a row beside those of
BenchmarkPathLength: 100 trees of 256 out of 4,096 rows of 48 normally distributed features.

Install scikit-learn with: apt-get install python3-sklearn (Debian) or pip install scikit-learn.
Run by: make bench, which goes on without it where scikit-learn is not installed.
"""

import os
import time

import numpy
from sklearn.ensemble import IsolationForest

FEATURES, ROWS, CALLS = 48, 4096, 30

rows = numpy.random.default_rng(1).standard_normal((ROWS, FEATURES)).astype(numpy.float32)
forest = IsolationForest(n_estimators=100, max_samples=256, random_state=2).fit(rows)


def nanoseconds(score, rows_a_call):
    score()
    start = time.perf_counter_ns()
    for _ in range(CALLS):
        score()
    return (time.perf_counter_ns() - start) / CALLS / rows_a_call


for walk, rows_a_call in ("scikit-learn", 1), ("scikit-learn-4096-rows-at-once", ROWS):
    took = nanoseconds(lambda: forest.score_samples(rows[:rows_a_call]), rows_a_call)
    print(f"BenchmarkPathLength/features={FEATURES}/walk={walk}-{os.cpu_count()} {CALLS} {took:.0f} ns/op")
