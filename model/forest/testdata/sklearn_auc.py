# SPDX-License-Identifier: Apache-2.0
"""ROC AUC of scikit-learn's IsolationForest on a generated data set.

Usage, from model/forest (needs numpy and scikit-learn, here those of Debian 12):

    /usr/bin/python3 testdata/sklearn_auc.py > testdata/sklearn.json

sklearn_test.go generates the same rows (the CRC-32 says so) and must come
within 0.01 of mean_auc. The generator is arithmetic only: no libm, no numpy
random source, nothing that differs between platforms or versions.
"""

import json
import platform
import zlib

import numpy
import sklearn
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

ROWS, FEATURES, SEEDS = 6000, 6, 10


class Generator:
    """Knuth's MMIX linear congruential generator."""

    def __init__(self):
        self.state = 1

    def uniform(self):
        """The upper 24 bits, in [0, 1)."""
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 40) / 2**24

    def normal(self):
        """Irwin-Hall: twelve uniforms less six; mean 0, variance 1, exact."""
        return sum(self.uniform() for _ in range(12)) - 6


def generate():
    """Three clusters; every tenth row is an anomaly, scattered half as widely again."""
    g = Generator()
    rows, labels = [], []
    for r in range(ROWS):
        anomaly = r % 10 == 0
        scale = 1.5 if anomaly else 1
        rows.append([4 * ((r + i) % 3) + scale * g.normal() for i in range(FEATURES)])
        labels.append(anomaly)
    return numpy.array(rows, dtype="<f4"), numpy.array(labels)


rows, labels = generate()
auc = []
for seed in range(SEEDS):
    forest = IsolationForest(n_estimators=100, max_samples=256, random_state=seed).fit(rows)
    auc.append(roc_auc_score(labels, -forest.score_samples(rows)))
print(json.dumps({
    "python": platform.python_version(),
    "numpy": numpy.__version__,
    "scikit_learn": sklearn.__version__,
    "rows": ROWS,
    "features": FEATURES,
    "crc32": zlib.crc32(rows.tobytes()),
    "auc": [round(a, 6) for a in auc],
    "mean_auc": round(sum(auc) / SEEDS, 6),
}, indent=2))
