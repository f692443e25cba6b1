"""A run for the tests of the page: the committed one, with pictures of its own and a name that would be code."""

import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from headtohead.core import checksums
from headtohead.core.files import read_json, write_json
from headtohead.images.decode import digest
from headtohead.settings.rundir import RunDir

RUN = Path(__file__).parents[1] / "runs" / "clothing"
HOSTILE = """<img src=x onerror=alert(1)>'"&{{7*7}}"""  # stands for the class `dress`
NOT_NEEDED = ("tensorboard", "search-tensorboard", "*.safetensors", "*.trace.json.gz", "figures", "*.md", "audit*.html")


def hostile_run(folder: Path) -> RunDir:
    """A copy of the committed run in which a class, and the folder of its images, is called `HOSTILE`."""
    run = RunDir(Path(shutil.copytree(RUN, folder / "run", ignore=shutil.ignore_patterns(*NOT_NEEDED))))
    (run.path / checksums.LIST).unlink()  # what follows changes the files
    images = folder / "images"
    digests = {}
    for path in run.path.rglob("*.json"):
        content = path.read_text(encoding="utf-8").replace('"dress', json.dumps(HOSTILE)[:-1])
        path.write_text(content, encoding="utf-8")
    for path in run.path.rglob("predictions-*.npz"):
        with np.load(path) as old:
            arrays = {name: old[name] for name in old.files}
        for name in ("files", "classes"):
            arrays[name] = np.array([HOSTILE + text[5:] if text.startswith("dress") else text for text in arrays[name]])
        np.savez(path, **arrays)
    data = read_json(run.data)
    for label, cls in enumerate(data["classes"]):
        (images / cls).mkdir(parents=True)
        picture = images / "one.png"
        Image.new("RGB", (40, 30), (25 * label, 90, 250 - 25 * label)).save(picture)
        digests[label] = digest(picture.read_bytes())
        for sample in data["samples"]:
            if sample["label"] == label:
                shutil.copyfile(picture, images / sample["file"])
                sample["digest"] = digests[label]
    write_json(run.data, data)
    text = run.settings.read_text(encoding="utf-8").replace(
        'folder = "clothing"', f"folder = {json.dumps(str(images))}"
    )
    run.settings.write_text(text, encoding="utf-8")
    return run
