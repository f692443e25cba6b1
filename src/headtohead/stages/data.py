"""The data stage: audit every image, split, and measure the training images' mean and standard deviation."""

import dataclasses

from headtohead.audit.audit import audit_folder
from headtohead.contenders.base import Job
from headtohead.contenders.cnn import sides
from headtohead.core.checksums import require_the_same
from headtohead.core.files import json_bytes, write_json
from headtohead.core.progress import console, say
from headtohead.dataset.index import index_of
from headtohead.images.decoded import ImageFiles, decoded
from headtohead.images.transforms import own_preprocess
from headtohead.report.audit_page import write_audit
from headtohead.report.audit_text import audit_text


def prepare_data(job: Job) -> None:
    """Write the audit and, last, `data.json`."""
    audit = audit_folder(job.root, job.name, job.settings.data)
    write_audit(job.run, audit, pictures=job.settings.report.thumbnails)
    console.print(*audit_text(audit), sep="\n")
    index = index_of(audit, job.settings.data)
    for warning in index.split_warnings:
        say(f"  warning: {warning}")
    largest = max(sides(job.settings.cnn.sides, index.sides["train_median"]))
    files = ImageFiles(job.root, index.of("train"))  # `job.files` reads `data.json`, which is written below
    preprocess = own_preprocess(decoded(files, 2 * largest, "decoding train"), largest)
    index = dataclasses.replace(index, mean=preprocess.mean, std=preprocess.std)
    totals = ", ".join(f"{sum(counts)} {split}" for split, counts in index.counts().items())
    say(f"  {len(index.classes)} classes; images: {totals}")
    require_the_same(job.run.data, json_bytes(index.to_json()))
    write_json(job.run.data, index.to_json())
