"""What tests of bundles share."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headtohead.bundles.predict import Prediction
from headtohead.cli.app import main
from headtohead.dataset.index import read_index
from headtohead.settings.rundir import RunDir

NAMES = ("cnn", "probe")


def val_files(run: RunDir) -> list[Path]:
    root = Path(run.read_settings().data.folder)
    return [root / sample.file for sample in read_index(run).of("val")]


def rows(found: list[Prediction]) -> np.ndarray[Any, Any]:
    return np.array([[*one.probabilities.values()] for one in found])


def error_message(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == 2
    return capsys.readouterr().err
