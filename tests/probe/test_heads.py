"""Every solver against scikit-learn on the same features; fits without convergence are flagged; only train is used."""

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


def make_task(standardised: bool = False, n: int = 240) -> Task:
    (x, y), (x_tune, y_tune) = clouds(0, n), clouds(1, 100)
    return Task(x[None], y, x_tune, y_tune, 4, Moments.of(x, y, 4), standardised, PLAN, GRIDS, 64)


def scaled(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Train and tune as the solver should see them, scaled with scikit-learn."""
    x, tune = task.plain.double().numpy(), task.tune.double().numpy()
    scaler = StandardScaler(with_mean=task.standardised, with_std=task.standardised).fit(x)
    return scaler.transform(x), scaler.transform(tune)


@pytest.mark.parametrize("standardised", [False, True])
def test_logistic_regression_is_scikit_learn_s_at_every_strength(standardised: bool) -> None:
    task = make_task(standardised)
    fit = fit_logreg(task)
    x, tune = scaled(task)
    assert len(fit.table) > 4
    assert all(row["converged"] for row in fit.table)
    # Raw features differ in size by orders of magnitude: scikit-learn's lbfgs does not converge in 10,000 iterations.
    solver = "lbfgs" if standardised else "newton-cg"
    for row in fit.table:
        reference = LogisticRegression(C=row["C"], solver=solver, tol=1e-9, max_iter=5000).fit(x, task.y_train)
        p = reference.predict_proba(tune)
        assert row["tune_loss"] == pytest.approx(log_loss(task.y_tune, p), rel=1e-3)
        # One image may differ: ties may break differently.
        assert row["tune_accuracy"] == pytest.approx(reference.score(tune, task.y_tune), abs=0.011)
        if row == fit.best:
            ours = HEADS["logreg"].predict(fit.arrays, task.tune, task.plain, task.y_train)
            np.testing.assert_allclose(ours, p, atol=1e-3)
            scale = x.std(0) / task.plain.double().numpy().std(0)  # raw weights -> those of the scaled features
            centred = fit.arrays["weight"] - fit.arrays["weight"].mean(0)
            np.testing.assert_allclose(centred / scale, reference.coef_ - reference.coef_.mean(0), atol=2e-3)


def test_logistic_regression_of_many_classes_is_scikit_learn_s_and_soon_there() -> None:
    rng, classes = np.random.default_rng(0), 60
    means, y = rng.normal(size=(classes, 24)), np.repeat(np.arange(classes), 3)
    x, tune = ((means[y] + rng.normal(size=(len(y), 24))) * np.geomspace(1, 0.1, 24) for _ in range(2))
    x, tune = (torch.tensor(points, dtype=torch.float32) for points in (x, tune))
    moments = Moments.of(x, y, classes)
    fit = fit_logreg(Task(x[None], y, tune, y, classes, moments, False, PLAN, GRIDS, 64))
    assert all(row["converged"] for row in fit.table)
    assert sum(row["iterations"] for row in fit.table) < 330  # 354 with the curvature of few classes
    for row in fit.table[::3]:
        reference = LogisticRegression(C=row["C"], solver="newton-cg", tol=1e-9, max_iter=5000).fit(x.double(), y)
        assert row["tune_loss"] == pytest.approx(log_loss(y, reference.predict_proba(tune.double())), rel=1e-3)


@pytest.mark.parametrize("standardised", [False, True])
def test_ridge_is_scikit_learn_s_at_every_strength(standardised: bool) -> None:
    task = make_task(standardised)
    fit = fit_ridge(task)
    x, tune = scaled(task)
    for row in fit.table:
        scores = Ridge(alpha=row["alpha"], solver="svd").fit(x, np.eye(4)[task.y_train]).predict(tune)
        assert row["tune_accuracy"] == (scores.argmax(1) == task.y_tune).mean()
        if row == fit.best:
            ours = task.tune.double().numpy() @ fit.arrays["weight"].T + fit.arrays["bias"]
            np.testing.assert_allclose(ours, scores, atol=1e-6)
            p = HEADS["ridge"].predict(fit.arrays, task.tune, task.plain, task.y_train)
            np.testing.assert_allclose(p.sum(1), 1)
            assert (p.argmax(1) == scores.argmax(1)).all()
            assert p.min() >= 0


@pytest.mark.parametrize("standardised", [False, True])
def test_nearest_neighbours_are_scikit_learn_s(standardised: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knn, "QUERY_CHUNK", 33)
    monkeypatch.setattr(knn, "TRAIN_CHUNK", 70)  # less than the largest k: chunks must be merged
    task = make_task(standardised)
    fit = fit_knn(task)
    x, tune = scaled(task)
    assert [row["k"] for row in fit.table] == [1, 2, 5, 10, 20, 50, 100]
    for row in fit.table:
        reference = KNeighborsClassifier(row["k"], metric="cosine", weights=lambda d: np.exp((1 - d) / knn.TEMPERATURE))
        p = reference.fit(x, task.y_train).predict_proba(tune)
        assert row["tune_loss"] == pytest.approx(((p - np.eye(4)[task.y_tune]) ** 2).sum(1).mean(), rel=1e-4)
        assert row["tune_accuracy"] == (p.argmax(1) == task.y_tune).mean()
        if row == fit.best:
            np.testing.assert_allclose(
                HEADS["knn"].predict(fit.arrays, task.tune, task.plain, task.y_train), p, atol=1e-5
            )


def test_k_is_chosen_on_a_bounded_number_of_tune_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver, "MAX_COMPARED", 30)
    task = make_task()
    part = dataclasses.replace(task, tune=task.tune[::4], y_tune=task.y_tune[::4])
    assert fit_knn(task).table == fit_knn(part).table


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("standardised", [False, True])
def test_chunks_change_nothing_and_the_choice_is_the_lowest_tune_loss(
    name: str, standardised: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    unchunked = HEADS[name].fit(make_task(standardised))
    monkeypatch.setattr(solver, "CHUNK", 17)
    chunked = HEADS[name].fit(make_task(standardised))
    assert unchunked.best == min(unchunked.table, key=lambda row: row["tune_loss"])
    assert unchunked.table.index(unchunked.best) == chunked.table.index(chunked.best)
    for key in unchunked.arrays:
        np.testing.assert_allclose(unchunked.arrays[key], chunked.arrays[key], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_the_chosen_head_predicts_tune_with_the_accuracy_of_its_row(name: str) -> None:
    for standardised in (False, True):
        task = make_task(standardised)
        fit = HEADS[name].fit(task)
        p = HEADS[name].predict(fit.arrays, task.tune, task.plain, task.y_train)
        assert (p.argmax(1) == task.y_tune).mean() == pytest.approx(fit.best["tune_accuracy"], abs=1e-6)
        assert fit.best["tune_accuracy"] > 0.33


def test_an_unconverged_fit_is_flagged_and_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    best = fit_logreg(make_task()).best
    monkeypatch.setattr(linear, "MAX_ITERATIONS", best["iterations"] - 3)
    fit = fit_logreg(make_task())
    flags = [row["converged"] for row in fit.table]
    assert True in flags
    assert False in flags
    assert fit.best["converged"]
    assert all(row["gradient_norm"] > linear.TOLERANCE for row in fit.table if not row["converged"])
    monkeypatch.setattr(linear, "MAX_ITERATIONS", 1)
    assert not fit_logreg(make_task()).best["converged"]


def test_standardisation_uses_train_alone() -> None:
    task = make_task(True)
    np.testing.assert_allclose(task.shift, task.plain.double().numpy().mean(0), rtol=1e-9)
    np.testing.assert_allclose(task.scale, task.plain.double().numpy().std(0), rtol=1e-9)
    moved = dataclasses.replace(task, tune=task.tune * 100 + 5)
    assert (moved.shift == task.shift).all()
    assert (moved.scale == task.scale).all()


def test_a_constant_feature_is_not_scaled() -> None:
    x, y = clouds(0, 50)
    x[:, 3] = 2.5
    task = dataclasses.replace(make_task(True), train=x[None], y_train=y, moments=Moments.of(x, y, 4))
    assert task.scale[3] == 1
    assert np.isfinite(fit_logreg(task).arrays["weight"]).all()


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("standardised", [False, True])
def test_constant_features_give_the_shares_of_the_classes(name: str, standardised: bool) -> None:
    task = make_task(standardised)
    x, tune = torch.full_like(task.plain, 3.0), torch.full_like(task.tune, 3.0)
    task = dataclasses.replace(task, train=x[None], tune=tune, moments=Moments.of(x, task.y_train, 4))
    p = HEADS[name].predict(HEADS[name].fit(task).arrays, tune, x, task.y_train)
    assert (p == p[0]).all()
    if name in ("logreg", "ridge"):
        np.testing.assert_allclose(p[0], np.bincount(task.y_train) / len(task.y_train), atol=1e-4)


def test_moments_are_exact_far_from_the_origin() -> None:
    rng = np.random.default_rng(0)
    x, y = torch.tensor(rng.normal(size=(500, 5)) + 3000, dtype=torch.float32), np.arange(500) % 3
    moments, exact = Moments.of(x, y, 3), x.double().numpy()
    np.testing.assert_allclose(moments.covariance, np.cov(exact.T, bias=True), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(moments.class_sums, [exact[y == k].sum(0) for k in range(3)], rtol=1e-12)
