"""Checks of short trainings: can the trained part memorise, learn, and does it learn only what is there?"""

import math

import numpy as np
from torch.nn.functional import cross_entropy

from headtohead.checks.context import CheckContext
from headtohead.checks.result import CheckResult, judged, not_judged
from headtohead.checks.trials import RATE_FACTOR, RATE_STEPS, logits_of, num_arrangements
from headtohead.core.messages import Message

SCALE = 10.0  # on the outputs of an overfitted net
WHOLE_NET = Message("not run because training a whole pretrained net takes long; the probe's check covers the loop")
LEARNED_P = 0.01  # of the permutation test; about as many nets that have learned nothing pass
LEAKED_P = 5e-4
FEW = 30  # images of `tune`, below which a training that shows nothing is only a tip


def overfits_few_images(context: CheckContext) -> CheckResult:
    """A net that can learn at all can memorise a few images that are not augmented.

    Images that stand under two classes are left out and named: no net can learn both labels.
    """
    _, labels = context.agreeing
    names = "; ".join(
        f"{context.first[i].file} = {context.first[j].file}" for i, j in context.contradicted.items() if i < j
    )
    needed = Message(">= 0.99")
    if len(context.labels.unique()) < 2:
        return not_judged("skipped", Message("not run because all of the few images are of one class"))
    if len(labels.unique()) < 2:
        evidence = Message("the images of different classes are the same pictures: {names}", {"names": names})
        return judged(False, 0.0, needed, evidence, Message("look whether pictures reach the net at all"))
    done = context.memorised
    right = done.logits.argmax(1) == labels
    score = right.float().mean().item()
    kept = [sample for i, sample in enumerate(context.first) if i not in context.contradicted]
    values = {
        "accuracy": score,
        "images": len(labels),
        "steps": done.steps,
        "names": names,
        "wrong": ", ".join(sample.file for sample, ok in zip(kept, right.tolist(), strict=True) if not ok) or "-",
    }
    if score >= 0.99 and context.contradicted:
        evidence = Message(
            "accuracy {accuracy:.3f} on {images} un-augmented training images after {steps} steps on them; left out, "
            "the "
            "same picture under two classes: {names}",
            values,
        )
        return judged(False, score, needed, evidence, Message("give those pictures one label"), failing="tip")
    return judged(
        score >= 0.99,
        score,
        needed,
        Message(
            "accuracy {accuracy:.3f} on {images} un-augmented training images after {steps} steps on them; wrong: "
            "{wrong}",
            values,
        ),
        Message("look at the learning rate, the labels, the loss, and whether the gradients reach every layer"),
    )


def outputs_are_logits(context: CheckContext) -> CheckResult:
    """The loss of memorised images is low, without help from outside.

    With a softmax before the cross-entropy, which has one inside, outputs lie between 0 and 1 and the loss cannot fall
    below ln(1 + (C - 1) / e), although every image is right; if the outputs are multiplied, it falls at once.
    """
    _, labels = context.agreeing
    if len(labels.unique()) < 2:
        return not_judged("skipped", Message("not run because all images are the same"))
    logits = context.memorised.logits
    loss, scaled = (cross_entropy(factor * logits, labels).item() for factor in (1.0, SCALE))
    sums_to_one = bool(((logits.sum(1) - 1).abs() < 1e-3).all() and (logits >= -1e-6).all())
    limit = 0.4 * math.log(len(context.index.classes))
    values = {"loss": loss, "scaled": scaled, "scale": SCALE, "sums": "1" if sums_to_one else "no constant"}
    return judged(
        not sums_to_one and (loss <= limit or scaled > 0.5 * loss),
        loss,
        Message("<= {limit:.3f}, or no gain by larger outputs", {"limit": limit}),
        Message(
            "loss {loss:.3f} of the memorised images, {scaled:.3f} with {scale:g} times the outputs; the outputs of an "
            "image sum to {sums}",
            values,
        ),
        Message("give the raw outputs to cross_entropy, which takes the softmax itself"),
    )


def learning_rate_is_near_the_best(context: CheckContext) -> CheckResult:
    """A learning rate 30 times higher or lower memorises a few images no faster.

    By the mean loss of the first steps, to which an explosion at the start counts as much as standing still: a test of
    the range at three points, after L. N. Smith, "Cyclical learning rates for training neural networks" (2017). A
    head's learning rate is chosen by a sweep, a pretrained net needs a lower one than is fastest.
    """
    if context.backbone is not None:
        return not_judged("not_applicable", Message("chosen by a sweep, or low on purpose for a pretrained net"))
    _, labels = context.agreeing
    if len(labels.unique()) < 2:
        return not_judged("skipped", Message("not run because all images are the same"))
    lower, own, higher = context.losses_by_rate
    best = min(lower, higher)
    values = {"lower": lower, "own": own, "higher": higher, "steps": RATE_STEPS, "factor": RATE_FACTOR}
    values["rate"] = context.plan.learning_rate
    gain = math.log(max(own, 1e-6) / max(best, 1e-6)) if math.isfinite(own) else math.inf
    return judged(
        gain <= math.log(2),
        min(gain, 1e6),
        Message("<= ln 2, no half as high loss by another rate"),
        Message(
            "mean loss of the first {steps} steps on a few images: {own:.3f} at {rate:g}, {lower:.3f} at 1/{factor:g} "
            "of it, "
            "{higher:.3f} at {factor:g} times it",
            values,
        ),
        Message("set cnn.learning_rates nearer to the rate with the lower loss"),
    )


def learns_more_than_the_majority(context: CheckContext) -> CheckResult:
    """Two epochs of the real loop (20 steps at least) know more of `tune` than the shares of its classes.

    A permutation test of the probabilities: predicting the largest class is no merit, however large it is. It tells
    whether the predictions depend on the class, so that a random function of few, very different classes may pass:
    labels in another order than their images are the exact business of `labels_are_the_folders`.
    """
    if skipped := unfit(context):
        return skipped
    short = context.learned
    values = {"accuracy": short.accuracy, "majority": short.majority, "n": len(short.labels), "p": short.p}
    values |= {"epochs": short.epochs, "images": short.images}
    return judged(
        short.p <= LEARNED_P,
        short.p,
        Message("p <= {p}", {"p": LEARNED_P}),
        Message(
            "after {epochs} epochs of {images} images: accuracy {accuracy:.3f} on {n} images of tune, largest class "
            "{majority:.3f}; permuted labels are as probable as the true ones with p = {p:.4f}",
            values,
        ),
        Message("look whether images and labels belong together, and whether the weights change at all"),
        failing="issue" if len(short.labels) >= FEW else "tip",
    )


def learns_nothing_from_permuted_labels(context: CheckContext) -> CheckResult:
    """The same training on labels that are permuted among the images knows nothing of `tune`.

    If it does, something else than the picture tells the label.
    """
    if skipped := unfit(context):
        return skipped
    short = context.learned_nothing
    values = {"accuracy": short.accuracy, "majority": short.majority, "n": len(short.labels), "p": short.p}
    return judged(
        short.p > LEAKED_P,
        short.p,
        Message("p > {p}", {"p": LEAKED_P}),
        Message(
            "trained on permuted labels: accuracy {accuracy:.3f} on {n} images of tune with permuted labels, largest "
            "class {majority:.3f}; p = {p:.4f}",
            values,
        ),
        Message("find the way by which something other than the pixels reaches the net"),
    )


def unfit(context: CheckContext) -> CheckResult | None:
    """The result of both checks above where they cannot be run."""
    if context.backbone is not None and not context.frozen:
        return not_judged("skipped", WHOLE_NET)
    labels = context.tune.labels.cpu().numpy()
    if num_arrangements(labels) < 1 / LEAKED_P:
        return not_judged(
            "skipped", Message("not run because tune has only {n} images, which prove nothing", {"n": len(labels)})
        )
    return None


def best_epoch_is_kept(context: CheckContext) -> CheckResult:
    """The weights that a training keeps have the loss and the accuracy on `tune` that it reports as the best.

    Counted again with NumPy from their predictions. On permuted labels the best epoch is rarely the last one, so that
    keeping the last one shows.
    """
    if context.backbone is not None and not context.frozen:
        return not_judged("skipped", WHOLE_NET)
    off, last = 0.0, []
    weights = np.array(context.plan.class_weights or [1.0] * len(context.index.classes))
    for short in (context.learned, context.learned_nothing):
        rows, logits = np.arange(len(short.labels)), short.best_logits.astype(np.float64)
        losses = (np.logaddexp.reduce(logits, axis=1) - logits[rows, short.labels]) * weights[short.labels]
        loss = losses.sum() / weights[short.labels].sum()
        score = float((logits.argmax(1) == short.labels).mean())
        # A loss near zero is known to rounding only.
        off = max(off, abs(loss - short.state.best_loss) / max(loss, 0.05), abs(score - short.state.best_accuracy))
        last.append(f"{short.state.best_epoch + 1} of {short.epochs}")
    return judged(
        off <= 5e-3,
        off,
        Message("<= 0.005"),
        Message(
            "loss and accuracy of the kept weights on tune differ by at most {off:.4f} from those reported; best "
            "epochs "
            "{best}",
            {"off": off, "best": ", ".join(last)},
        ),
        Message("copy the weights when the loss on tune is the lowest, and divide by the number of images"),
    )


def augmentation_keeps_the_label(context: CheckContext) -> CheckResult:
    """A head trained on plain images is about as right on augmented images of `tune` as on the plain ones.

    A mirrored b is a d. Half of what the head knows beyond chance must remain; a clear loss of a quarter is a tip.
    """
    if not context.frozen:
        return not_judged("not_applicable", Message("judged by the probe, whose features are of plain images"))
    if skipped := unfit(context):
        return skipped
    short, classes = context.learned, len(context.index.classes)
    if short.p > LEARNED_P:
        return not_judged("skipped", Message("not run because the head has learned nothing from plain images"))
    model = context.build_trained()
    model.load_state_dict(short.state.best_weights)
    features = context.features(context.augmented)
    logits = logits_of(model, features.features[0]).cpu().numpy()
    plain_logits, labels = short.best_logits[: len(logits)], short.labels[: len(logits)]
    on_plain, on_augmented = (mean_recall(x, labels, classes) for x in (plain_logits, logits))
    lost = (plain_logits.argmax(1) == labels) & (logits.argmax(1) != labels)
    won = (plain_logits.argmax(1) != labels) & (logits.argmax(1) == labels)
    # One-sided sign test: so many more losses than wins by chance?
    clear = sign_test(int(lost.sum()), int(won.sum())) <= 0.001
    chance = 1 / len(np.unique(labels))
    kept = (on_augmented - chance) / max(on_plain - chance, 1e-9)
    values = {"plain": on_plain, "augmented": on_augmented, "n": len(labels), "lost": int(lost.sum())}
    return judged(
        not clear or kept >= 0.75,
        kept,
        Message(">= 0.5 of what is above chance"),
        Message(
            "mean recall of a plain-trained head on {n} images of tune: {plain:.3f} plain, {augmented:.3f} augmented, "
            "{lost} images lost",
            values | {"won": int(won.sum())},
        ),
        Message("switch off what changes the label: --data.no-flip for letters and arrows, a larger data.min_crop"),
        failing="issue" if kept < 0.5 else "tip",
    )


def mean_recall(logits: np.ndarray, labels: np.ndarray, num_classes: int) -> float:
    """Mean over the classes that occur of the share classified right.

    >>> mean_recall(np.eye(2)[[0, 0, 0, 1]], np.array([0, 0, 1, 1]), 2)
    0.75
    """
    right = logits.argmax(1) == labels
    return float(np.mean([right[labels == k].mean() for k in range(num_classes) if (labels == k).any()]))


def sign_test(losses: int, wins: int) -> float:
    """One-sided p-value of at least so many losses among losses and wins, both equally likely.

    >>> sign_test(3, 0)
    0.125
    """
    n = losses + wins
    return sum(math.comb(n, k) for k in range(losses, n + 1)) / 2**n
