"""Every solver against scikit-learn on the same features; what has not converged is said; nothing but train is used."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from headtohead.probe import knn, linear, solver
from headtohead.probe.heads import HEADS
from headtohead.probe.knn import fit_knn
from headtohead.probe.linear import fit_logreg, fit_ridge
from headtohead.probe.solver import Moments, Task
from headtohead.training.loop import Plan

PLAN = Plan(seed=0, epochs=10, learning_rate=1.0, weight_decay=0.0, warmup_share=0.1, clip_norm=5.0)
GRIDS = {"adamw": ((1e-3, 1e-2, 1e-1), (0.0, 1.0)), "sgd": ((1e-4, 1e-3, 1e-2), (0.0,))}


def clouds(seed: int, n: int) -> tuple[torch.Tensor, np.ndarray]:
    """Four overlapping classes in 12 correlated dimensions of very different size, far from the origin."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, n)
    mixing = np.random.default_rng(7).normal(size=(12, 12)) * np.geomspace(0.1, 10, 12)
    x = (rng.normal(size=(n, 12)) + 1.2 * np.eye(12)[y]) @ mixing + np.linspace(-30, 30, 12)
    return torch.tensor(x, dtype=torch.float32), y


def a_task(standardised: bool = False, n: int = 240) -> Task:
    (x, y), (x_tune, y_tune) = clouds(0, n), clouds(1, 100)
    return Task(x[None], y, x_tune, y_tune, 4, Moments.of(x, y, 4), standardised, PLAN, GRIDS, 64)


def scaled(of: Task) -> tuple[np.ndarray, np.ndarray]:
    """Train and tune as the solver is to see them, by scikit-learn's scaler."""
    x, tune = of.plain.double().numpy(), of.tune.double().numpy()
    scaler = StandardScaler(with_mean=of.standardised, with_std=of.standardised).fit(x)
    return scaler.transform(x), scaler.transform(tune)


@pytest.mark.parametrize("standardised", [False, True])
def test_logistic_regression_is_scikit_learn_s_at_every_strength(standardised: bool) -> None:
    of = a_task(standardised)
    fit = fit_logreg(of)
    x, tune = scaled(of)
    assert len(fit.table) > 4
    assert all(row["converged"] for row in fit.table)
    # On the raw features, whose sizes lie far apart, scikit-learn's lbfgs does not get there in 10,000 iterations.
    solver = "lbfgs" if standardised else "newton-cg"
    for row in fit.table:
        reference = LogisticRegression(C=row["C"], solver=solver, tol=1e-9, max_iter=5000).fit(x, of.y_train)
        p = reference.predict_proba(tune)
        assert row["tune_loss"] == pytest.approx(log_loss(of.y_tune, p), rel=1e-3)
        assert row["tune_accuracy"] == pytest.approx(reference.score(tune, of.y_tune), abs=0.011)  # a tie may turn
        if row == fit.best:
            ours = HEADS["logreg"].predict(fit.arrays, of.tune, of.plain, of.y_train)
            np.testing.assert_allclose(ours, p, atol=1e-3)
            scale = x.std(0) / of.plain.double().numpy().std(0)  # raw weights -> those of the scaled features
            centred = fit.arrays["weight"] - fit.arrays["weight"].mean(0)
            np.testing.assert_allclose(centred / scale, reference.coef_ - reference.coef_.mean(0), atol=2e-3)


@pytest.mark.parametrize("standardised", [False, True])
def test_ridge_is_scikit_learn_s_at_every_strength(standardised: bool) -> None:
    of = a_task(standardised)
    fit = fit_ridge(of)
    x, tune = scaled(of)
    for row in fit.table:
        scores = Ridge(alpha=row["alpha"], solver="svd").fit(x, np.eye(4)[of.y_train]).predict(tune)
        assert row["tune_accuracy"] == (scores.argmax(1) == of.y_tune).mean()
        if row == fit.best:
            ours = of.tune.double().numpy() @ fit.arrays["weight"].T + fit.arrays["bias"]
            np.testing.assert_allclose(ours, scores, atol=1e-6)
            p = HEADS["ridge"].predict(fit.arrays, of.tune, of.plain, of.y_train)
            np.testing.assert_allclose(p.sum(1), 1)
            assert (p.argmax(1) == scores.argmax(1)).all()
            assert p.min() >= 0


@pytest.mark.parametrize("standardised", [False, True])
def test_nearest_neighbours_are_scikit_learn_s(standardised: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knn, "QUERY_CHUNK", 33)
    monkeypatch.setattr(knn, "TRAIN_CHUNK", 70)  # fewer than the most neighbours: chunks must be merged
    of = a_task(standardised)
    fit = fit_knn(of)
    x, tune = scaled(of)
    assert [row["k"] for row in fit.table] == [1, 2, 5, 10, 20, 50, 100]
    for row in fit.table:
        reference = KNeighborsClassifier(row["k"], metric="cosine", weights=lambda d: np.exp((1 - d) / knn.TEMPERATURE))
        p = reference.fit(x, of.y_train).predict_proba(tune)
        assert row["tune_loss"] == pytest.approx(((p - np.eye(4)[of.y_tune]) ** 2).sum(1).mean(), rel=1e-4)
        assert row["tune_accuracy"] == (p.argmax(1) == of.y_tune).mean()
        if row == fit.best:
            np.testing.assert_allclose(HEADS["knn"].predict(fit.arrays, of.tune, of.plain, of.y_train), p, atol=1e-5)


def test_k_is_chosen_on_a_bounded_number_of_tune_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knn, "MAX_QUERIES", 30)
    of = a_task()
    part = dataclasses.replace(of, tune=of.tune[::4], y_tune=of.y_tune[::4])
    assert fit_knn(of).table == fit_knn(part).table


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("standardised", [False, True])
def test_chunks_change_nothing_and_the_choice_is_the_lowest_tune_loss(
    name: str, standardised: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = HEADS[name].fit(a_task(standardised))
    monkeypatch.setattr(solver, "CHUNK", 17)
    cut = HEADS[name].fit(a_task(standardised))
    assert whole.best == min(whole.table, key=lambda row: row["tune_loss"])
    assert whole.table.index(whole.best) == cut.table.index(cut.best)
    for key in whole.arrays:
        np.testing.assert_allclose(whole.arrays[key], cut.arrays[key], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_the_chosen_head_predicts_tune_as_its_row_says(name: str) -> None:
    for standardised in (False, True):
        of = a_task(standardised)
        fit = HEADS[name].fit(of)
        p = HEADS[name].predict(fit.arrays, of.tune, of.plain, of.y_train)
        assert (p.argmax(1) == of.y_tune).mean() == pytest.approx(fit.best["tune_accuracy"], abs=1e-6)
        assert fit.best["tune_accuracy"] > 0.33


def test_a_fit_cut_short_is_flagged_and_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    best = fit_logreg(a_task()).best
    monkeypatch.setattr(linear, "MAX_ITERATIONS", best["iterations"] - 3)
    fit = fit_logreg(a_task())
    flags = [row["converged"] for row in fit.table]
    assert True in flags
    assert False in flags
    assert fit.best["converged"]
    assert all(row["gradient_norm"] > linear.TOLERANCE for row in fit.table if not row["converged"])
    monkeypatch.setattr(linear, "MAX_ITERATIONS", 1)
    assert not fit_logreg(a_task()).best["converged"]


def test_standardisation_knows_train_alone() -> None:
    of = a_task(True)
    np.testing.assert_allclose(of.shift, of.plain.double().numpy().mean(0), rtol=1e-9)
    np.testing.assert_allclose(of.scale, of.plain.double().numpy().std(0), rtol=1e-9)
    moved = dataclasses.replace(of, tune=of.tune * 100 + 5)
    assert (moved.shift == of.shift).all()
    assert (moved.scale == of.scale).all()


def test_a_constant_feature_is_left_as_it_is() -> None:
    x, y = clouds(0, 50)
    x[:, 3] = 2.5
    of = dataclasses.replace(a_task(True), train=x[None], y_train=y, moments=Moments.of(x, y, 4))
    assert of.scale[3] == 1
    assert np.isfinite(fit_logreg(of).arrays["weight"]).all()


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("standardised", [False, True])
def test_features_that_say_nothing_give_the_classes_shares(name: str, standardised: bool) -> None:
    of = a_task(standardised)
    x, tune = torch.full_like(of.plain, 3.0), torch.full_like(of.tune, 3.0)
    of = dataclasses.replace(of, train=x[None], tune=tune, moments=Moments.of(x, of.y_train, 4))
    p = HEADS[name].predict(HEADS[name].fit(of).arrays, tune, x, of.y_train)
    assert (p == p[0]).all()
    if name in ("logreg", "ridge"):
        np.testing.assert_allclose(p[0], np.bincount(of.y_train) / len(of.y_train), atol=1e-4)


def test_moments_are_exact_far_from_the_origin() -> None:
    rng = np.random.default_rng(0)
    x, y = torch.tensor(rng.normal(size=(500, 5)) + 3000, dtype=torch.float32), np.arange(500) % 3
    found, exact = Moments.of(x, y, 3), x.double().numpy()
    np.testing.assert_allclose(found.covariance, np.cov(exact.T, bias=True), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.class_sums, [exact[y == k].sum(0) for k in range(3)], rtol=1e-12)
