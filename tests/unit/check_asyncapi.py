#!/usr/bin/python3
"""Checks schemas/asyncapi.yaml in itself and against schemas/ and the code.  Speaks TAP.

A structural check, not the official schema: what a reader relies on.
    tests/unit/check_asyncapi.py [SCHEMAS]
"""

import json
import pathlib
import re
import sys

import jsonschema
import yaml

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2] / "schemas").resolve()
WORKER = ROOT.parent / "worker"
FILE = ROOT / "asyncapi.yaml"

# https://www.asyncapi.com/docs/reference/specification/v3.0.0: what each object may hold, as far as we use it.
MEMBERS = {
    "": ("asyncapi info defaultContentType servers channels operations components", "asyncapi info"),
    "info": ("title version description license", "title version"),
    "server": ("host protocol description bindings", "host protocol"),
    "channel": ("address title summary description messages bindings", "address messages bindings"),
    "operation": ("action channel summary description messages bindings", "action channel"),
    "message": ("headers payload contentType name title summary description bindings examples", "payload bindings"),
    "example": ("headers payload name summary", "payload"),
    # https://github.com/asyncapi/bindings/blob/master/kafka/README.md, version 0.5.0
    "channel binding": ("topic partitions replicas topicConfiguration bindingVersion", "bindingVersion"),
    "topic configuration": ("cleanup.policy retention.ms retention.bytes delete.retention.ms max.message.bytes", ""),
    "operation binding": ("groupId clientId bindingVersion", "bindingVersion"),
    "message binding": ("key schemaIdLocation schemaIdPayloadEncoding schemaLookupStrategy bindingVersion",
        "key bindingVersion"),
}
ONE_PARTITION_ANSWERS = ("lead.create", "lead.result", "lead.reauth-required", "lead.revoked", "lead.invalid")


class Document:
    """The file, and what its references lead to."""

    def __init__(self, path):
        self.path = path
        self.root = yaml.safe_load(path.read_text(encoding="utf-8"))
        self.files = {path: self.root}

    def load(self, path):
        if path not in self.files:
            self.files[path] = json.loads(path.read_text(encoding="utf-8"))
        return self.files[path]

    def at(self, reference, base):
        """(value, file) behind a reference in @base; KeyError or OSError when there is none."""
        name, _, pointer = reference.partition("#")
        path = (base.parent / name).resolve() if name else base
        value = self.load(path)
        for part in filter(None, pointer.split("/")):
            part = part.replace("~1", "/").replace("~0", "~")
            value = value[int(part)] if isinstance(value, list) else value[part]
        return value, path

    def follow(self, value, base=None):
        base = base or self.path
        while isinstance(value, dict) and "$ref" in value:
            value, base = self.at(value["$ref"], base)
        return value, base

    def validator(self, schema, base):
        resolver = jsonschema.RefResolver(base.as_uri(), self.load(base),
            store={path.as_uri(): content for path, content in self.files.items()},
            handlers={"file": lambda uri: self.load(pathlib.Path(uri[len("file://"):]))})
        return jsonschema.Draft202012Validator(schema, resolver=resolver)


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for member in value.values():
            yield from references(member)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def members(kind, value):
    allowed, required = (words.split() for words in MEMBERS[kind])
    extra = [name for name in value if name not in allowed and not name.startswith("x-")]
    assert not extra, f"{kind}: unknown {extra}"
    missing = [name for name in required if name not in value]
    assert not missing, f"{kind}: without {missing}"


def binding(kind, value):
    bound = value["bindings"]["kafka"]
    members(f"{kind} binding", bound)
    assert bound["bindingVersion"] == "0.5.0", bound["bindingVersion"]
    return bound


def messages_of(document, channel):
    return [document.follow(message)[0] for message in channel["messages"].values()]


def check_shape(document):
    root = document.root
    members("", root)
    assert root["asyncapi"] == "3.0.0", root["asyncapi"]
    members("info", root["info"])
    for server in root["servers"].values():
        members("server", server)


def check_references(document):
    count = 0
    for reference in references(document.root):
        document.at(reference, document.path)
        count += 1
    for path in list(document.files):
        for reference in references(document.files[path]):
            document.at(reference, path)
            count += 1
    assert count > 50, f"only {count} references were found"


def check_channel(document, channel):
    members("channel", channel)
    assert channel["messages"], "no message"
    bound = binding("channel", channel)
    members("topic configuration", bound["topicConfiguration"])
    compacted = channel["address"] == "connection.state"
    assert bound["topicConfiguration"]["cleanup.policy"] == (["compact"] if compacted else ["delete"])
    assert ("retention.ms" in bound["topicConfiguration"]) != compacted, "retention.ms"
    first = document.root["channels"]["leadCreate"]["bindings"]["kafka"]
    assert bound["partitions"] == first["partitions"], "partitions differ from the input's"
    for message in messages_of(document, channel):
        assert message["name"] == channel["address"], message["name"]


def check_operations(document):
    seen = set()
    for name, operation in document.root["operations"].items():
        members("operation", operation)
        binding("operation", operation)
        channel, _ = document.follow(operation["channel"])
        assert operation["action"] == ("receive" if channel["address"] == "lead.create" else "send"), name
        seen.add(channel["address"])
    assert seen == {channel["address"] for channel in document.root["channels"].values()}, "a channel nobody uses"


def schemas_of(document, message):
    """{"headers": (schema, file), "payload": (schema, file)}."""
    payload = message["payload"]
    if "schemaFormat" in payload:
        assert payload["schemaFormat"] == "application/schema+json;version=draft-2020-12", payload["schemaFormat"]
        payload = payload["schema"]
    found = {"payload": document.follow(payload)}
    if "headers" in message:
        found["headers"] = document.follow(message["headers"])
    return found


def check_message(document, message):
    members("message", message)
    bound = binding("message", message)
    schemas = {**schemas_of(document, message), "key": document.follow(bound["key"])}
    for schema, base in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    tombstone = schemas["payload"][0] == {"type": "null"}
    assert tombstone or message.get("examples"), "no example"
    for example in message.get("examples", []):
        members("example", example)
        for part in ("headers", "payload"):
            faults = list(document.validator(*schemas[part]).iter_errors(example[part]))
            assert not faults, f"{part}: {faults[0].json_path}: {faults[0].message[:200]}"
        identity = example["headers"].get("onbehalf_id")
        if isinstance(example["payload"], dict) and identity:
            assert identity == example["payload"]["id"], "two ids"


def check_every_schema_is_used(document):
    used = {path.parent.name for path in document.files if path.suffix == ".json"}
    there = {path.parent.name for path in ROOT.glob("*/*.json") if path.stem.isdigit()}
    assert used == there, f"{used ^ there}"
    for channel in document.root["channels"].values():
        for message in messages_of(document, channel):
            reference = message["payload"].get("schema", {}).get("$ref", "")
            if reference:
                assert reference.startswith(f"./{channel['address']}/1.json"), reference


def check_a_wrong_example_is_found(document):
    message = json.loads(json.dumps(document.root["components"]["messages"]["leadResult"]))
    for part, name in (("headers", "onbehalf_mac"), ("payload", "subject")):
        changed = json.loads(json.dumps(message))
        del changed["examples"][0][part][name]
        try:
            check_message(document, changed)
        except AssertionError:
            continue
        raise AssertionError(f"without {name} it passes")


def check_header_names(document):
    """The headers that worker/outcome_record.c writes, and no other."""
    source = (WORKER / "outcome_record.c").read_text(encoding="utf-8")
    written = set(re.findall(r'add(?:_text|_number|_hex)?\(&?h, "([^"]+)"', source))
    assert len(written) > 8, "the names are not found"
    schemas = document.root["components"]["schemas"]
    told = set(schemas["outcomeHeaders"]["properties"]) | set(schemas["invalidHeaders"]["properties"])
    assert written == told, f"{written ^ told}"


def check_attribute_names(document):
    """The attributes that the decoder knows, of those that are headers here."""
    source = (WORKER / "lead_attributes.c").read_text(encoding="utf-8")
    known = {f"ce_{name}" for name in re.findall(r'\[LEAD_\w+\] = \{"(\w+)"', source)}
    told = {name for name in document.root["components"]["schemas"]["binaryHeaders"]["properties"] if name[:3] == "ce_"}
    assert told and told <= known, f"{told - known}"
    required = re.findall(r'\[LEAD_\w+\] = \{"(\w+)", [^}]*?, true,\s*false\}', source)
    assert [f"ce_{name}" for name in required] == document.root["components"]["schemas"]["binaryHeaders"]["required"]


def check_topic_names(document):
    """The default names of the configuration."""
    source = (WORKER / "options.c").read_text(encoding="utf-8")
    defaults = set(re.findall(r'\{"topics\.\w+", CONFIG_TEXT, AT\(topics\.\w+\),\s*"([^"]+)"', source))
    told = {channel["address"] for channel in document.root["channels"].values()}
    assert set(ONE_PARTITION_ANSWERS) <= defaults <= told, f"{defaults} {told}"


def checks():
    document = Document(FILE)
    yield "the document is AsyncAPI 3.0.0 in its outer shape", lambda: check_shape(document)
    yield "every reference leads somewhere", lambda: check_references(document)
    yield "every channel is read or written by an operation", lambda: check_operations(document)
    for channel in document.root["channels"].values():
        yield f"channel {channel['address']}", lambda channel=channel: check_channel(document, channel)
    for name, message in document.root["components"]["messages"].items():
        yield f"message {name} and its examples", lambda message=message: check_message(document, message)
    yield "every schema is the payload of its own topic", lambda: check_every_schema_is_used(document)
    yield "an example that is wrong is found", lambda: check_a_wrong_example_is_found(document)
    yield "the headers are those the worker writes", lambda: check_header_names(document)
    yield "the attributes are those the decoder reads", lambda: check_attribute_names(document)
    yield "the topics are the configuration's defaults", lambda: check_topic_names(document)


def main():
    failed = count = 0
    for count, (sentence, check) in enumerate(checks(), 1):
        try:
            check()
        except Exception as fault:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {count} - {sentence}")
            print("# " + f"{type(fault).__name__}: {fault}".replace("\n", "\n# "))
        else:
            print(f"ok {count} - {sentence}")
    print(f"1..{count}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
