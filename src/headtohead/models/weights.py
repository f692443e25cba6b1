"""Where a backbone's weights come from: a given file or folder, the hub's local cache, the hub."""

import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headtohead.errors import BadSettings, WeightsNotFound

ENDINGS = (".safetensors", ".pth", ".pt", ".bin")
HUB_FILE = "model.safetensors"
HUB_TIMEOUT_S = 2.5


@dataclass(frozen=True)
class WeightsFile:
    """A file with the weights of the timm model `name`."""

    name: str
    path: Path
    source: str  # "given", "hub cache" or "hub"

    def sha256(self) -> str:
        """Of the file's bytes."""
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


def architecture(name: str) -> dict[str, Any]:
    """timm's own config of a pretrained model: hub id, name of the classifier. BadSettings for an unknown name."""
    import timm

    config = timm.get_pretrained_cfg(name, allow_unregistered=False) if timm.is_model(name) else None
    if config is None:
        close = timm.list_models(f"*{name.split('.')[0]}*")[:5] or timm.list_models("vit_tiny*")
        raise BadSettings(
            f"timm knows no pretrained model `{name}`.",
            mend=f"choose another --backbone, such as {', '.join(close)}",
        )
    found: dict[str, Any] = config.to_dict()
    return found


def _given(name: str, given: str, asked_by: str) -> Path | None:
    """The file named by `given`: itself, or `{name}.safetensors` (or .pth ...) in the folder; None if not there."""
    path = Path(given).expanduser()
    if path.is_file():
        _refuse_another_model(name, path)
        return path
    for ending in ENDINGS:
        if (path / f"{name}{ending}").is_file():
            return path / f"{name}{ending}"
    if asked_by == "--weights":
        raise WeightsNotFound(
            f"--weights names no weights of {name}.",
            where=str(path),
            mend=f"give a file, or a folder that holds `{name}.safetensors`",
        )
    return None


def _refuse_another_model(name: str, path: Path) -> None:
    """A file called after another timm model: its keys may fit while its preprocessing does not."""
    import timm

    wanted, stem = name.split(".")[0], path.name
    named = max((m for m in timm.list_models() if stem.startswith(m)), key=len, default=wanted)
    if named != wanted:
        raise WeightsNotFound(
            f"The file is called after {named}, but the backbone is {name}: their preprocessing may differ.",
            where=str(path),
            mend=f"use `--backbone {named}`, or rename the file if it really holds {wanted}",
        )


def _in_hub_cache(repo: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(repo, HUB_FILE)
    return Path(cached) if isinstance(cached, str) else None


def _hub_answers(repo: str) -> str:
    """Empty if the hub serves the file, else why not; decided within HUB_TIMEOUT_S, also where packets are dropped."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    outcome: list[str] = []

    def ask() -> None:
        try:
            get_hf_file_metadata(hf_hub_url(repo, HUB_FILE), timeout=HUB_TIMEOUT_S)
            outcome.append("")
        except Exception as error:
            outcome.append(f"{type(error).__name__}: {error}".splitlines()[0])

    # A thread of its own: name resolution and proxies may hang longer than the socket's time-out.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(HUB_TIMEOUT_S)
    return outcome[0] if outcome else f"no answer within {HUB_TIMEOUT_S} s"


def find_weights(name: str, given: str = "") -> WeightsFile:
    """The weights of `name`: --weights, HEADTOHEAD_WEIGHTS, the hub's local cache, the hub; else WeightsNotFound."""
    config = architecture(name)
    variable = os.environ.get("HEADTOHEAD_WEIGHTS", "")
    for place, asked_by in ((given, "--weights"), (variable, "HEADTOHEAD_WEIGHTS")):
        if place and (path := _given(name, place, asked_by)):
            return WeightsFile(name, path, "given")
    repo = config.get("hf_hub_id") or ""
    if repo and (cached := _in_hub_cache(repo)):
        return WeightsFile(name, cached, "hub cache")
    problem = _hub_answers(repo) if repo else "timm names no hub repository for it"
    if not problem:
        from huggingface_hub import hf_hub_download

        try:
            return WeightsFile(name, Path(hf_hub_download(repo, HUB_FILE)), "hub")
        except Exception as error:  # whatever breaks a download half-way: the ways out are the same
            problem = f"{type(error).__name__}: {error}".splitlines()[0]
    # A backbone shipped with the package would be the next source: here and nowhere else.
    from huggingface_hub import constants

    looked = [f"--weights: {given or 'not given'}", f"HEADTOHEAD_WEIGHTS: {variable or 'not set'}"]
    looked += [f"hub cache: no {repo}/{HUB_FILE}", f"hub ({constants.ENDPOINT}): {problem}"]
    raise WeightsNotFound(
        f"No weights of {name} were found:\n  " + "\n  ".join(looked),
        mend=(
            f"one of three: (1) run once where the hub can be reached; (2) download `{HUB_FILE}` of `{repo}` "
            f"elsewhere and give it with `--weights FILE`; (3) put it as `{name}.safetensors` into a folder and set "
            "HEADTOHEAD_WEIGHTS to that folder"
        ),
    )
