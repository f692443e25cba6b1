"""TensorBoard's event files of strangers: their scalars and the tags of their histograms.

The records are taken apart here, their content is read by TensorBoard's own protocol buffers: TensorBoard's reader
believes the length that a record gives of itself, however large, and its checksums in pure Python take a second per MB.
"""

import struct
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

MAX_POINTS = 100_000  # of one curve
MAX_RECORDS = 500_000
MAX_TAGS = 10_000


@dataclass(frozen=True)
class EventFile:
    """What an event file holds."""

    name: str
    scalars: dict[str, list[float]] = field(default_factory=dict)  # in the order of the file, by tag
    histograms: frozenset[str] = frozenset()  # tags
    is_cut: bool = False  # whether it could not be read to its end

    def last_and_best(self, tag: str) -> tuple[float, float]:
        """The last and the largest value of a curve, a share also where it is logged in per cent."""
        values = self.scalars[tag]
        percent = 100.0 if max(values) > 1.5 else 1.0
        return values[-1] / percent, max(values) / percent


def read_events(name: str, content: bytes) -> EventFile:
    """The event file in `content`, up to the first record that is not whole."""
    scalars: dict[str, list[float]] = {}
    histograms: set[str] = set()
    at = records = 0
    while at < len(content) and records < MAX_RECORDS:
        records += 1
        # A record: the length of its data in 8 bytes, their checksum in 4, the data, their checksum in 4.
        end = at + 12 + int.from_bytes(content[at : at + 8], "little")
        if end + 4 > len(content):
            break
        try:
            event = Event.FromString(content[at + 12 : end])
        except DecodeError:
            break
        for value in event.summary.value:
            if value.tag not in scalars and len(scalars) + len(histograms) >= MAX_TAGS:
                continue
            if (number := scalar(value)) is not None:
                if len(curve := scalars.setdefault(value.tag, [])) < MAX_POINTS:
                    curve.append(number)
            elif value.HasField("histo") or value.metadata.plugin_data.plugin_name == "histograms":
                histograms.add(value.tag)
        at = end + 4
    return EventFile(name, scalars, frozenset(histograms), is_cut=at < len(content) or not content)


def scalar(value: Summary.Value) -> float | None:
    """A scalar, as torch writes it or as TensorFlow 2 does; None if it is something else, or not finite."""
    number = None
    if value.HasField("simple_value"):
        number = value.simple_value
    elif value.metadata.plugin_data.plugin_name == "scalars":
        raw = value.tensor.tensor_content
        number = struct.unpack("<f", raw)[0] if len(raw) == 4 else next(iter(value.tensor.float_val), None)
    return number if number is not None and abs(number) < float("inf") else None
