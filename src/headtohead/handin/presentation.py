"""How a hand-in is presented: code, README, conclusions, saved artefacts, no litter."""

import re

from headtohead.core.messages import Message
from headtohead.handin.evidence import Evidence
from headtohead.handin.finding import Finding, found, no_events
from headtohead.handin.litter import litter

WORDS = (200, 1600)  # of the conclusions: one to two pages of Markdown
CONCLUSIONS = re.compile(
    r"(?im)^(#+)\s.*(conclusion|findings|вывод|заключени|observation|discussion|analysis|анализ).*$"
)


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
    run = (
        r"(?im)^\s*(\$ |!|%)?(python3?|pip3?|uv|conda|make|jupyter|headtohead|bash|sh|docker|poetry|torchrun) \S"
        r"|`(python3?|make|jupyter|headtohead|pip) [^`]+`"
    )
    problems = [Message("no command that runs it")] * (not re.search(run, e.text))
    if broken := broken_links(e):
        problems += [Message("links to files that are not here: {names}", {"names": ", ".join(broken[:3])})]
    return found("invalid" if problems else "valid", *problems, files=[e.readme])


def broken_links(e: Evidence) -> list[str]:
    """Relative links of the README that lead to no file or folder of the hand-in."""
    here = e.readme.rpartition("/")[0]
    names = {file.name for file in e.repository.files}
    names |= {name.rsplit("/", depth)[0] for name in names for depth in range(1, name.count("/") + 1)}
    wrong = []
    for target in re.findall(r"\]\(\s*<?([^)\s>#]+)", e.text[:1_000_000]):
        if not re.match(r"[a-z][a-z+.-]*:|//|/|#", target):
            parts: list[str] = here.split("/") if here else []
            for part in target.replace("%20", " ").split("/"):
                parts = parts[:-1] if part == ".." else parts if part in (".", "") else [*parts, part]
            wrong += [target] if parts and "/".join(parts) not in names else []
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
        prose = re.sub(r"(?s)```.*?```|\]\([^)]*\)", " ", re.sub(r"(?m)^\s*\|.*$", "", section))
        sizes.append(len(re.findall(r"\w*[^\W\d_]\w*", prose)))
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
    """No caches, data, large checkpoints, secrets, or links."""
    problems = litter(e.repository)
    return Finding("invalid" if problems else "valid", tuple(problems.values()), tuple(problems)[:5])
