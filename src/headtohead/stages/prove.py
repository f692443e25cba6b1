"""`run --prove`: does a training repeat? Two epochs of every contender that trains, twice, compared to the last bit."""

from collections.abc import Iterator

from headtohead.contenders import contenders_of
from headtohead.contenders.base import Job, ProfileTarget, open_job
from headtohead.core.executor import Task, advance, limit_threads
from headtohead.core.files import Json, write_json
from headtohead.profiling.repeat import EPOCHS, LEVELS, Record, compare, first_difference, record


def prove(job: Job) -> Json:
    """Write `prove.json`, and return it.

    `level` is the worst of all contenders', `processes` the number that trained at once, `epochs` the length of each
    training, `trainings` by name: `title`, `contender`, `steps` of gradient, what `repeat.compare` finds, and
    `first_difference`: what `repeat.first_difference` finds on two further trainings, which are listened to; None where
    the bits are equal, or where those two did not differ.
    """
    if job.device.type == "cpu":
        limit_threads(job.settings.threads)  # as in a run
    targets = list(trained(job))
    trainings: Json = {}
    for contender, name, target in targets:
        first, second = twice(job, contender, name, target, listen=False)
        found: Json = {"title": target.title, "contender": contender, "steps": len(first.batches)}
        found |= compare(first, second) | {"first_difference": None}
        if found["level"] != LEVELS[0]:
            first, second = twice(job, contender, name, target, listen=True)
            found["first_difference"] = first_difference(first.calls, second.calls)
        trainings[name] = found
    level = max((found["level"] for found in trainings.values()), key=LEVELS.index)
    processes = min(2, job.processes)
    result: Json = {"level": level, "processes": processes, "epochs": EPOCHS, "trainings": trainings}
    write_json(job.run.proof, result)
    return result


def trained(job: Job) -> Iterator[tuple[str, str, ProfileTarget]]:
    """Contender, name and target of every training of a run: on a sample of the images, or on the cached features."""
    for contender, kind in contenders_of(job.settings).items():
        for name, target in kind.profile_targets(job, contender).items():
            if target.is_trained:
                yield contender, name, target


def twice(job: Job, contender: str, name: str, target: ProfileTarget, *, listen: bool) -> list[Record]:
    """The records of two equal trainings, in two processes at once where the run has several."""
    units = EPOCHS * len(target.batches)
    tasks = [Task(train_once, (str(job.run.path), contender, name, listen), units) for _ in range(2)]
    return job.run_tasks(tasks, f"{name}: {'listening' if listen else 'training'} twice")


def train_once(run: str, contender: str, name: str, listen: bool) -> Record:
    """One training of a new model."""
    job = open_job(run)
    target = contenders_of(job.settings)[contender].profile_targets(job, contender)[name]
    found = record(target.build(), target.batches, target.plan, listen=listen)
    advance(len(found.batches))
    return found


def lines(proof: Json) -> list[str]:
    """The answer on the terminal."""
    said = []
    for found in proof["trainings"].values():
        line = f"  {found['level']:<16} {found['title']}: {proof['epochs']} epochs, {found['steps']} steps, twice"
        if found["level"] != LEVELS[0]:
            line += f"; largest difference {found['largest_difference']:.2g}"
            at = found["first_difference"]
            line += f"; first: {at['operator']}, {at['part']} of step {at['step']}" if at else "; not found again"
            line += f", layer {at['layer']}" if at and at["layer"] else ""
        said.append(line)
    return [*said, f"Training on this machine is {proof['level']}."]
