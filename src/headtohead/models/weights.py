"""Where a backbone's weights come from: a given file or folder, the hub's local cache, the hub, this package."""

import hashlib
import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import headtohead
from headtohead.core.errors import WeightsNotFound
from headtohead.core.progress import say
from headtohead.models.names import ENDINGS, HUB_FILE, at_path, canonical, is_path
from headtohead.settings.contenders import TORCHVISION
from headtohead.settings.schema import BUILTIN

HUB_TIMEOUT_S = 2.0

# The backbone that comes with the package, in the layout of a model on the hub: weights, timm's config, model card.
BUILTIN_FOLDER = Path(headtohead.__file__).parent / "assets" / "builtin-backbone"
BUILTIN_ARCHITECTURE = "vit_tiny_patch16_224"
BUILTIN_SHA256 = "d209472e49f6303528485de4385e9a001f2513de394c1e834ff8fc4d952819d7"


@dataclass(frozen=True)
class WeightsFile:
    """A file with the weights of `name`: a timm model, or `torchvision/...`."""

    name: str
    path: Path
    source: str  # "given", "hub cache", "hub" or "built-in"; torchvision's own server counts as a hub
    notice: str = ""  # where the built-in ones stand in: for which, and why those could not be had
    config: dict[str, Any] = field(default_factory=dict)  # overrides timm's own: preprocessing

    def sha256(self) -> str:
        """Of the file's bytes."""
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


def architecture(name: str) -> dict[str, Any]:
    """timm's own config of a pretrained model that it knows: hub id, name of the classifier."""
    import timm

    config = timm.get_pretrained_cfg(name)
    assert config is not None, name
    found: dict[str, Any] = config.to_dict()
    return found


def _given(name: str, given: str, asked_by: str) -> Path | None:
    """The file named by `given`: itself, or one of `_file_names` in the folder; None if not there."""
    path = Path(given).expanduser()
    if path.is_file():
        _refuse_another_model(name, path)
        return path
    for file in _file_names(name):
        if (path / file).is_file():
            return path / file
    if asked_by == "--weights":
        raise WeightsNotFound(
            f"--weights names no weights of {name}.",
            where=str(path),
            fix=f"give a file, or a folder that holds `{_file_names(name)[0]}`",
        )
    return None


def _file_names(name: str) -> list[str]:
    """What a file with the weights of `name` is called in a folder."""
    own = []
    if name.startswith(TORCHVISION):
        from headtohead.models.torchvision_nets import published

        own = [Path(published(name).url).name]
    return own + [f"{name.removeprefix(TORCHVISION)}{ending}" for ending in ENDINGS]


def _refuse_another_model(name: str, path: Path) -> None:
    """A file called after another model: its keys may fit while its preprocessing does not."""
    import timm

    wanted, stem = name.removeprefix(TORCHVISION).split(".")[0], path.name
    named = max((m for m in timm.list_models() if stem.startswith(m)), key=len, default=wanted)
    if named != wanted:
        raise WeightsNotFound(
            f"The file is called after {named}, but the backbone is {name}: their preprocessing may differ.",
            where=str(path),
            fix=f"use `--backbone {named}`, or rename the file if it really holds {wanted}",
        )


def _in_hub_cache(repo: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(repo, HUB_FILE)
    return Path(cached) if isinstance(cached, str) else None


def _hub_answers(repo: str) -> str:
    """Empty if the hub serves the file, else why not; decided within HUB_TIMEOUT_S, also where packets are dropped."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    return _answers(lambda: get_hf_file_metadata(hf_hub_url(repo, HUB_FILE), timeout=HUB_TIMEOUT_S))


def _answers(ask: Callable[[], object]) -> str:
    """Empty if `ask` returns within HUB_TIMEOUT_S, else why not."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    outcome: list[str] = []

    def try_it() -> None:
        try:
            ask()
            outcome.append("")
        except Exception as error:
            outcome.append(f"{type(error).__name__}: {error}".splitlines()[0])

    # A thread of its own: name resolution and proxies may hang longer than the socket's time-out.
    asking = threading.Thread(target=try_it, daemon=True)
    asking.start()
    asking.join(HUB_TIMEOUT_S)
    return outcome[0] if outcome else f"no answer within {HUB_TIMEOUT_S} s"


def builtin_weights(notice: str = "") -> WeightsFile:
    """The backbone that comes with the package, with the preprocessing of its own config."""
    path = BUILTIN_FOLDER / HUB_FILE
    config = json.loads((BUILTIN_FOLDER / "config.json").read_text(encoding="utf-8"))
    found = WeightsFile(config["architecture"], path, "built-in", notice, config["pretrained_cfg"])
    if not path.is_file() or found.sha256() != BUILTIN_SHA256:
        raise WeightsNotFound("The built-in backbone is missing or damaged.", where=str(path), fix="install anew")
    return found


def announced(found: WeightsFile) -> WeightsFile:
    """`found`; the terminal is told where they are stand-ins: nothing is replaced in silence."""
    if found.notice:
        say(f"notice: using the built-in backbone: the requested weights are unavailable ({found.notice})")
        say("  `--no-fallback` refuses it, `--weights FILE` names the weights to use")
    return found


def _torchvision_weights(name: str) -> WeightsFile:
    """From torch hub's cache, else from torchvision's server."""
    from urllib.request import urlopen

    from torch import hub

    from headtohead.models.torchvision_nets import published

    url = published(name).url
    file = Path(hub.get_dir()) / "checkpoints" / Path(url).name
    if file.is_file():
        return WeightsFile(name, file, "hub cache")
    problem = _answers(lambda: urlopen(url, timeout=HUB_TIMEOUT_S).close())  # noqa: S310  # https, from torchvision
    if not problem:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            hub.download_url_to_file(url, str(file), hash_prefix=file.stem.rpartition("-")[2])
            return WeightsFile(name, file, "hub")
        except Exception as error:  # whatever breaks a download half-way: the ways out are the same
            problem = f"{type(error).__name__}: {error}".splitlines()[0]
    raise WeightsNotFound(
        f"No weights of {name} were found: none in {file.parent}, and {url}: {problem}",
        fix=(
            f"one of three: (1) run once where {url} can be reached; (2) download `{file.name}` elsewhere and give it "
            "with `--weights`; (3) put it into a folder and set HEADTOHEAD_WEIGHTS to that folder"
        ),
    )


def find_weights(name: str, given: str = "", *, fallback: bool = True) -> WeightsFile:
    """The weights of `name`: --weights, HEADTOHEAD_WEIGHTS, the hub's local cache, the hub.

    Where none of them has any, those of the built-in backbone, with a `notice`, if `fallback` allows it and `name` is
    of its architecture; else WeightsNotFound.
    """
    if name == BUILTIN:
        return builtin_weights()
    if is_path(name):
        model, file, own = at_path(name)
        return WeightsFile(model, file, "given", config=own)
    name = canonical(name)
    variable = os.environ.get("HEADTOHEAD_WEIGHTS", "")
    for place, asked_by in ((given, "--weights"), (variable, "HEADTOHEAD_WEIGHTS")):
        if place and (path := _given(name, place, asked_by)):
            return WeightsFile(name, path, "given")
    if name.startswith(TORCHVISION):
        return _torchvision_weights(name)
    repo = architecture(name).get("hf_hub_id") or ""
    if repo and (cached := _in_hub_cache(repo)):
        return WeightsFile(name, cached, "hub cache")
    problem = _hub_answers(repo) if repo else "timm names no hub repository for it"
    if not problem:
        from huggingface_hub import hf_hub_download

        try:
            return WeightsFile(name, Path(hf_hub_download(repo, HUB_FILE)), "hub")
        except Exception as error:  # whatever breaks a download half-way: the ways out are the same
            problem = f"{type(error).__name__}: {error}".splitlines()[0]
    if fallback and name.split(".")[0] == BUILTIN_ARCHITECTURE:
        return builtin_weights(f"{name}: {problem}")
    from huggingface_hub import constants

    looked = [f"--weights: {given or 'not given'}", f"HEADTOHEAD_WEIGHTS: {variable or 'not set'}"]
    looked += [f"hub cache: no {repo}/{HUB_FILE}", f"hub ({constants.ENDPOINT}): {problem}"]
    raise WeightsNotFound(
        f"No weights of {name} were found:\n  " + "\n  ".join(looked),
        fix=(
            f"one of four: (1) run once where the hub can be reached; (2) download `{HUB_FILE}` of `{repo}` "
            f"elsewhere and give it with `--weights FILE`; (3) put it as `{name}.safetensors` into a folder and set "
            "HEADTOHEAD_WEIGHTS to that folder; (4) take the built-in backbone: `--backbone builtin`"
        ),
    )
