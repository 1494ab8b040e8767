"""The teacher's tensors are the machine that scikit-learn has fitted."""

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from antifake.trainer.mini.teacher import SHARPNESS, fit_teacher


def test_the_teacher_in_torch_is_the_machine_of_scikit_learn():
    random = np.random.default_rng(2)
    pooled = random.normal(size=(80, 6)).astype(np.float32)
    is_fake = pooled[:, 0] + pooled[:, 1] ** 2 > 0.7
    teacher = fit_teacher(pooled, is_fake, np.full(80, 1 / 80))
    found = teacher.logits(torch.from_numpy(pooled)).numpy()
    scaler = StandardScaler().fit(pooled)
    machine = SVC(C=1, gamma="scale").fit(scaler.transform(pooled), is_fake)
    wanted = SHARPNESS * machine.decision_function(scaler.transform(pooled))
    assert np.allclose(found, wanted, atol=1e-3)
