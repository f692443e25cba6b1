"""What a `--backbone` names: a model of timm or of torchvision, or a weights file."""

import difflib
import json
from pathlib import Path
from typing import Any

from headtohead.core.errors import BadSettings, WeightsNotFound
from headtohead.settings.contenders import TORCHVISION

ENDINGS = (".safetensors", ".pth", ".pt", ".bin")
HUB_FILE = "model.safetensors"


def is_path(name: str) -> bool:
    """Whether a backbone is named by where its weights lie."""
    return not name.startswith(TORCHVISION) and (name.endswith(ENDINGS) or "/" in name or name in (".", ".."))


def canonical(name: str) -> str:
    """`name` itself for a pretrained model of timm, `torchvision/NAME` for one of torchvision.

    A bare name that both know is timm's. Raises BadSettings with the names that are nearest.
    """
    import timm
    from torchvision import models

    bare = name.removeprefix(TORCHVISION)
    if bare == name and timm.is_model(name) and timm.get_pretrained_cfg(name, allow_unregistered=False) is not None:
        return name
    of_torchvision = models.list_models(module=models)
    if bare in of_torchvision:
        return TORCHVISION + bare
    known = [] if bare != name else timm.list_pretrained()
    known += [TORCHVISION + other for other in of_torchvision]
    close = difflib.get_close_matches(name, known, 5, cutoff=0.5) or [
        other for other in known if other.startswith("vit_tiny")
    ]
    raise BadSettings(
        f"Neither timm nor torchvision knows a pretrained model `{name}`.",
        fix=f"choose another --backbone, such as {', '.join(close or known[:5])}",
    )


def at_path(name: str) -> tuple[str, Path, dict[str, Any]]:
    """Model, weights file and own config (may be empty) of a backbone named by its path.

    A folder is one of the hub: `model.safetensors` and `config.json`. A file with a `config.json` beside it that is
    called `model.safetensors` is the same; any other is called after its model, as `resnet18.a1_in1k.safetensors`, or
    as torchvision calls its own, `resnet18-f37072fd.pth`.
    """
    path = Path(name).expanduser()
    file = path / HUB_FILE if path.is_dir() else path
    if not file.is_file():
        raise WeightsNotFound(
            "The backbone's weights are not there.",
            where=str(file),
            fix="give a weights file, a folder with `model.safetensors` and `config.json`, or a model's name",
        )
    if file.name != HUB_FILE:
        return canonical(of_file(file)), file, {}
    try:
        config = json.loads((file.parent / "config.json").read_text(encoding="utf-8"))
        own = config["pretrained_cfg"]
        return canonical(config["architecture"]), file, {key: own[key] for key in own if key != "architecture"}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsNotFound(
            f"No config.json beside {HUB_FILE} says which model it is: {type(error).__name__}: {error}",
            where=str(file.parent),
            fix="put timm's config.json beside it (`architecture`, `pretrained_cfg`), or call it after its model",
        ) from error


def of_file(file: Path) -> str:
    """The model that a weights file is called after."""
    from torchvision import models

    for name in models.list_models(module=models):
        if Path(models.get_model_weights(name).DEFAULT.url).name == file.name:
            return TORCHVISION + name
    return file.name.removesuffix(next((ending for ending in ENDINGS if file.name.endswith(ending)), ""))
