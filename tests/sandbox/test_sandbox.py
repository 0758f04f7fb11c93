#!/usr/bin/python3
"""The sandbox plays its part: every answer the worker relies on, each planned fault.

Run with Debian's pytest: /usr/bin/python3 -m pytest tests/sandbox/test_sandbox.py
The binary comes from ONBEHALF_SANDBOX or build/tests/sandbox/onbehalf-sandbox.
"""

import base64
import http.client
import json
import os
import pathlib
import signal
import ssl
import subprocess
import threading
import time
import urllib.parse

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ONBEHALF_SANDBOX", str(ROOT / "build/tests/sandbox/onbehalf-sandbox"))
KEY = "OnBehalf_Event_Id__c"
DATA = "/services/data/v66.0"
UPSERT = f"{DATA}/composite/sobjects/Lead/{KEY}"
CREATE = f"{DATA}/composite/sobjects"
EXPIRED = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.text = response.read().decode()

    @property
    def json(self):
        return json.loads(self.text)


class Sandbox:
    def __init__(self, *options, tls=False):
        self.process = subprocess.Popen(
            [BINARY, "--listen", "127.0.0.1:0", *options], stdout=subprocess.PIPE, text=True)
        self.port = self.ready_port("ready")
        self.tls_port = self.ready_port("ready-tls") if tls else None

    def ready_port(self, word):
        line = self.process.stdout.readline().split()
        assert line[0] == word
        return int(line[1].rsplit(":", 1)[1])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0

    def call(self, method, path, body=None, token=None, host=None, headers=None, tls=False):
        if tls:
            context = ssl._create_unverified_context()
            link = http.client.HTTPSConnection("127.0.0.1", self.tls_port, timeout=20, context=context)
        else:
            link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            sent = {"Content-Type": "application/json"} if body is not None else {}
            if token:
                sent["Authorization"] = f"Bearer {token}"
            if host:
                sent["Host"] = host
            sent.update(headers or {})
            data = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
            link.request(method, path, data, sent)
            return Answer(link.getresponse())
        finally:
            link.close()

    def control(self, path, body=None, method="POST"):
        answer = self.call(method, f"/control/{path}", body if method == "POST" else None)
        assert answer.status == 200, answer.text
        return answer.json

    def get(self, path):
        return self.control(path, method="GET")

    def org(self, **options):
        return self.control("orgs", options)

    def user(self, org, user_id="user_anna", **options):
        return self.control("users", {"org_id": org["org_id"], "user_id": user_id, **options})

    def rule(self, action, times=1, **match):
        return self.control("rules", {"match": match, "times": times, "action": action})

    def pipes(self, user_id="user_anna", organization_id=None, slug="salesforce", key="sk_test", **rest):
        body = {"user_id": user_id}
        if organization_id:
            body["organization_id"] = organization_id
        return self.call("POST", f"/data-integrations/{slug}/token", body, token=key, **rest)

    def token(self, *args, **rest):
        answer = self.pipes(*args, **rest).json
        assert answer["active"], answer
        return answer["access_token"]["access_token"]

    def form(self, path, **values):
        return self.call("POST", f"/services/oauth2/{path}", urllib.parse.urlencode(values),
                         headers={"Content-Type": "application/x-www-form-urlencoded"})

    def upsert(self, token, *records, all_or_none=False, **rest):
        return self.call("PATCH", UPSERT, {"allOrNone": all_or_none, "records": list(records)}, token, **rest)


def lead(key=None, **fields):
    record = {"attributes": {"type": "Lead"}, "LastName": "Lovelace", "Company": "Analytical Engines"}
    if key:
        record[KEY] = key
    record.update(fields)
    return {name: value for name, value in record.items() if value is not None}


def code(answer):
    return answer.json[0]["errorCode"]


def codes(answer):
    return [item["errors"][0]["statusCode"] if item["errors"] else None for item in answer.json]


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=sandbox",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)
    sandbox = Sandbox("--tls-listen", "127.0.0.1:0", "--tls-cert", str(folder / "cert.pem"),
                      "--tls-key", str(folder / "key.pem"), tls=True)
    yield sandbox
    sandbox.stop()


@pytest.fixture
def box(process):
    process.control("reset", {})
    return process


@pytest.fixture
def acme(box):
    return box.org(host="acme.my.salesforce.com")


@pytest.fixture
def token(box, acme):
    box.user(acme)
    return box.token()


def id_check(id15):
    tail = ""
    for block in range(0, 15, 5):
        bits = sum(1 << i for i in range(5) if id15[block + i].isupper())
        tail += "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[bits]
    return tail


# Control

def test_ids_have_the_right_prefix_and_check(box, acme, token):
    user = box.user(acme, "user_ben")
    created = box.upsert(token, lead("k1")).json[0]
    for prefix, value in (("00D", acme["org_id"]), ("005", user["sf_user_id"]), ("00Q", created["id"])):
        assert value.startswith(prefix) and len(value) == 18
        assert value[15:] == id_check(value[:15])


@pytest.mark.parametrize("body", [
    {"org_id": "00D1F0000009GpnXXX"}, {"org_id": "short"}, {"token_format": "other"}])
def test_an_org_that_makes_no_sense_is_refused(box, body):
    answer = box.call("POST", "/control/orgs", body)
    assert answer.status == 400 and "error" in answer.json


def test_a_published_org_id_gets_its_published_check(box):
    assert box.org(org_id="00D1F0000009Gpn")["org_id"] == "00D1F0000009GpnUAE"


def test_many_users_are_made_at_once(box, acme):
    assert box.control("users", {"org_id": acme["org_id"], "count": 20000, "user_id_prefix": "user_"})
    assert box.get("stats")["users"] == 20000
    assert box.token("user_19999").startswith(acme["org_id"][:15] + "!")


@pytest.mark.parametrize("rule", [
    {}, {"action": {"status": 42}}, {"action": {"cut": "sometimes"}}, {"action": {"delay": 1}},
    {"match": {"service": "other"}, "action": {"status": 500}}, {"match": {"leads": 1}, "action": {"status": 500}}])
def test_a_rule_that_makes_no_sense_is_refused(box, rule):
    assert box.call("POST", "/control/rules", rule).status == 400


# Pipes

def test_an_active_account_gets_a_token_of_the_documented_shape(box, acme):
    box.user(acme)
    answer = box.pipes()
    assert answer.status == 200
    assert set(answer.json) == {"active", "access_token"}
    access = answer.json["access_token"]
    assert access["object"] == "access_token" and access["expires_at"] is None
    assert access["missing_scopes"] == [] and "api" in access["scopes"]
    assert access["access_token"] == box.token()


@pytest.mark.parametrize("grant", ["needs_reauthorization", "not_installed"])
def test_an_inactive_account_is_a_200(box, acme, grant):
    box.user(acme, grant=grant)
    answer = box.pipes()
    assert answer.status == 200 and answer.json == {"active": False, "error": grant}


def test_pipes_refuses_wrong_keys_slugs_and_organizations(box, acme):
    box.user(acme, organization_id="org_acme")
    assert box.pipes(key="pk_wrong").status == 401
    assert box.pipes(key=None).status == 401
    assert box.pipes(slug="hubspot").status == 404
    answer = box.pipes(organization_id="org_none")
    assert answer.status == 400 and answer.json == {"message": "Organization not found: 'org_none'."}
    assert box.call("POST", "/data-integrations/salesforce/token", "{", token="sk_x").status == 400
    box.user(acme, "user_key", auth_method="api_key")
    assert box.pipes("user_key").status == 422
    assert box.pipes("user_key").json["code"] == "auth_method_mismatch"


def test_without_an_organization_pipes_hands_back_another_connection(box, acme):
    other = box.org()
    box.user(acme, organization_id="org_acme")
    box.user(other, organization_id="org_other")
    assert box.token(organization_id="org_other").startswith(other["org_id"][:15])
    assert box.token().startswith(acme["org_id"][:15])


def test_a_reconnect_vends_a_new_token_and_a_dead_grant_kills_the_old(box, acme, token):
    box.user(acme, grant="needs_reauthorization")
    assert box.call("GET", f"{DATA}/limits", token=token).status == 401
    box.user(acme)
    assert box.token() != token


def test_an_expired_token_is_refused_and_replaced(box, token):
    box.control("expire", {"user_id": "user_anna"})
    answer = box.upsert(token, lead("k"))
    assert answer.status == 401 and answer.json == EXPIRED
    assert box.upsert(box.token(), lead("k")).status == 200


def test_a_dead_token_can_go_on_being_vended(box, token):
    box.control("expire", {"keep_vending": True})
    assert box.token() == token
    assert box.upsert(token, lead("k")).status == 401


def test_a_token_ends_by_itself(box, acme):
    box.user(acme, token_ttl_s=0)
    assert box.upsert(box.token(), lead("k")).status == 401


def test_the_connected_account_can_be_read_and_removed(box, acme, token):
    path = "/user_management/users/user_anna/connected_accounts/salesforce"
    account = box.call("GET", path, token="sk_x").json
    assert account["object"] == "connected_account" and account["state"] == "connected"
    assert account["organization_id"] is None
    assert box.call("DELETE", path, token="sk_x").status == 204
    assert box.pipes().json == {"active": False, "error": "not_installed"}
    assert box.upsert(token, lead("k")).status == 200  # not revoked at Salesforce


# Identity

def test_userinfo_names_org_user_and_instance(box, acme, token):
    info = box.call("GET", "/services/oauth2/userinfo", token=token, host="login.salesforce.com")
    assert info.status == 200
    assert info.json["organization_id"] == acme["org_id"] and len(info.json["user_id"]) == 18
    assert info.json["urls"]["rest"] == acme["instance_url"] + "/services/data/v{version}/"
    assert info.json["urls"]["custom_domain"] == acme["instance_url"]
    same = box.call("GET", f"/id/{acme['org_id']}/{info.json['user_id']}", token=token)
    assert same.json == info.json


def test_userinfo_refuses_in_plain_text(box, token):
    for bad, host in (("00Dxx!nope", None), (None, None), (token, "test.salesforce.com")):
        answer = box.call("GET", "/services/oauth2/userinfo", token=bad, host=host)
        assert answer.status == 403 and answer.text == "Bad_OAuth_Token"


def test_jwt_tokens_carry_their_header_claims(box):
    org = box.org(token_format="jwt")
    box.user(org)
    jwt = box.token()
    head = jwt.split(".")[0]
    claims = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    assert jwt.startswith("eyJ") and jwt.count(".") == 2
    assert claims["tty"] == "sfdc-core-token" and claims["alg"] == "RS256" and org["org_id"] in claims["tnk"]
    assert box.upsert(jwt, lead("k")).status == 200
    box.control("expire", {})
    answer = box.upsert(jwt, lead("k"))
    assert answer.status == 401
    assert answer.json == [{"message": "INVALID_JWT_FORMAT", "errorCode": "INVALID_AUTH_HEADER"}]


# The vault's side: refresh tokens

def refresh(box, text, **more):
    return box.form("token", grant_type="refresh_token", refresh_token=text, client_id="app", **more)


def test_a_refresh_rotates_and_reuse_ends_the_grant(box, acme):
    box.user(acme)
    first = box.control("grants", {"org_id": acme["org_id"], "user_id": "user_anna"})["refresh_token"]
    answer = refresh(box, first)
    assert answer.status == 200 and "expires_in" not in answer.json
    assert answer.json["instance_url"] == acme["instance_url"]
    assert answer.json["id"].startswith(f"https://login.salesforce.com/id/{acme['org_id']}/005")
    access, second = answer.json["access_token"], answer.json["refresh_token"]
    assert second != first and box.upsert(access, lead("k")).status == 200
    for text in (first, second):
        again = refresh(box, text)
        assert again.status == 400
        assert again.json == {"error": "invalid_grant", "error_description": "expired access/refresh token"}
    assert box.upsert(access, lead("k")).status == 401


def test_the_token_endpoint_checks_client_and_form(box, acme):
    box.user(acme)
    grant = {"org_id": acme["org_id"], "user_id": "user_anna", "client_id": "app", "client_secret": "s", "rotate": False}
    text = box.control("grants", grant)["refresh_token"]
    assert refresh(box, text).json["error"] == "invalid_client"
    assert box.form("token", grant_type="refresh_token", refresh_token=text, client_id="x").json["error"] == \
        "invalid_client_id"
    assert box.form("token", grant_type="password").json["error"] == "unsupported_grant_type"
    assert "refresh_token" not in refresh(box, text, client_secret="s").json
    assert refresh(box, "5Aepnone").json["error"] == "invalid_grant"


def test_only_one_request_at_a_time_redeems_a_refresh_token(box, acme):
    box.user(acme)
    text = box.control("grants", {"org_id": acme["org_id"], "user_id": "user_anna"})["refresh_token"]
    box.rule({"delay_ms": 600}, service="token")
    answers = []
    slow = threading.Thread(target=lambda: answers.append(refresh(box, text)))
    slow.start()
    wait_for(lambda: box.get("stats")["calls"]["token"] == 1)
    second = refresh(box, text)
    slow.join()
    assert second.status == 400
    assert second.json["error_description"] == "token request is already being processed"
    assert answers[0].status == 200


def test_revoke_ends_grant_and_access_tokens(box, acme):
    box.user(acme)
    text = box.control("grants", {"org_id": acme["org_id"], "user_id": "user_anna"})["refresh_token"]
    answer = refresh(box, text).json
    assert box.form("introspect", token=answer["access_token"]).json["active"] is True
    assert box.form("revoke", token=answer["refresh_token"]).status == 200
    assert box.upsert(answer["access_token"], lead("k")).status == 401
    assert refresh(box, answer["refresh_token"]).status == 400
    assert box.form("introspect", token=answer["access_token"]).json == {"active": False}
    unknown = box.form("revoke", token="none")
    assert unknown.status == 400 and unknown.text.startswith("error=")


# Salesforce: the front door

def test_versions_need_no_token_and_say_no_usage(box):
    answer = box.call("GET", "/services/data/")
    assert answer.status == 200 and "sforce-limit-info" not in answer.headers
    assert {"label": "Spring '26", "url": "/services/data/v66.0", "version": "66.0"} in answer.json
    assert answer.json[0]["label"] == "Summer '14"


def test_a_token_is_good_only_at_its_orgs_host(box, acme, token):
    other = box.org(host="other.my.salesforce.com")
    box.user(other, "user_ben")
    for host in ("acme.my.salesforce.com", "ACME.my.salesforce.com:443", "127.0.0.1"):
        assert box.upsert(token, lead("k"), host=host).status == 200
    answer = box.upsert(token, lead("k"), host="other.my.salesforce.com")
    assert answer.status == 401 and answer.json == EXPIRED
    assert box.upsert(box.token("user_ben"), lead("k"), host="other.my.salesforce.com").status == 200
    assert code(box.upsert(token, lead("k"), host="login.salesforce.com")) == "URL_NOT_RESET"
    assert box.pipes(host="acme.my.salesforce.com").status == 404
    assert box.get(f"leads?org_id={other['org_id']}")["leads"][0][KEY] == "k"


def test_bearer_faults(box, acme, token):
    none = box.call("PATCH", UPSERT, {"records": []})
    assert none.status == 401
    assert none.json == [{"message": "INVALID_HEADER_TYPE", "errorCode": "INVALID_AUTH_HEADER"}]
    assert box.upsert("garbage", lead("k")).json == EXPIRED
    assert box.upsert(token + "x", lead("k")).json == EXPIRED


def test_versions_that_are_gone_or_unknown(box, token):
    for version, status, error in (("v30.0", 410, "GONE"), ("v99.0", 404, "NOT_FOUND"), ("vx", 404, "NOT_FOUND")):
        answer = box.call("GET", f"/services/data/{version}/limits", token=token)
        assert answer.status == status and code(answer) == error


def test_method_media_type_and_body_faults(box, token):
    answer = box.call("DELETE", UPSERT, token=token)
    assert answer.status == 405 and code(answer) == "METHOD_NOT_ALLOWED" and answer.headers["allow"] == "PATCH"
    answer = box.call("PATCH", UPSERT, "a=b", token, headers={"Content-Type": "text/plain"})
    assert answer.status == 415 and code(answer) == "UNSUPPORTED_MEDIA_TYPE"
    for body in ("{", "", "[]", '{"records":1}', '{"records":[1]}', '{"records":[],"more":1}', b'{"records":"\xff"}'):
        answer = box.call("PATCH", UPSERT, body, token)
        assert answer.status == 400 and code(answer) == "JSON_PARSER_ERROR", body
    assert box.call("PATCH", UPSERT, {"records": [lead("k", LastName=5)]}, token).status == 400
    assert box.call("GET", f"{DATA}/sobjects/Account/x", token=token).status == 404


def test_usage_is_counted_and_ends_at_the_limit(box):
    org = box.org(api_limit=2)
    box.user(org)
    token = box.token()
    assert box.upsert(token, lead("a")).headers["sforce-limit-info"] == "api-usage=1/2"
    assert box.upsert(token, lead("b")).headers["sforce-limit-info"] == "api-usage=2/2"
    answer = box.upsert(token, lead("c"))
    assert answer.status == 403 and code(answer) == "REQUEST_LIMIT_EXCEEDED"
    assert answer.json[0]["message"] == "TotalRequests Limit exceeded."
    assert answer.headers["sforce-limit-info"] == "api-usage=2/2"
    assert box.get("stats")["created"] == 2


# Salesforce: single records

def test_single_upsert_creates_then_updates_and_is_found(box, token):
    path = f"{DATA}/sobjects/Lead/{KEY}/evt%2F1"
    assert box.call("GET", path, token=token).status == 404
    first = box.call("PATCH", path, {"LastName": "L", "Company": "C", "City": None}, token)
    assert first.status == 201
    assert first.json == {"id": first.json["id"], "success": True, "errors": [], "created": True}
    second = box.call("PATCH", path, {"FirstName": "Ada"}, token)
    assert second.status == 200 and second.json["created"] is False and second.json["id"] == first.json["id"]
    found = box.call("GET", path, token=token).json
    assert found["Id"] == first.json["id"] and found["FirstName"] == "Ada" and found["LastName"] == "L"
    assert found[KEY] == "evt/1" and found["attributes"]["type"] == "Lead"
    few = box.call("GET", path + "?fields=LastName", token=token).json
    assert set(few) == {"attributes", "Id", "LastName"}
    assert box.call("PATCH", path.replace("v66.0", "v45.0"), {"City": "London"}, token).status == 204


def test_single_upsert_faults(box, token):
    def patch(path, body):
        return box.call("PATCH", f"{DATA}/sobjects/Lead/{path}", body, token)

    wrong = patch("Other__c/1", {"LastName": "L"})
    assert wrong.status == 404 and code(wrong) == "NOT_FOUND"
    assert wrong.json[0]["message"] == "Provided external ID field does not exist or is not accessible: Other__c"
    assert code(patch(f"{KEY}/a", {KEY: "a", "LastName": "L", "Company": "C"})) == "INVALID_FIELD"
    assert code(patch(f"{KEY}/a", {"LastName": "L"})) == "REQUIRED_FIELD_MISSING"
    assert patch(f"{KEY}/a@b.inc", {"LastName": "L", "Company": "C"}).status == 404
    assert patch(f"{KEY}/a?updateOnly=true", {"LastName": "L", "Company": "C"}).status == 404
    assert box.get("stats")["created"] == 0


def test_single_create_is_not_idempotent(box, token):
    path = f"{DATA}/sobjects/Lead/"
    ids = [box.call("POST", path, {"LastName": "L", "Company": "C"}, token).json["id"] for _ in range(2)]
    assert ids[0] < ids[1]
    assert box.call("POST", path, {"LastName": "L", "Company": "C"}, token).status == 201


def test_a_converted_lead_is_not_updated_and_a_deleted_one_comes_again(box, acme, token):
    first = box.upsert(token, lead("k")).json[0]
    where = {"org_id": acme["org_id"], "external_id": "k"}
    box.control("leads/edit", {**where, "converted": True, "fields": {"City": "Paris"}})
    assert codes(box.upsert(token, lead("k"))) == ["CANNOT_UPDATE_CONVERTED_LEAD"]
    box.control("leads/delete", where)
    again = box.upsert(token, lead("k")).json[0]
    assert again["created"] is True and again["id"] > first["id"]


# Salesforce: collections

def test_results_are_in_order_and_each_for_itself(box, token):
    box.upsert(token, lead("old"))
    answer = box.upsert(token, lead("a"), lead("b", Company=None), lead("old", City="Rome"), lead("c"))
    assert answer.status == 200
    assert [item["success"] for item in answer.json] == [True, False, True, True]
    assert [item.get("created") for item in answer.json] == [True, None, False, True]
    assert answer.json[1]["errors"] == [{
        "statusCode": "REQUIRED_FIELD_MISSING", "message": "Required fields are missing: [Company]",
        "fields": ["Company"]}]


@pytest.mark.parametrize("fields,error,field", [
    ({"LastName": ""}, "REQUIRED_FIELD_MISSING", "LastName"),
    ({"LastName": "é" * 81}, "STRING_TOO_LONG", "LastName"),
    ({"Email": "ada@example"}, "INVALID_EMAIL_ADDRESS", "Email"),
    ({"Email": "no at.example.com"}, "INVALID_EMAIL_ADDRESS", "Email"),
    ({"Email": "ada@@example.com"}, "INVALID_EMAIL_ADDRESS", "Email"),
    ({"Nope": "x"}, "INVALID_FIELD", None),
    ({"Name": "x"}, "INVALID_FIELD_FOR_INSERT_UPDATE", "Name"),
    ({"Id": "00QHs0000000001MAA"}, "INVALID_FIELD_FOR_INSERT_UPDATE", "Id"),
    ({"attributes": {"type": "Account"}}, "INVALID_TYPE", None),
    ({KEY: None}, "MISSING_ARGUMENT", KEY),
])
def test_a_bad_record_is_refused(box, token, fields, error, field):
    answer = box.upsert(token, lead("good"), lead("bad", **fields))
    assert codes(answer) == [None, error]
    assert answer.json[1]["errors"][0]["fields"] == ([field] if field else [])
    assert box.get("stats")["created"] == 1


def test_lengths_are_counted_in_characters_and_odd_text_survives(box, token, acme):
    odd = "é" * 70 + '"\\\n\t\u2028😀'
    assert codes(box.upsert(token, lead("k", LastName=odd, Colour__c="green", Email="a.b+c@d-e.example"))) == [None]
    found = box.get(f"leads?org_id={acme['org_id']}")["leads"][0]
    assert found["LastName"] == odd and found["Colour__c"] == "green"


def test_equal_keys_in_one_upsert_refuse_every_row(box, token):
    answer = box.upsert(token, lead("k"), lead("x"), lead("K"))
    assert codes(answer) == ["DUPLICATE_VALUE", None, "DUPLICATE_VALUE"]
    assert answer.json[0]["errors"][0]["message"].startswith("Duplicate external id specified: ")


def test_a_create_meets_the_unique_key(box, token):
    box.upsert(token, lead("k"))
    answer = box.call("POST", CREATE, {"records": [lead("K"), lead("n"), lead("n"), lead()]}, token)
    assert codes(answer) == ["DUPLICATE_VALUE", None, "DUPLICATE_VALUE", None]
    assert answer.json[0]["errors"][0]["fields"] == [KEY] and "created" not in answer.json[1]


def test_all_or_none_rolls_back(box, token):
    box.upsert(token, lead("old"))
    answer = box.upsert(token, lead("a"), lead("b", Company=None), lead("old"), all_or_none=True)
    rolled = "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    assert codes(answer) == [rolled, "REQUIRED_FIELD_MISSING", rolled]
    assert "id" in answer.json[2] and answer.json[2]["success"] is False
    assert box.get("stats")["created"] == 1 and box.get("stats")["updated"] == 0
    assert codes(box.upsert(token, lead("a"), lead("b"), all_or_none=True)) == [None, None]


def test_two_hundred_is_the_limit(box, token):
    assert len(box.upsert(token, *[lead(f"k{i}") for i in range(200)]).json) == 200
    answer = box.upsert(token, *[lead(f"l{i}") for i in range(201)])
    assert answer.status == 400 and code(answer) == "EXCEEDED_ID_LIMIT"
    assert box.get("stats")["created"] == 200


# Rules, cuts, journal

def test_an_injected_answer_applies_nothing(box, token):
    box.rule({"status": 503, "body": "<html>down</html>", "headers": {"Retry-After": "7"}}, service="salesforce")
    answer = box.upsert(token, lead("k"))
    assert answer.status == 503 and answer.text == "<html>down</html>" and answer.headers["retry-after"] == "7"
    assert box.get("stats")["created"] == 0
    assert box.upsert(token, lead("k")).status == 200


def test_rules_match_what_they_say(box, acme, token):
    other = box.org()
    box.user(other, "user_ben")
    box.rule({"status": 500, "body": []}, times=-1, service="salesforce", org_id=other["org_id"], method="PATCH",
             path_contains="composite", user_id="user_ben", lead={"field": KEY, "equals": "bad"})
    assert box.upsert(token, lead("bad")).status == 200
    assert box.upsert(box.token("user_ben"), lead("good")).status == 200
    for _ in range(2):
        assert box.upsert(box.token("user_ben"), lead("good"), lead("bad")).status == 500
    box.control("rules", method="DELETE")
    assert box.upsert(box.token("user_ben"), lead("bad")).status == 200


@pytest.mark.parametrize("when,applied", [("before", 0), ("after", 1)])
@pytest.mark.parametrize("tls", [False, True])
def test_a_cut_sends_not_a_byte(box, token, when, applied, tls):
    box.rule({"cut": when}, service="salesforce")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError, ssl.SSLError)):
        box.upsert(token, lead("k"), tls=tls)
    assert box.get("stats")["created"] == applied
    assert box.get("calls")["entries"][-1]["cut"] == when
    assert box.upsert(token, lead("k")).json[0]["created"] is not bool(applied)


def test_a_planned_record_error_hits_its_record(box, token):
    error = {"statusCode": "UNABLE_TO_LOCK_ROW", "message": "unable to obtain exclusive access", "fields": []}
    box.rule({"record_error": error}, lead={"field": "LastName", "equals": "X"})
    answer = box.upsert(token, lead("a"), lead("b", LastName="X"))
    assert codes(answer) == [None, "UNABLE_TO_LOCK_ROW"]
    assert codes(box.upsert(token, lead("b", LastName="X"))) == [None]
    box.rule({"record_error": error}, service="salesforce")
    single = box.call("PATCH", f"{DATA}/sobjects/Lead/{KEY}/c", {"LastName": "L", "Company": "C"}, token)
    assert single.status == 400 and code(single) == "UNABLE_TO_LOCK_ROW"


def test_planned_pipes_answers(box, acme):
    box.user(acme)
    box.rule({"pipes": {"active": True, "error": "x", "access_token": {}}}, service="pipes")
    box.rule({"pipes": {"message": "Too many requests.", "status": 429}}, service="pipes")
    assert box.pipes().json == {"active": True, "error": "x", "access_token": {}}
    assert box.pipes().status == 429
    assert box.pipes().json["active"] is True


def wait_for(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_delay_holds_up_nobody_else_and_is_applied_without_its_client(box, token):
    box.rule({"delay_ms": 1500}, lead={"field": "LastName", "equals": "slow"})
    link = http.client.HTTPConnection("127.0.0.1", box.port, timeout=20)
    link.request("PATCH", UPSERT, json.dumps({"records": [lead("slow", LastName="slow")]}),
                 {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    wait_for(lambda: len(box.get("calls")["entries"]) == 2)
    assert box.get("calls")["entries"][-1]["status"] is None
    start = time.monotonic()
    assert box.upsert(token, lead("quick")).status == 200
    assert time.monotonic() - start < 1
    assert box.get("stats")["created"] == 1
    link.close()
    wait_for(lambda: box.get("stats")["created"] == 2)
    assert [entry["external_id"] for entry in box.get("journal")["entries"]] == ["quick", "slow"]


def test_the_journal_tells_every_write_in_order(box, acme, token):
    box.upsert(token, lead("a", City="Rome"), lead("b", Company=None), host="acme.my.salesforce.com")
    box.upsert(token, lead("a", City="Oslo"))
    journal = box.get("journal")
    first, second = journal["entries"]
    assert journal["last"] == 2 and [first["n"], second["n"]] == [1, 2]
    assert first["method"] == "create" and second["method"] == "update"
    assert first["org_id"] == acme["org_id"] and first["user_id"] == "user_anna"
    assert first["host"] == "acme.my.salesforce.com" and first["lead_id"] == second["lead_id"]
    assert first["fields"] == {"LastName": "Lovelace", "Company": "Analytical Engines", "City": "Rome"}
    assert first["external_id"] == "a" and first["call"] < second["call"]
    assert box.get("journal?after=1")["entries"] == [second]
    calls = {entry["n"]: entry for entry in box.get("calls")["entries"]}
    assert calls[first["call"]]["records"] == 2 and calls[first["call"]]["status"] == 200
    assert [entry["service"] for entry in calls.values()] == ["pipes", "salesforce", "salesforce"]


def test_many_at_once_lose_nothing(box, acme, token):
    def writer(name):
        for i in range(20):
            answer = box.upsert(token, *[lead(f"{name}-{i}-{j}") for j in range(20)], lead("shared"))
            assert all(item["success"] for item in answer.json)

    writers = [threading.Thread(target=writer, args=(n,)) for n in range(8)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    entries = box.get("journal")["entries"]
    assert [entry["n"] for entry in entries] == list(range(1, 8 * 20 * 21 + 1))
    created = [entry["external_id"] for entry in entries if entry["method"] == "create"]
    assert len(created) == len(set(created)) == 8 * 20 * 20 + 1
    ids = [entry["lead_id"] for entry in entries if entry["method"] == "create"]
    assert ids == sorted(ids)
    assert box.get("stats")["orgs"][acme["org_id"]]["leads"] == 8 * 20 * 20 + 1


# TLS and the process

def test_tls_serves_the_same_but_no_control(box, acme, token):
    assert box.upsert(token, lead("k"), tls=True, host="acme.my.salesforce.com").status == 200
    assert box.pipes(tls=True, host="api.workos.com").json["active"] is True
    assert box.call("GET", "/control/stats", tls=True).status == 404
    assert box.upsert(token, lead("k"), tls=True, host="nobody.my.salesforce.com").status == 420


def test_a_bounded_journal_keeps_the_newest(tmp_path):
    log = tmp_path / "journal"
    sandbox = Sandbox("--journal", str(log), "--journal-max", "5", "--threads", "2")
    try:
        sandbox.user(sandbox.org())
        token = sandbox.token()
        sandbox.upsert(token, *[lead(f"k{i}") for i in range(8)])
        journal = sandbox.get("journal")
        assert [entry["n"] for entry in journal["entries"]] == [4, 5, 6, 7, 8]
        assert journal["last"] == 8 and journal["first_kept"] == 4
        assert [entry["n"] for entry in sandbox.get("journal?after=5&limit=2")["entries"]] == [6, 7]
        assert len(log.read_text().splitlines()) == 8
    finally:
        sandbox.stop()


def test_it_ends_cleanly_while_a_call_waits():
    sandbox = Sandbox()
    sandbox.rule({"delay_ms": 60000}, service="pipes")
    link = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=20)
    link.request("POST", "/data-integrations/salesforce/token", "{}",
                 {"Authorization": "Bearer sk_x", "Content-Type": "application/json"})
    wait_for(lambda: sandbox.get("stats")["calls"]["pipes"] == 1)
    sandbox.stop()
    link.close()


@pytest.mark.parametrize("arguments", [[], ["--listen"], ["--nope"], ["--listen", "127.0.0.1:0", "--tls-cert", "x"]])
def test_wrong_usage_is_exit_code_2(arguments):
    assert subprocess.run([BINARY, *arguments], capture_output=True, check=False).returncode == 2
