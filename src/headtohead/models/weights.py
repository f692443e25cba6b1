"""Finds a backbone's weights: a given file or folder, the hub's local cache, the hub, the built-in backbone."""

import hashlib
import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

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
    notice: str = ""  # if the built-in weights stand in: for which weights, and why these are unavailable
    config: dict[str, Any] = field(default_factory=dict)  # overrides timm's own: preprocessing
    side: int = 0  # of the input, px; 0: that of the weights

    def with_side(self, side: int) -> "WeightsFile":
        """The same weights for images of another side; the position embeddings of a ViT are then interpolated."""
        return replace(self, config=self.config | {"input_size": (3, side, side)}, side=side) if side else self

    @property
    def licence(self) -> str:
        """The licence of the weights, as timm names it: `apache-2.0`. "" if it is not known."""
        if self.name.startswith(TORCHVISION):
            return ""
        return str((architecture(self.name) | self.config).get("license") or "").replace("unknown", "")

    def sha256(self) -> str:
        """SHA-256 of the file's bytes."""
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


def architecture(name: str) -> dict[str, Any]:
    """timm's own config of a pretrained model that it knows: hub id, name of the classifier, preprocessing."""
    import timm

    config = timm.get_pretrained_cfg(name)
    assert config is not None, name
    return config.to_dict()


def _given(name: str, path: Path, source: str) -> Path | None:
    """The weights of `name` at `path`, a file or a folder; None if there are none.

    Raises WeightsNotFound if there are none and `source` is the flag `--weights`, or for a file of another model.
    """
    import timm

    model = name.removeprefix(TORCHVISION)
    if path.is_file():
        wanted = model.split(".")[0]
        actual = max((other for other in timm.list_models() if path.name.startswith(other)), key=len, default=wanted)
        if actual != wanted:  # its keys may fit all the same
            raise WeightsNotFound(
                f"The file is named after {actual}, but the backbone is {name}: their preprocessing may differ.",
                where=str(path),
                fix=f"use `--backbone {actual}`, or rename the file if it really holds {wanted}",
            )
        return path
    names = [f"{model}{ending}" for ending in ENDINGS]
    if name.startswith(TORCHVISION):
        from headtohead.models.torchvision_nets import published

        names.insert(0, Path(published(name).url).name)
    for file in names:
        if (path / file).is_file():
            return path / file
    if source == "--weights":
        raise WeightsNotFound(
            f"--weights holds no weights of {name}.", where=str(path), fix=f"give a file, or a folder with `{names[0]}`"
        )
    return None


def _hub_weights(name: str, repo: str) -> WeightsFile | str:
    """Weights from the hub's local cache, else from the hub; a string says why they are unavailable."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache

    if isinstance(cached := try_to_load_from_cache(repo, HUB_FILE), str):
        return WeightsFile(name, Path(cached), "hub cache")
    probe = lambda: get_hf_file_metadata(hf_hub_url(repo, HUB_FILE), timeout=HUB_TIMEOUT_S)  # noqa: E731
    return _downloaded(name, probe, lambda: Path(hf_hub_download(repo, HUB_FILE)))


def _downloaded(name: str, probe: Callable[[], object], fetch: Callable[[], Path]) -> WeightsFile | str:
    """The file that `fetch` downloads, or why it is unavailable: `probe` must return within HUB_TIMEOUT_S first."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    problem = [f"no answer within {HUB_TIMEOUT_S} s"]

    def attempt() -> None:
        try:
            probe()
            problem[0] = ""
        except Exception as error:
            problem[0] = _first_line(error)

    # In a thread, because name resolution and proxies may hang longer than the socket's timeout.
    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(HUB_TIMEOUT_S)
    if reason := problem[0]:
        return reason
    try:
        return WeightsFile(name, fetch(), "hub")
    except Exception as error:  # any failure of the download has the same fixes
        return _first_line(error)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def builtin_weights(notice: str = "") -> WeightsFile:
    """The built-in backbone, with the preprocessing of its own config. Raises WeightsNotFound if it is damaged."""
    path = BUILTIN_FOLDER / HUB_FILE
    config = json.loads((BUILTIN_FOLDER / "config.json").read_text(encoding="utf-8"))
    weights = WeightsFile(config["architecture"], path, "built-in", notice, config["pretrained_cfg"])
    if not path.is_file() or weights.sha256() != BUILTIN_SHA256:
        raise WeightsNotFound("The built-in backbone is missing or damaged.", where=str(path), fix="install it again")
    return weights


def announced(weights: WeightsFile) -> WeightsFile:
    """`weights`, after a notice on the terminal if they are a stand-in: nothing is replaced silently."""
    if weights.notice:
        say(f"notice: using the built-in backbone: the requested weights are unavailable ({weights.notice})")
        say("  `--no-fallback` refuses it, `--weights FILE` names the weights to use")
    return weights


def _torchvision_weights(name: str) -> WeightsFile:
    """Weights from torch hub's cache, else from torchvision's server."""
    from torch import hub

    from headtohead.models.torchvision_nets import published

    url = published(name).url
    file = Path(hub.get_dir()) / "checkpoints" / Path(url).name
    if file.is_file():
        return WeightsFile(name, file, "hub cache")

    def fetch() -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        hub.download_url_to_file(url, str(file), hash_prefix=file.stem.rpartition("-")[2])
        return file

    probe = lambda: urlopen(url, timeout=HUB_TIMEOUT_S).close()  # noqa: E731, S310  # torchvision's URL
    result = _downloaded(name, probe, fetch)
    if isinstance(result, WeightsFile):
        return result
    raise WeightsNotFound(
        f"No weights of {name} were found: none in {file.parent}, and {url}: {result}",
        fix=f"one of three: (1) run once where {url} can be reached; (2) download `{file.name}` elsewhere and give it "
        "with `--weights`; (3) put it into a folder and set HEADTOHEAD_WEIGHTS to that folder",
    )


def find_weights(name: str, given: str = "", *, fallback: bool = True) -> WeightsFile:
    """The weights of `name`, from the first of --weights, HEADTOHEAD_WEIGHTS, the hub's local cache and the hub.

    If none of them has any, the built-in backbone with a `notice`, provided that `fallback` allows it and `name` is
    of its architecture; else raises WeightsNotFound.
    """
    if name == BUILTIN:
        return builtin_weights()
    if is_path(name):
        model, file, own = at_path(name)
        return WeightsFile(model, file, "given", config=own)
    name = canonical(name)
    variable = os.environ.get("HEADTOHEAD_WEIGHTS", "")
    for location, source in ((given, "--weights"), (variable, "HEADTOHEAD_WEIGHTS")):
        if location and (path := _given(name, Path(location).expanduser(), source)):
            return WeightsFile(name, path, "given")
    if name.startswith(TORCHVISION):
        return _torchvision_weights(name)
    repo = architecture(name).get("hf_hub_id") or ""
    result = _hub_weights(name, repo) if repo else "timm names no hub repository for it"
    if isinstance(result, WeightsFile):
        return result
    if fallback and name.split(".")[0] == BUILTIN_ARCHITECTURE:
        return builtin_weights(f"{name}: {result}")
    from huggingface_hub import constants

    tried = [f"--weights: {given or 'not given'}", f"HEADTOHEAD_WEIGHTS: {variable or 'not set'}"]
    tried += [f"hub cache: no {repo}/{HUB_FILE}", f"hub ({constants.ENDPOINT}): {result}"]
    raise WeightsNotFound(
        f"No weights of {name} were found:\n  " + "\n  ".join(tried),
        fix=f"one of four: (1) run once where the hub can be reached; (2) download `{HUB_FILE}` of `{repo}` "
        f"elsewhere and give it with `--weights FILE`; (3) put it as `{name}.safetensors` into a folder and set "
        "HEADTOHEAD_WEIGHTS to that folder; (4) use the built-in backbone: `--backbone builtin`",
    )
