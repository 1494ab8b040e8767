"""The teacher's tensors are what scikit-learn has fitted."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from antifake.trainer.mini.teacher import (
    REGULARISATION,
    SHARPNESS,
    fit_machine,
    fit_regression,
    fit_teacher,
)

random = np.random.default_rng(2)
POOLED = random.normal(3, 2, size=(80, 6)).astype(np.float32)
IS_FAKE = POOLED[:, 0] + POOLED[:, 1] ** 2 > 16
WEIGHTS = np.where(np.arange(80) % 4, 0.5, 2) / 70


def test_the_machine_in_torch_is_that_of_scikit_learn():
    found = fit_machine(POOLED, IS_FAKE, WEIGHTS).logits(torch.from_numpy(POOLED)).numpy()
    scaler = StandardScaler().fit(POOLED)
    machine = SVC(C=1, gamma="scale").fit(
        scaler.transform(POOLED), IS_FAKE, sample_weight=WEIGHTS / WEIGHTS.mean()
    )
    wanted = SHARPNESS * machine.decision_function(scaler.transform(POOLED))
    assert np.allclose(found, wanted, atol=1e-3)


def test_the_regression_in_torch_is_that_of_scikit_learn():
    found = fit_regression(POOLED, IS_FAKE, WEIGHTS).logits(torch.from_numpy(POOLED)).numpy()
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=REGULARISATION)).fit(
        POOLED, IS_FAKE, logisticregression__sample_weight=WEIGHTS / WEIGHTS.mean()
    )
    assert np.allclose(found, fitted.decision_function(POOLED), atol=1e-3)


def test_the_teacher_is_the_mean_of_both():
    pooled = torch.from_numpy(POOLED)
    both = [fit(POOLED, IS_FAKE, WEIGHTS).logits(pooled) for fit in (fit_machine, fit_regression)]
    found = fit_teacher(POOLED, IS_FAKE, WEIGHTS).logits(pooled)
    assert torch.allclose(found, (both[0] + both[1]) / 2)
