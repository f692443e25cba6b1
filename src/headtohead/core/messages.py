"""Messages of the package that the report translates: an English text with gaps, and the values for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headtohead.core.files import Json


@dataclass(frozen=True)
class Message:
    """An English text with `{gaps}` and its values.

    The text is a literal in the code, where the catalogue of translations finds it by the name of this class.

    >>> str(Message("accuracy {accuracy:.2f} on {images} images", {"accuracy": 0.5, "images": 32}))
    'accuracy 0.50 on 32 images'
    """

    text: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text.format(**self.values)

    def to_json(self) -> Json:
        """What a results file keeps of it."""
        return {"text": self.text, "values": dict(self.values)}
