"""Write the reference of the protobuf messages from the .proto files and their comments."""

from __future__ import annotations

import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from google.protobuf import descriptor_pb2 as pb
from grpc_tools import protoc
from plain import code, plain

PROTOS = Path(__file__).parents[2] / "protos"
PACKAGES = ("recsys.retriever.v1", "recsys.trainer.v1")
_FIELD = pb.FieldDescriptorProto
# Numbers of fields in descriptors. The place of a comment is made of them.
_PACKAGE, _MESSAGES, _ENUMS, _SERVICES = 2, 4, 5, 6
_FIELDS, _ONEOFS, _VALUES, _METHODS = 2, 8, 2, 2


def compiled() -> dict[str, pb.FileDescriptorProto]:
    """Return the project's files by their package, with comments."""
    ours = sorted(str(file.relative_to(PROTOS)) for file in PROTOS.glob("recsys/**/*.proto"))
    # The package with the generated code of google/rpc/status.proto also has this file.
    paths = [f"--proto_path={place}" for place in (PROTOS, sysconfig.get_path("purelib"))]
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image"
        options = ["--include_source_info", f"--descriptor_set_out={image}"]
        # protoc also needs its own well-known types.
        known = Path(protoc.__file__).parent / "_proto"
        if protoc.main(["protoc", *paths, f"--proto_path={known}", *options, *ours]) != 0:
            raise RuntimeError("protoc can't read the project's .proto files")
        files = pb.FileDescriptorSet.FromString(image.read_bytes()).file
    return {file.package: file for file in files}


def reference(package: str) -> str:
    """Write the page's part about one package: its service, then its messages and enums."""
    return "\n".join(_Page(compiled()[package]).lines())


class _Page:
    """Writes the part about one file."""

    def __init__(self, file: pb.FileDescriptorProto) -> None:
        self._file = file
        self._comments = {
            tuple(place.path): place.leading_comments or place.trailing_comments
            for place in file.source_code_info.location
        }

    def lines(self) -> Iterator[str]:
        """Yield all lines, as Markdown."""
        yield f"## {self._file.package} {{ #{self._file.package} }}\n\n{self._text((_PACKAGE,))}\n"
        for number, service in enumerate(self._file.service):
            yield from self._service(service, (_SERVICES, number))
        for number, message in enumerate(self._file.message_type):
            yield from self._message(message, (_MESSAGES, number))
        for number, enum in enumerate(self._file.enum_type):
            yield from self._enum(enum, (_ENUMS, number))

    def _service(self, service: pb.ServiceDescriptorProto, place: tuple[int, ...]) -> Iterator[str]:
        yield f"### {self._heading(service.name)}\n\n{self._text(place)}\n"
        for number, method in enumerate(service.method):
            asked, answered = self._type(method.input_type), self._type(method.output_type)
            before, after = (
                "a stream of " * own for own in (method.client_streaming, method.server_streaming)
            )
            yield f"### {self._heading(f'{service.name}.{method.name}', method.name)}\n"
            yield f"{before}{asked} → {after}{answered}\n"
            yield f"{self._text((*place, _METHODS, number))}\n"

    def _message(self, message: pb.DescriptorProto, place: tuple[int, ...]) -> Iterator[str]:
        yield f"### {self._heading(message.name)}\n\n{self._text(place)}\n"
        for number, one in enumerate(message.oneof_decl):
            # An optional field has a oneof of its own, without a place.
            if (own := (*place, _ONEOFS, number)) in self._comments:
                yield f"*{plain(one.name)}*, one of several fields: {self._text(own)}\n"
        for number, field in enumerate(message.field):
            kind = f"{self._of_field(field, message)} = {field.number}"
            if field.HasField("oneof_index") and not field.proto3_optional:
                kind += f", one of *{plain(message.oneof_decl[field.oneof_index].name)}*"
            yield f"{code(field.name)} {kind}"
            yield f":   {self._text((*place, _FIELDS, number), 4)}\n"

    def _enum(self, enum: pb.EnumDescriptorProto, place: tuple[int, ...]) -> Iterator[str]:
        yield f"### {self._heading(enum.name)}\n\n{self._text(place)}\n"
        for number, value in enumerate(enum.value):
            yield f"{code(value.name)} = {value.number}"
            yield f":   {self._text((*place, _VALUES, number), 4)}\n"

    def _heading(self, name: str, shown: str = "") -> str:
        return f"{shown or name} {{ #{self._file.package}.{name} }}"

    def _of_field(self, field: pb.FieldDescriptorProto, message: pb.DescriptorProto) -> str:
        entry = next(
            (own for own in message.nested_type if own.name == field.type_name.rpartition(".")[2]), None
        )
        if entry is not None and entry.options.map_entry:
            key, value = (self._of_field(own, message) for own in entry.field)
            return f"map of {key} to {value}"
        kind = self._type(field.type_name) if field.type_name else _Page._scalar(field)
        several = "repeated " if field.label == _FIELD.LABEL_REPEATED else ""
        return f"{'optional ' if field.proto3_optional else ''}{several}{kind}"

    @staticmethod
    def _scalar(field: pb.FieldDescriptorProto) -> str:
        return _FIELD.Type.Name(field.type).removeprefix("TYPE_").lower()

    def _type(self, name: str) -> str:
        """Write a type's name, with a link if it is in this package."""
        own = name.removeprefix(f".{self._file.package}.")
        return code(name.lstrip(".")) if own == name else f"[{own}](#{self._file.package}.{own})"

    def _text(self, place: Sequence[int], indent: int = 0) -> str:
        """Write a comment in its paragraphs; those after the first begin at `indent`."""
        paragraphs = self._comments.get(tuple(place), "").strip().split("\n\n")
        return f"\n\n{' ' * indent}".join(map(plain, paragraphs)) or "-"
