"""How a hand-in is presented: code, README, conclusions, saved artefacts, no litter."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from headtohead.core.messages import Message
from headtohead.handin.evidence import Evidence, image_files
from headtohead.handin.finding import Finding, found, no_events
from headtohead.handin.repository import MAX_BYTES, holds

WORDS = (200, 1600)  # of the conclusions: one to two pages of Markdown
CONCLUSIONS = re.compile(
    r"(?im)^(#{1,6})[ \t].*(conclusion|findings|вывод|заключени|observation|discussion|analysis|анализ).*$"
)
COMMAND = re.compile(
    r"(?im)^[ \t]*(\$ |!|%)?(python3?|pip3?|uv|conda|make|jupyter|headtohead|bash|sh|docker|poetry|torchrun) \S"
    r"|`(python3?|make|jupyter|headtohead|pip) [^`\n]{1,500}`"
)
LITTER = {
    "cache": Message("caches, {n} in all"),
    "link": Message("symbolic links, {n} in all; none was followed"),
    "large": Message("files over 50 MB, {n} in all"),
    "secret": Message("passwords or keys, {n} in all: withdraw them, they are public now"),
    "data": Message("the data set: {n} images or archives"),
}
MAX_FILE = 50_000_000  # bytes: of a checkpoint, and of anything else
MAX_IMAGES = 50  # a few examples are no data set
CACHE = re.compile(
    r"\.pyc$|(^|/)(\.DS_Store|Thumbs\.db|desktop\.ini|\.idea/|\.pytest_cache/|\.mypy_cache/|\.ruff_cache/)|\.egg-info/"
)
SECRET_FILE = re.compile(
    r"(^|/)(\.env(\.(?!example|sample|template|dist)\w+)?|id_(rsa|ed25519|ecdsa)|kaggle\.json|\.netrc|\.pypirc|[^/]*\.pem"
    r"|credentials(\.json)?)$"
)
SECRET = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY|hf_[A-Za-z0-9]{30,}|ghp_[A-Za-z0-9]{36}|github_pat_\w{30,}"
    r"|AKIA[0-9A-Z]{16}\b|sk-(?<!\wsk-)[A-Za-z0-9_-]{32,}|xox[bap]-[\w-]{20,}"
)
TEXTS = (".py", ".ipynb", ".md", ".txt", ".toml", ".yaml", ".yml", ".json", ".cfg", ".ini", ".sh")
PHOTOS = (".jpg", ".jpeg", ".webp", ".bmp")
ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".rar", ".7z")


def code(e: Evidence) -> Finding:
    """Code with comments."""
    if not any(text.strip() for text in e.code.values()):
        return found("missing", Message("no Python file and no notebook"))
    if not any("#" in text or '"""' in text for text in e.code.values()):
        return found("invalid", Message("no comment in the code"), files=[*e.code])
    return found("valid", Message("{n} files", {"n": len(e.code)}), files=[*e.code])


def readme(e: Evidence) -> Finding:
    """A README that says how to run, whose links lead somewhere."""
    if not e.text.strip():
        return found("missing", Message("no README"))
    problems = [Message("no command that runs it")] * (not COMMAND.search(e.text))
    if broken := broken_links(e):
        problems += [Message("links to files that are not here: {names}", {"names": ", ".join(broken[:3])})]
    return found("invalid" if problems else "valid", *problems, files=[e.readme])


def broken_links(e: Evidence) -> list[str]:
    """Relative links of the README that lead to no file or folder of the hand-in."""
    names = [file.name for file in e.repository.files]
    here = e.readme.split("/")[:-1]
    wrong = []
    for target in re.findall(r"\]\(\s{0,9}<?([^)\s>#?]{1,500})", e.text):
        if not re.match(r"[a-z][a-z+.-]*:|/", target):
            parts = [*here]
            for part in target.replace("%20", " ").split("/"):
                parts = parts[:-1] if part == ".." else parts if part in (".", "") else [*parts, part]
            wrong += [target] if parts and not holds(names, "/".join(parts)) else []
    return [*dict.fromkeys(wrong)]


def conclusions(e: Evidence) -> Finding:
    """Conclusions of one to two pages in the README."""
    sections = [*CONCLUSIONS.finditer(e.text)]
    if not sections:
        return found("missing", Message("no heading with conclusions in the README"))
    sizes = []
    for match in sections[:20]:  # a hostile README has thousands
        rest = e.text[match.end() :]
        after = re.search(rf"(?m)^#{{1,{len(match[1])}}}\s", rest)
        section = rest[: after.start() if after else None]
        prose = re.sub(r"(?s)```.*?```|\]\([^)]{0,500}\)", " ", re.sub(r"(?m)^[ \t]*\|.*$", "", section))
        sizes.append(sum(any(map(str.isalpha, word)) for word in prose.split()))
    words = {"words": max(sizes), "least": WORDS[0], "most": WORDS[1]}
    fits = WORDS[0] <= words["words"] <= WORDS[1]
    text = Message("{words} words; one to two pages are {least} to {most}", words)
    return found("valid" if fits else "invalid", text, files=[e.readme])


def logs(e: Evidence) -> Finding:
    """Event files in `runs/`, or a link."""
    inside = [one.name for one in e.events if re.search(r"(^|/)(runs|logs|lightning_logs|tensorboard|tb)/", one.name)]
    if inside:
        return found("valid", files=inside)
    if e.events:
        return found("invalid", Message("event files, but not in runs/"), files=[one.name for one in e.events])
    return no_events(e)


def requirements(e: Evidence) -> Finding:
    """A file that names the libraries."""
    pattern = r"(^|/)(requirements[^/]*\.txt|pyproject\.toml|environment\.ya?ml|setup\.(py|cfg)|uv\.lock|Pipfile)$"
    if files := [file.name for file in e.repository.files if re.search(pattern, file.name)]:
        return found("valid", files=files)
    return found("missing", Message("nothing names the libraries that it needs"))


def clean(e: Evidence) -> Finding:
    """No caches, data, large files, secrets, or links: of each kind the first, with the number of all."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for kind, name in litter(e):
        kinds[kind].append(name)
    kinds = {kind: names for kind, names in kinds.items() if kind != "data" or is_data(names)}
    problems = [replace(LITTER[kind], values={"n": len(names)}) for kind, names in kinds.items()]
    return found("invalid" if problems else "valid", *problems, files=[names[0] for names in kinds.values()])


def litter(e: Evidence) -> Iterator[tuple[str, str]]:
    """What may not belong there: its kind in `LITTER`, file or folder."""
    repository = e.repository
    yield from (("cache", name) for name in repository.closed)
    yield from (("link", name) for name in repository.links)
    images = {file.name for _, _, file in image_files(repository.files)}
    for file in repository.files:
        if CACHE.search(file.name):
            yield "cache", file.name
        if file.size > MAX_FILE:
            yield "large", file.name
        is_text = file.name.endswith(TEXTS) and file.size <= MAX_BYTES
        if SECRET_FILE.search(file.name) or (is_text and SECRET.search(repository.text(file.name))):
            yield "secret", file.name
        if file.name in images or file.name.lower().endswith((*PHOTOS, *ARCHIVES)):
            yield "data", file.name


def is_data(names: list[str]) -> bool:
    """Whether images and archives are a data set: many images, or an archive."""
    return len(names) > MAX_IMAGES or any(name.lower().endswith(ARCHIVES) for name in names)
