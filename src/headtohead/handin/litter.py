"""What does not belong into a hand-in: caches, data, large checkpoints, secrets, links."""

import re
from collections import Counter

from headtohead.core.messages import Message
from headtohead.handin.evidence import image_files
from headtohead.handin.repository import Repository

MAX_CHECKPOINT = 50_000_000  # bytes
MAX_IMAGES = 50  # a few examples are no data set
CHECKPOINT = re.compile(r"\.(pth?|ckpt|safetensors|h5|bin|onnx|npy|npz|tar|zip|gz|pkl)$", re.IGNORECASE)
CACHE = re.compile(
    r"\.pyc$|(^|/)(\.DS_Store|Thumbs\.db|desktop\.ini|\.idea/|\.pytest_cache/|\.mypy_cache/|\.ruff_cache/)|\.egg-info/"
)
SECRET_FILE = re.compile(
    r"(^|/)(\.env(\.\w+)?|id_(rsa|ed25519|ecdsa)|kaggle\.json|\.netrc|\.pypirc|[^/]*\.pem|credentials(\.json)?)$"
)
NOT_SECRET = re.compile(r"\.env\.(example|sample|template|dist)$")
SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\bhf_[A-Za-z0-9]{30,}|\bghp_[A-Za-z0-9]{36}|\bgithub_pat_\w{30,}"
    r"|\bAKIA[0-9A-Z]{16}\b|\bsk-[A-Za-z0-9_-]{32,}|\bxox[bap]-[\w-]{20,}"
)
TEXTS = (".py", ".ipynb", ".md", ".txt", ".toml", ".yaml", ".yml", ".json", ".cfg", ".ini", ".sh")
MAX_TEXT = 2_000_000


def litter(repository: Repository) -> dict[str, Message]:
    """What does not belong there: file or folder -> why. Of each kind the first, with the number of all."""
    kinds: dict[str, list[str]] = {}

    def add(kind: str, name: str) -> None:
        kinds.setdefault(kind, []).append(name)

    for name in repository.closed:
        add("cache", name)
    for name in repository.links:
        add("link", name)
    for file in repository.files:
        if CACHE.search(file.name):
            add("cache", file.name)
        if file.size > MAX_CHECKPOINT:
            add("large" if CHECKPOINT.search(file.name) else "large file", file.name)
        is_text = file.name.endswith(TEXTS) and file.size <= MAX_TEXT
        named_so = SECRET_FILE.search(file.name) and not NOT_SECRET.search(file.name)
        if named_so or (is_text and SECRET.search(repository.text(file.name))):
            add("secret", file.name)
    images = Counter(split for split, _, _ in image_files(repository.files))
    if images.total() > MAX_IMAGES:
        add("data", next(file.name for _, _, file in image_files(repository.files)))
        kinds["data"] *= images.total()
    texts = {
        "cache": Message("caches, {n} in all", {}),
        "link": Message("symbolic links, {n} in all; none was followed", {}),
        "large": Message("checkpoints over 50 MB, {n} in all", {}),
        "large file": Message("files over 50 MB, {n} in all", {}),
        "secret": Message("passwords or keys, {n} in all: withdraw them, they are public now", {}),
        "data": Message("the data set, {n} images", {}),
    }
    return {names[0]: Message(texts[kind].text, {"n": len(names)}) for kind, names in kinds.items()}
