"""What `--backbone` may name: a model of timm or torchvision, or a weights file."""

import difflib
import json
from pathlib import Path
from typing import Any

from headtohead.core.errors import BadSettings, WeightsNotFound
from headtohead.settings.contenders import TORCHVISION

ENDINGS = (".safetensors", ".pth", ".pt", ".bin")
HUB_FILE = "model.safetensors"


def is_path(name: str) -> bool:
    """Whether a backbone is given as the path of its weights."""
    return not name.startswith(TORCHVISION) and (name.endswith(ENDINGS) or "/" in name or name in (".", ".."))


def canonical(name: str) -> str:
    """`name` itself for a pretrained model of timm, `torchvision/NAME` for one of torchvision.

    timm has precedence for a name that both know. Raises BadSettings with the most similar names.
    """
    import timm
    from torchvision import models

    bare = name.removeprefix(TORCHVISION)
    if bare == name and timm.is_model(name) and timm.get_pretrained_cfg(name, allow_unregistered=False) is not None:
        return name
    torchvision_models = models.list_models(module=models)
    if bare in torchvision_models:
        return TORCHVISION + bare
    known = [*(timm.list_pretrained() if bare == name else ()), *(TORCHVISION + model for model in torchvision_models)]
    similar = difflib.get_close_matches(name, known, 5, cutoff=0.5)
    suggested = similar or [model for model in known if model.startswith("vit_tiny")] or known[:5]
    raise BadSettings(
        f"Neither timm nor torchvision has a pretrained model `{name}`.",
        fix=f"choose another --backbone, such as {', '.join(suggested)}",
    )


def at_path(name: str) -> tuple[str, Path, dict[str, Any]]:
    """Model, weights file and own config (may be empty) of a backbone given by its path.

    A folder has the layout of the hub: `model.safetensors` and `config.json`. A file `model.safetensors` needs such a
    `config.json` beside it; any other file is named after its model, as `resnet18.a1_in1k.safetensors`, or as
    torchvision names its files, `resnet18-f37072fd.pth`. Raises WeightsNotFound, or BadSettings for an unknown model.
    """
    path = Path(name).expanduser()
    file = path / HUB_FILE if path.is_dir() else path
    if not file.is_file():
        raise WeightsNotFound(
            "The backbone's weights file does not exist.",
            where=str(file),
            fix="give a weights file, a folder with `model.safetensors` and `config.json`, or a model's name",
        )
    if file.name != HUB_FILE:
        return canonical(model_of_file(file)), file, {}
    try:
        config = json.loads((file.parent / "config.json").read_text(encoding="utf-8"))
        own = config["pretrained_cfg"]
        return canonical(config["architecture"]), file, {key: own[key] for key in own if key != "architecture"}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsNotFound(
            f"The config.json beside {HUB_FILE} does not name the model: {type(error).__name__}: {error}",
            where=str(file.parent),
            fix="put timm's config.json beside it (`architecture`, `pretrained_cfg`), or name the file after its model",
        ) from error


def model_of_file(file: Path) -> str:
    """The model that a weights file is named after."""
    from torchvision import models

    for name in models.list_models(module=models):
        if Path(models.get_model_weights(name).DEFAULT.url).name == file.name:
            return TORCHVISION + name
    return next((file.name.removesuffix(ending) for ending in ENDINGS if file.name.endswith(ending)), file.name)
