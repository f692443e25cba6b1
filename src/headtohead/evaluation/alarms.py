"""The alarms that the panel of heads may raise, by name, and what to do about each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """What to do about an alarm."""

    en: str
    ru: str


ALARMS: dict[str, Advice] = {
    "learning-rate": Advice(
        "widen the grid of learning rates (probe.learning_rates, probe.sgd_learning_rates) or train longer "
        "(probe.epochs): the headline's head has not come to the optimum of its own model",
        "расширьте сетку скоростей обучения (probe.learning_rates, probe.sgd_learning_rates) или обучайте дольше "
        "(probe.epochs): голова не дошла до оптимума собственной модели",
    ),
    "scaling": Advice(
        "the features differ in size so much that the head feels it: report the standardised head beside the headline",
        "величины признаков различаются так, что это сказывается на голове: приведите рядом голову на "
        "стандартизованных признаках",
    ),
    "protocol": Advice(
        "look for an error in how the head is trained or scored (labels, learning rate, preprocessing of one split), "
        "for images of `val` among the training ones, and for a `val` that comes from elsewhere",
        "ищите ошибку в обучении или оценке головы (метки, скорость обучения, предобработка одной из частей), "
        "изображения `val` среди обучающих и `val` из другого источника",
    ),
    "not-converged": Advice(
        "the best fit on `tune` is no optimum: take it for a lower bound, or raise MAX_ITERATIONS in probe/linear.py",
        "лучший на `tune` подбор не является оптимумом: считайте его нижней оценкой или увеличьте MAX_ITERATIONS в "
        "probe/linear.py",
    ),
}
