#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One-class SVM and autoencoder, the two alternatives that the first article names, on the model's features.

Reads train.csv, attacks.csv and judge.csv, which `mlverdict scoreboard --export-vectors DIR` writes, and writes
scores.csv beside them for `mlverdict scoreboard --scores DIR/scores.csv`. Needs Debian's python3-sklearn.

    python3 scripts/one_class.py DIR

Both learn from normal requests alone. Training attacks only choose the width of the SVM's kernel and the size of the
autoencoder, by the area under the curve; nothing of a test is used.
"""
import csv
import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

SEED = 1
SVM_ROWS = 4000  # the kernel matrix grows with the square
LEVELS = (1, 2, 3, 4)


def read(path, keys):
    """Rows of a CSV by paranoia level: (keys, vectors)."""
    found = {level: ([], []) for level in LEVELS}
    with open(path, newline="") as lines:
        for row in csv.reader(lines):
            names, vectors = found[int(row[0])]
            names.append(row[1 : 1 + keys])
            vectors.append([float(x) for x in row[1 + keys :]])
    return {level: (names, np.array(vectors)) for level, (names, vectors) in found.items()}


def svm(train, gamma):
    rng = np.random.default_rng(SEED)
    rows = train[rng.permutation(len(train))[:SVM_ROWS]]
    fitted = OneClassSVM(nu=0.01, gamma=gamma).fit(rows)
    return lambda x: -fitted.decision_function(x)


def autoencoder(train, code):
    layers = (train.shape[1] * 2, code, train.shape[1] * 2)
    fitted = MLPRegressor(layers, activation="tanh", max_iter=1000, early_stopping=True, random_state=SEED).fit(train, train)
    return lambda x: np.mean((fitted.predict(x) - x) ** 2, axis=1)


def best(make, choices, train, attacks):
    """The choice that tells training attacks from training traffic best."""
    truth = np.r_[np.zeros(len(train)), np.ones(len(attacks))]
    judges = [make(train, choice) for choice in choices]
    areas = [roc_auc_score(truth, np.r_[judge(train), judge(attacks)]) for judge in judges]
    return judges[int(np.argmax(areas))], choices[int(np.argmax(areas))]


def main(folder):
    train, attacks, judged = (read(folder / f"{name}.csv", keys) for name, keys in (("train", 0), ("attacks", 0), ("judge", 1)))
    with open(folder / "scores.csv", "w", newline="") as out:
        table = csv.writer(out)
        for level in LEVELS:
            scale = StandardScaler().fit(np.log1p(train[level][1]))
            normal, bad = (scale.transform(np.log1p(part[level][1])) for part in (train, attacks))
            boundary, gamma = best(svm, (0.003, 0.03, 0.3), normal, bad)
            network, code = best(autoencoder, (2, 3, 4), normal, bad)
            print(f"paranoia level {level}: {len(normal)} normal requests, gamma {gamma}, code of {code}", file=sys.stderr)
            names, vectors = judged[level]
            vectors = scale.transform(np.log1p(vectors))
            for (digest,), a, b in zip(names, boundary(vectors), network(vectors)):
                table.writerow([level, digest, f"{a:.9g}", f"{b:.9g}"])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
