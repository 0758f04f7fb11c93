#!/usr/bin/python3
"""The decoder and the schema of lead.create, with a stock validator, give the same verdict.  Speaks TAP.

    tests/unit/check_decoder.py DECODE [SEED]     DECODE is the program tests/unit/decode.c

Documents are made from a seed, which is printed, and by hand.  Where the two have to differ, since JSON Schema cannot
say it, the difference stands in DIFFERENCES, each with its reason.
"""

import copy
import datetime
import json
import pathlib
import random
import re
import struct
import subprocess
import sys

import jsonschema

SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "schemas" / "lead.create" / "1.json"
COUNT = 3000
SEED = 20261124
STRUCTURED = (("content-type", "application/cloudevents+json; charset=utf-8"),)
FRAME = b"\0\0\0\x12\x34"  # of a schema registry: a zero byte and the schema's id

BASE = {"specversion": "1.0", "type": "lead.create", "source": "crm/signup", "id": "evt-1",
        "data": {"user_id": "user_anna", "lead": {"LastName": "Lovelace", "Company": "Analytical Engines"}}}


# ---- the decoder ----

def framed(data):
    return struct.pack(">I", 0xFFFFFFFF) if data is None else struct.pack(">I", len(data)) + data


def as_bytes(text):
    return text.encode("utf-8") if isinstance(text, str) else text


def decode(program, records):
    """[(verdict, reason, path, rest)] for [(value as bytes, headers)]."""
    given = bytearray()
    for value, headers in records:
        given += struct.pack(">I", len(headers))
        for name, text in headers:
            given += framed(as_bytes(name)) + framed(as_bytes(text))
        given += framed(as_bytes(value))
    done = subprocess.run([program], input=bytes(given), stdout=subprocess.PIPE, check=True, timeout=50)
    lines = done.stdout.decode("utf-8").split("\n")[:-1]
    assert len(lines) == len(records), f"{len(lines)} answers to {len(records)} records"
    return [(line.split(" ", 3) + [""])[:4] for line in lines]


def decode_one(program, value, headers=STRUCTURED):
    return decode(program, [(value, headers)])[0]


def written(document):
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8")


# ---- the validator ----

def with_real_ends(value):
    """Patterns are ECMA-262's, where $ is the end; Python's also stands before a last newline."""
    if isinstance(value, dict):
        changed = {}
        for name, member in value.items():
            if name == "pattern":
                member = re.sub(r"\$$", r"\\Z", member)
            elif name == "patternProperties":
                member = {re.sub(r"\$$", r"\\Z", pattern): rule for pattern, rule in member.items()}
            changed[name] = with_real_ends(member)
        return changed
    return [with_real_ends(item) for item in value] if isinstance(value, list) else value


def is_date_time(text):
    """RFC 3339, the pattern beside it has seen to the shape."""
    if not isinstance(text, str):
        return True
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))", text, re.A)
    if not match:
        return False
    date, minute, second, sign, hours, minutes = match.groups()
    try:
        time = datetime.datetime.strptime(f"{date} {minute}", "%Y-%m-%d %H:%M")
        if sign:
            if int(hours) > 23 or int(minutes) > 59:
                return False
            offset = datetime.timedelta(hours=int(hours), minutes=int(minutes))
            time = time - offset if sign == "+" else time + offset
    except (ValueError, OverflowError):
        return False
    return int(second) < 60 or (int(second) == 60 and (time.hour, time.minute) == (23, 59))


def make_validator():
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    formats = jsonschema.FormatChecker(formats=())
    formats.checks("date-time")(is_date_time)
    return jsonschema.Draft202012Validator(with_real_ends(schema), format_checker=formats)


# ---- documents ----

LETTERS = "aZ09 .-_/:@\u00a0é€ß中🦊\"\\'"
CONTROLS = ("\x01", "\n", "\t", "\x1f", "\x7f", "\x80", "\x9f")
TIMES = ("2026-11-24T10:00:00Z", "2026-11-24t10:00:00.5z", "2024-02-29T23:59:59+14:00", "2026-12-31T23:59:60Z",
         "2027-01-01T00:59:60+01:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "1969-12-31T23:59:59-00:00",
         "2026-02-29T00:00:00Z", "2026-11-24 10:00:00Z", "2026-11-24T24:00:00Z", "2026-11-24T10:60:00Z", "2026-11-24",
         "2026-11-24T10:00:00", "2026-11-24T10:00:60Z", "2026-11-24T10:00:00+24:00", "2026-11-24T10:00:00.Z",
         "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "2026-13-01T00:00:00Z", "２026-11-24T10:00:00Z",
         "2026-11-24T10:00:00Z\n", " 2026-11-24T10:00:00Z", "0000-01-01T00:00:00Z", "tomorrow", "")
SCALARS = (None, True, False, 0, 1, -7, 2**63 - 1, -2**63, 1.5, -0.25, 1e-300, 123456789.5, "", "x", "true", "7")
CONTAINERS = ([], {}, [1], {"a": 1}, [[]])
CONTENT_TYPES = ("application/json", "APPLICATION/JSON", "application/json; charset=utf-8", "application/json ;x",
                 "application/json\t;x", "application/json;\x01", "application/jsonx", "text/plain", "application/ json",
                 "application/json;\u2028", "application/json\n", "application/vnd.lead+json", "json")
SCHEMAS = ("urn:onbehalf:lead.create:1", "urn:onbehalf:lead.create:2", "URN:OnBehalf:lead.create:1", "urn:other:x",
           "https://schemas.example/lead", "urn:onbehalf:lead.create:1\n", "a\x7fb", "urn:onbehalf", "urn:onbehalf:")
FIELDS = {"AnnualRevenue": 0, "City": 40, "Company": 255, "Country": 80, "Description": 32000, "DoNotCall": 0,
          "Email": 80, "Fax": 40, "FirstName": 40, "HasOptedOutOfEmail": 0, "HasOptedOutOfFax": 0, "Industry": 40,
          "IsUnreadByOwner": 0, "LastName": 80, "Latitude": 0, "LeadSource": 40, "Longitude": 0, "MobilePhone": 40,
          "NumberOfEmployees": 0, "Phone": 40, "PostalCode": 20, "Salutation": 40, "State": 80, "Street": 255,
          "Title": 128, "Website": 255}
OTHER_NAMES = ("Rating", "OwnerId", "Score__c", "acme__Region__c", "X", "x9_", "Id", "Name", "CreatedDate", "attributes",
               "Address", "IsDeleted", "OnBehalf_Event_Id__c", "acme__OnBehalf_Event_Id__c", "Owner__r", "Owner__R",
               "Owner.Name", "", "9x", "_x", "a b", "é", "X\n", "F" * 80, "F" * 81, "Ids", "OnBehalf_Event_Id__c2",
               "ConvertedAccountId", "ConvertedContactId", "ConvertedDate", "ConvertedOpportunityId", "CreatedById",
               "EmailBouncedDate", "EmailBouncedReason", "IsConverted", "LastActivityDate", "LastModifiedById",
               "LastModifiedDate", "LastReferencedDate", "LastViewedDate", "MasterRecordId", "PhotoUrl", "SystemModstamp")
ATTRIBUTES = ("specversion", "type", "source", "id", "time", "subject", "datacontenttype", "dataschema", "expirytime",
              "partitionkey", "traceparent", "tracestate")
EXTENSIONS = ("ext", "x9", "9x", "averyveryverylongnameofanextension", "Ext", "my_ext", "my-ext", "", "data_base64", "ext\n",
              "causationid", "é")


class Maker:
    """Makes documents, near the edge between valid and invalid."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def pick(self, values):
        return copy.deepcopy(self.random.choice(values))

    def text(self, length):
        text = "".join(self.random.choice(LETTERS) for _ in range(length))
        if length and self.random.random() < 0.1:
            at = self.random.randrange(length)
            text = text[:at] + self.pick(CONTROLS) + text[at + 1:]
        return text

    def near(self, limit):
        return self.text(self.random.choice((0, 1, limit // 2, limit - 1, limit, limit, limit + 1)))

    def any(self):
        return self.pick(SCALARS if self.random.random() < 0.8 else CONTAINERS)

    def attribute(self, document):
        name = self.pick(ATTRIBUTES)
        if self.random.random() < 0.3:
            document[name] = self.any()
        elif name in ("time", "expirytime"):
            document[name] = self.pick(TIMES)
        elif name == "datacontenttype":
            document[name] = self.pick(CONTENT_TYPES)
        elif name == "dataschema":
            document[name] = self.pick(SCHEMAS)
        elif name in ("source", "id"):  # ASCII: a length in bytes
            document[name] = "i" * self.random.choice((0, 1, 255, 256, 257)) + self.pick(("", "", "", "\n", "\x7f"))
            document[name] = document[name][:257]
        else:
            document[name] = self.text(self.random.randrange(20))

    def no_attribute(self, document):
        document.pop(self.pick(ATTRIBUTES), None)

    def extension(self, document):
        document[self.pick(EXTENSIONS)] = self.any()

    def who(self, document):
        if isinstance(document.get("data"), dict):
            name = self.pick(("user_id", "organization_id", "user_id", "organization_id", "other", "User_id"))
            value = self.any() if self.random.random() < 0.4 else "u" * self.random.choice((1, 255, 256, 257))
            document["data"][name] = value

    def no_member(self, document):
        if isinstance(document.get("data"), dict) and document["data"]:
            document["data"].pop(self.pick(sorted(document["data"])))

    def data(self, document):
        if self.random.random() < 0.3:
            document["data"] = self.any()
        elif isinstance(document.get("data"), dict):
            document["data"]["lead"] = self.any()

    @staticmethod
    def lead_of(document):
        data = document.get("data")
        lead = data.get("lead") if isinstance(data, dict) else None
        return lead if isinstance(lead, dict) else {}

    def field(self, document):
        name = self.pick(sorted(FIELDS))
        limit = FIELDS[name]
        value = self.near(limit) if limit and self.random.random() < 0.7 else self.any()
        self.lead_of(document)[name] = value

    def other_field(self, document):
        self.lead_of(document)[self.pick(OTHER_NAMES)] = self.any()

    def no_field(self, document):
        lead = self.lead_of(document)
        if lead:
            lead.pop(self.pick(sorted(lead)))

    def many_fields(self, document):
        lead = self.lead_of(document)
        wanted = self.random.choice((499, 500, 501))
        for number in range(wanted - len(lead)):
            lead[f"F{number}__c"] = number

    def document(self):
        document = copy.deepcopy(BASE)
        steps = (self.attribute, self.field, self.field, self.other_field, self.extension, self.who, self.no_field,
                 self.no_attribute, self.no_member, self.data, self.many_fields)
        weights = (6, 6, 6, 5, 4, 4, 1, 1, 1, 1, 0.3)
        for _ in range(self.random.choice((0, 1, 1, 1, 2, 2, 3))):
            self.random.choices(steps, weights)[0](document)
        return document


def by_hand():
    """Every value of every pool, one at a time."""
    def changed(change):
        document = copy.deepcopy(BASE)
        change(document)
        return document

    for name in ATTRIBUTES:
        for value in (*SCALARS, *CONTAINERS):
            yield changed(lambda d, name=name, value=value: d.update({name: value}))
        yield changed(lambda d, name=name: d.pop(name, None))
        for control in CONTROLS:
            yield changed(lambda d, name=name, control=control: d.update({name: f"a{control}"}))
    for time in TIMES:
        yield changed(lambda d, time=time: d.update(time=time))
        yield changed(lambda d, time=time: d.update(expirytime=time))
    for value in CONTENT_TYPES:
        yield changed(lambda d, value=value: d.update(datacontenttype=value))
    for value in SCHEMAS:
        yield changed(lambda d, value=value: d.update(dataschema=value))
    for name in EXTENSIONS:
        for value in ("x", 1, None, [1], 1.5):
            yield changed(lambda d, name=name, value=value: d.update({name: value}))
    for name, limit in FIELDS.items():
        for value in (*SCALARS, *CONTAINERS, *(("a" * limit, "🦊" * limit, "é" * (limit + 1)) if limit else ())):
            yield changed(lambda d, name=name, value=value: d["data"]["lead"].update({name: value}))
    for name in OTHER_NAMES:
        for value in ("x", 1, 1.5, None, True, [], {}):
            yield changed(lambda d, name=name, value=value: d["data"]["lead"].update({name: value}))
    for name in ("user_id", "organization_id"):
        for value in (*SCALARS, *CONTAINERS, "u" * 256, "u" * 257, "a\n", "\x85"):
            yield changed(lambda d, name=name, value=value: d["data"].update({name: value}))
    for value in (1.7e308, 5e-324, 1.0, 1e15):
        yield changed(lambda d, value=value: d["data"]["lead"].update(AnnualRevenue=value, Score__c=value))
    for path in sorted(SCHEMA.parent.glob("examples/good/*.json")):
        yield json.loads(path.read_text(encoding="utf-8"))
    yield from ([], None, "x", 7, {}, {"specversion": "1.0"}, [BASE])


def text_with(old, new):
    """The base event as text, with one exact change."""
    text = json.dumps(BASE, ensure_ascii=False)
    assert text.count(old) == 1, old
    return as_bytes(text).replace(as_bytes(old), as_bytes(new))


def lead_with(member):
    return text_with('"LastName": "Lovelace"', b'"LastName": "Lovelace", ' + as_bytes(member))


DEEP = "[" * 20 + "]" * 20
# (what JSON Schema cannot say, the document, the decoder's verdict, reason and path, the validator's verdict; None where
# Python's json has no document to give)
DIFFERENCES = (
    ("a member given twice: a JSON Schema sees the document after one was dropped",
     text_with('"id": "evt-1"', '"id": "evt-1", "id": "evt-2"'), "invalid not_json $", True),
    ("the same, escaped", lead_with('"City": "a", "\\u0043ity": "b"'), "invalid not_json $", True),
    ("invalid UTF-8 is no text", lead_with(b'"City": "\xff"'), "invalid not_json $", None),
    ("overlong UTF-8", lead_with(b'"City": "\xc0\xaf"'), "invalid not_json $", None),
    ("a surrogate in UTF-8", lead_with(b'"City": "\xed\xa0\x80"'), "invalid not_json $", None),
    ("a lone surrogate, escaped: not a Unicode character", lead_with('"City": "\\ud83e"'), "invalid not_json $", True),
    ("a lone low surrogate", lead_with('"City": "\\udd8a"'), "invalid not_json $", True),
    ("NUL, escaped: PostgreSQL has no such character", lead_with('"City": "a\\u0000b"'), "invalid not_json $", True),
    ("NUL, escaped in a name", lead_with('"Ci\\u0000ty": "a"'), "invalid not_json $", False),
    ("a NUL byte", lead_with(b'"City": "a\0b"'), "invalid not_json $", None),
    ("a NUL byte behind the document", written(BASE) + b"\0", "invalid not_json $", None),
    ("a byte order mark", b"\xef\xbb\xbf" + written(BASE), "invalid not_json $", None),
    ("NaN: Python reads it, JSON has none", lead_with('"AnnualRevenue": NaN'), "invalid not_json $", True),
    ("Infinity", lead_with('"AnnualRevenue": -Infinity'), "invalid not_json $", True),
    ("a number out of range", lead_with('"AnnualRevenue": 1e999'), "invalid not_json $", True),
    ("a whole number of more than 64 bits", lead_with('"AnnualRevenue": 9223372036854775808'), "invalid not_json $", True),
    ("the same, far beyond", lead_with('"AnnualRevenue": ' + "9" * 400), "invalid not_json $", True),
    ("1.0 is an integer to JSON Schema and a real number to us", lead_with('"NumberOfEmployees": 7.0'),
     "rejected field_type $.data.lead.NumberOfEmployees", True),
    ("so is 1e3", lead_with('"NumberOfEmployees": 1e3'), "rejected field_type $.data.lead.NumberOfEmployees", True),
    ("an extension of 1.0", text_with('"id": "evt-1"', '"id": "evt-1", "ext": 1.0'),
     "invalid malformed_attribute $.ext", True),
    ("more than 16 levels, where nothing else is checked", text_with('"id": "evt-1"', f'"id": "evt-1", "tracestate": {DEEP}'),
     "invalid too_deep $", True),
    ("lengths of ids are bytes", text_with("evt-1", "é" * 129), "invalid too_large $.id", True),
    ("of sources", text_with("crm/signup", "é" * 129), "invalid too_large $.source", True),
    ("of users", text_with("user_anna", "é" * 129), "invalid too_large $.data.user_id", True),
    ("of organizations", text_with('"user_id": "user_anna"', '"user_id": "u", "organization_id": "' + "é" * 129 + '"'),
     "invalid too_large $.data.organization_id", True),
    ("Salesforce's field names know no case: a required one", text_with('"LastName"', '"lastname"'), "ok - -", False),
    ("a length", lead_with('"CITY": "' + "a" * 41 + '"'), "rejected field_too_long $.data.lead.CITY", True),
    ("a type", lead_with('"donotcall": 1'), "rejected field_type $.data.lead.donotcall", True),
    ("a read-only field", lead_with('"ID": "x"'), "rejected field_read_only $.data.lead.ID", True),
    ("our own field", lead_with('"onbehalf_event_id__C": "x"'),
     "rejected field_read_only $.data.lead.onbehalf_event_id__C", True),
    ("a field given twice in another case", lead_with('"lastName": "x"'), "rejected field_twice $.data.lead.lastName", True),
    ("a record has at most a mebibyte", written(BASE) + b" " * (1024 * 1024), "invalid too_large $", True),
)


def validated(validator, value):
    """Whether the stock validator takes the bytes; None when there is no document for it."""
    try:
        return validator.is_valid(json.loads(value.decode("utf-8")))
    except ValueError:
        return None


# ---- checks ----

def check_agreement(program, validator, documents):
    """Both verdicts are equal, and neither is rare."""
    answers = decode(program, [(written(document), STRUCTURED) for document in documents])
    good = 0
    for document, (verdict, reason, path, _) in zip(documents, answers):
        valid = validator.is_valid(document)
        assert valid == (verdict == "ok"), (
            f"the decoder says {verdict} {reason} {path}, the schema {'valid' if valid else 'invalid'}: "
            f"{json.dumps(document)[:400]}")
        good += valid
    share = good / len(documents)
    assert 0.15 < share < 0.85, f"{share:.0%} are valid: nothing is compared"
    return f"{good} valid, {len(documents) - good} not"


def check_reasons_vary(program, documents):
    answers = decode(program, [(written(document), STRUCTURED) for document in documents])
    reasons = {reason for _, reason, _, _ in answers}
    wanted = {"wrong_specversion", "wrong_type", "missing_attribute", "malformed_attribute", "too_large", "missing_data",
              "malformed_data", "missing_field", "field_too_long", "field_type", "field_name", "field_read_only",
              "too_many_fields"}
    assert wanted <= reasons, f"never seen: {sorted(wanted - reasons)}"


def check_difference(program, validator, value, wanted, valid):
    verdict, reason, path, _ = decode_one(program, value)
    assert f"{verdict} {reason} {path}" == wanted, f"{verdict} {reason} {path}"
    assert validated(validator, value) == valid, f"the validator says {validated(validator, value)}"


def binary_of(document):
    """Headers and value of the same event in binary mode; None where an attribute is no text."""
    if not isinstance(document, dict) or "data" not in document:
        return None
    headers = []
    for name, value in document.items():
        if name == "data" or (value is None and re.fullmatch("[a-z0-9]+", name)):
            continue
        if not isinstance(value, str) or not re.fullmatch("[a-z0-9]+", name):
            return None
        headers.append(("content-type" if name == "datacontenttype" else f"ce_{name}", value))
    if ("ce_specversion", "1.0") not in headers or document["data"] is None:
        return None
    if any(name == "content-type" and value.lower().startswith("application/cloudevents") for name, value in headers):
        return None
    return written(document["data"]), tuple(headers)


def check_modes(program, documents):
    """The same event in binary mode, without headers and in a registry's frame gets the same answer."""
    chosen = [(document, binary_of(document)) for document in documents]
    chosen = [(document, binary) for document, binary in chosen if binary]
    assert len(chosen) > 1000, f"only {len(chosen)}"
    values = [written(document) for document, _ in chosen]
    first = decode(program, [(value, STRUCTURED) for value in values])
    bare = decode(program, [(value, ()) for value in values])
    frames = decode(program, [(FRAME + value, STRUCTURED) for value in values])
    binary = decode(program, [record for _, record in chosen])
    frames_of_data = decode(program, [(FRAME + value if value[:1] == b"{" else value, headers)
                                      for _, (value, headers) in chosen])
    for number, (document, _) in enumerate(chosen):
        text = json.dumps(document)[:300]
        assert first[number] == bare[number], f"bare: {bare[number][:3]}, not {first[number][:3]}: {text}"
        assert first[number] == frames[number], f"framed: {frames[number][:3]}, not {first[number][:3]}: {text}"
        assert binary[number] == frames_of_data[number], f"framed data: {frames_of_data[number][:3]}: {text}"
        same = first[number][:2] == binary[number][:2] and first[number][3] == binary[number][3]
        assert same, f"binary: {binary[number][:3]}, not {first[number][:3]}: {text}"
    return f"{len(chosen)} events"


BINARY = (("ce_specversion", "1.0"), ("ce_type", "lead.create"), ("ce_source", "crm/signup"), ("ce_id", "evt-1"),
          ("ce_time", "2026-11-24T10:00:00Z"), ("content-type", "application/json"))
DATA = written(BASE["data"])
EVENT = written(BASE)
# What the Kafka protocol binding and its conformance features ask of a receiver, with events of ours.
# https://github.com/cloudevents/conformance/blob/main/features/kafka-protocol-binding.feature
# https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
BINDING = (
    ("binary: attributes are headers, the value is the data", DATA, BINARY, "ok - -"),
    ("binary: of any type; the type decides after that",
     DATA, tuple((n, "com.example.other" if n == "ce_type" else v) for n, v in BINARY), "invalid wrong_type ce_type"),
    ("binary: without a content type it is JSON", DATA, BINARY[:5], "ok - -"),
    ("binary: data that is no JSON", b"<lead/>", (*BINARY[:5], ("content-type", "text/xml")),
     "invalid malformed_attribute content-type"),
    ("binary: a tombstone is an event without data", None, BINARY, "invalid missing_data $.data"),
    ("binary: an extension", DATA, (*BINARY, ("ce_causationid", "x")), "ok - -"),
    ("binary: other headers mean nothing", DATA, (*BINARY, ("x-request-id", b"\xff"), ("traceparent", "?")), "ok - -"),
    ("binary: a header that is no UTF-8", DATA, (*BINARY, ("ce_subject", b"\xff")), "invalid malformed_attribute ce_subject"),
    ("binary: a header twice", DATA, (*BINARY, ("ce_id", "evt-1")), "invalid malformed_attribute ce_id"),
    ("structured: application/cloudevents+json", EVENT, (("content-type", "application/cloudevents+json"),), "ok - -"),
    ("structured: with charset", EVENT, (("content-type", "application/cloudevents+json; charset=utf-8"),), "ok - -"),
    ("structured: in any case", EVENT, (("Content-Type", "Application/CloudEvents+JSON;Charset=UTF-8"),), "ok - -"),
    ("structured: goes before headers ce_…", EVENT, (*STRUCTURED, ("ce_type", "other"), ("ce_id", "other")), "ok - -"),
    ("structured: never a tombstone", None, STRUCTURED, "invalid not_json $"),
    ("structured: another format", EVENT, (("content-type", "application/cloudevents+avro"),),
     "invalid not_cloudevent content-type"),
    ("there is no batch mode", b"[" + EVENT + b"]", (("content-type", "application/cloudevents-batch+json"),),
     "invalid not_cloudevent content-type"),
    ("the header's name is told apart in any case", DATA, (*BINARY[:5], ("CONTENT-TYPE", "application/JSON")), "ok - -"),
    ("a frame and its JSON", FRAME + EVENT, STRUCTURED, "ok - -"),
    ("a frame without headers", FRAME + EVENT, (), "ok - -"),
    ("a frame around data", FRAME + DATA, BINARY, "ok - -"),
    ("a frame of id 0x7b7b7b7b", b"\0{{{{" + EVENT, (), "ok - -"),
    ("a frame alone", FRAME, STRUCTURED, "invalid not_json $"),
    ("a frame and no JSON object", FRAME + b"[]", STRUCTURED, "invalid not_json $"),
    ("a frame in a frame", FRAME + FRAME + EVENT, STRUCTURED, "invalid not_json $"),
    ("another magic byte", b"\1" + FRAME[1:] + EVENT, STRUCTURED, "invalid not_json $"),
    ("a frame cut short", FRAME[:4] + EVENT, STRUCTURED, "invalid not_json $"),
    ("a frame counts as part of the record", FRAME + EVENT + b" " * (1024 * 1024 - len(EVENT) - 4), STRUCTURED,
     "invalid too_large $"),
)


def check_binding(program, value, headers, wanted):
    verdict, reason, path, _ = decode_one(program, value, headers)
    assert f"{verdict} {reason} {path}" == wanted, f"{verdict} {reason} {path}"


def checks(program, seed):
    validator = make_validator()
    maker = Maker(seed)
    made = [maker.document() for _ in range(COUNT)]
    hand_made = list(by_hand())
    yield f"on {COUNT} documents made from seed {seed} decoder and schema agree", (
        lambda: check_agreement(program, validator, made))
    yield f"on {len(hand_made)} documents made by hand as well", lambda: check_agreement(program, validator, hand_made)
    yield "they meet every reason", lambda: check_reasons_vary(program, made)
    yield "both modes and a registry's frame say the same", lambda: check_modes(program, made + hand_made)
    for why, value, wanted, valid in DIFFERENCES:
        yield f"differs: {why}", (
            lambda value=value, wanted=wanted, valid=valid: check_difference(program, validator, value, wanted, valid))
    for what, value, headers, wanted in BINDING:
        yield what, lambda value=value, headers=headers, wanted=wanted: check_binding(program, value, headers, wanted)


def main():
    program = sys.argv[1]
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else SEED
    failed = count = 0
    for count, (sentence, check) in enumerate(checks(program, seed), 1):
        try:
            told = check()
        except Exception as fault:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {count} - {sentence}")
            print("# " + f"{type(fault).__name__}: {fault}".replace("\n", "\n# "))
        else:
            print(f"ok {count} - {sentence}")
            if told:
                print(f"# {told}")
    print(f"1..{count}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
