"""Protobuf messages with any fields set to anything, made from their descriptors."""

import contextlib
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from google.protobuf.message import DecodeError, Message

from tests.fuzz import mutation

# Of the entries of a repeated field: mostly few, seldom more than are allowed.
_FEW = (0, 1, 1, 1, 2, 2, 3, 5)
_MANY = (33, 101, 257, 1001)
_SELDOM = 0.03
_DEEP = 4


class Maker:
    """Makes messages whose texts are mostly such as the service knows."""

    def __init__(self, words: Mapping[str, Sequence[str]]) -> None:
        self._words = words

    def fill(self, random: Random, message: Any, *, share: float, depth: int = 0) -> None:
        for field in message.DESCRIPTOR.fields:
            if random.random() >= share:
                continue
            # What a field's type refuses can't be sent either.
            with contextlib.suppress(ValueError, TypeError):
                self._set(random, message, field, share=share, depth=depth)

    def mutate(self, random: Random, message: Any) -> None:
        if random.random() < 0.15:
            data = mutation.mutate_bytes(random, message.SerializeToString())
            with contextlib.suppress(DecodeError):
                message.CopyFrom(type(message).FromString(data))
            return
        for _ in range(random.choice((0, 1, 1, 2, 3))):
            of = message
            while (inner := [own for _, own in of.ListFields() if isinstance(own, Message)]) and (
                random.random() < 0.6
            ):
                of = random.choice(inner)
            if fields := of.DESCRIPTOR.fields:
                field = random.choice(fields)
                with contextlib.suppress(ValueError, TypeError):
                    if random.random() < 0.15:
                        of.ClearField(field.name)
                    else:
                        self._set(random, of, field, share=0.5, depth=1)

    def text(self, random: Random, name: str) -> str:
        chance = random.random()
        known = self._words.get(name) or self._words[""]
        if chance < 0.75:
            return random.choice(known)
        if chance < 0.95:
            return random.choice(mutation.TEXTS)
        return mutation.mutate_bytes(random, random.choice(known).encode()).decode("utf-8", "replace")

    def _set(self, random: Random, message: Any, field: Any, *, share: float, depth: int) -> None:
        own = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
            for _ in range(random.choice(_FEW)):
                own[self._scalar(random, key)] = self._scalar(random, value)
        elif field.is_repeated:
            many = depth < 2 and random.random() < _SELDOM
            length = random.choice(_MANY if many else _FEW)
            if field.message_type is None:
                own.extend(self._scalar(random, field) for _ in range(length))
                return
            for _ in range(length):
                self.fill(random, own.add(), share=share, depth=depth + 1)
        elif field.message_type is not None:
            own.SetInParent()
            if depth < _DEEP:
                self.fill(random, own, share=share, depth=depth + 1)
        else:
            setattr(message, field.name, self._scalar(random, field))

    def _scalar(self, random: Random, field: Any) -> Any:
        match field.cpp_type:
            case field.CPPTYPE_STRING:
                text = self.text(random, field.name)
                return text if field.type == field.TYPE_STRING else text.encode()
            case field.CPPTYPE_BOOL:
                return random.random() < 0.5
            case field.CPPTYPE_DOUBLE | field.CPPTYPE_FLOAT:
                return mutation.number(random)
            case field.CPPTYPE_ENUM:
                return random.randrange(-1, 8)
        # What is too large for the type is its largest.
        wide = field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64)
        value, bits = mutation.integer(random), 64 if wide else 32
        if field.cpp_type in (field.CPPTYPE_UINT32, field.CPPTYPE_UINT64):
            return min(abs(value), 2**bits - 1)
        return max(-(2 ** (bits - 1)), min(value, 2 ** (bits - 1) - 1))
