"""Secrets: neither a credential's value nor a known shape gets into an event; other text stays as it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness_core.contract.record import Status
from harness_core.record import events as ev
from harness_core.secrets.redact import HIDDEN, Redactor

PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIEowIBAAKCAQEAx+/=\nq83vEjRWeJ\n"
    "-----END RSA PRIVATE KEY-----"
)
SHAPES = [
    "sk-ant-api03-" + "aB3_-" * 8,
    "sk-ant-oat01-" + "x" * 40,
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "ghp_" + "a1B2" * 9,
    "ghs_" + "a1B2" * 9,
    "github_pat_" + "a1B2_" * 10,
    "xoxb-123456789012-abcdefGHIJ",
    "AIza" + "Sy_-9" * 7,
    PEM,
]
VALUES = {
    "ANTHROPIC_API_KEY": "plain-value-1",
    "github_token": "lower-case-name",
    "DB_PASSWORD": 'quo"te\\back\nline\ttab',
    "PGPASSWORD": "pg-password",
    "AWS_SECRET_ACCESS_KEY": "slash/plus+equals==",
    "SIGNING_PASSPHRASE": "correct horse battery",
    "UNICODE_SECRET": "schlüssel-密钥",
    "DEPLOY_PRIVATE_KEY": PEM,
}
AROUND = ["{}", "a line\n{}\nanother", "\t{}\r\n", '{{"key": "{}"}}', "X={};", "\x1b{}\x1b"]


def redactor(**environ: str) -> Redactor:
    return Redactor(environ)


@pytest.mark.parametrize("around", AROUND, ids=range(len(AROUND)))
@pytest.mark.parametrize("secret", SHAPES, ids=range(len(SHAPES)))
def test_a_known_shape_is_hidden_wherever_it_stands(secret: str, around: str) -> None:
    text = around.format(secret)
    event = redactor().event(ev.ToolResult(tool_use_id="t", ok=True, ms=1, output=text))
    assert event.output == text.replace(secret, HIDDEN)
    line = json.dumps({"output": text})
    assert json.loads(redactor().data(line.encode())) == {"output": text.replace(secret, HIDDEN)}


@pytest.mark.parametrize("name", VALUES)
def test_a_credential_value_is_hidden_in_text_in_json_and_in_json_in_json(name: str) -> None:
    secret = VALUES[name]
    hides = Redactor({name: secret})
    for text in (secret, f"a {secret} b", json.dumps({"k": secret}, ensure_ascii=False)):
        event = hides.event(ev.ToolUse(tool_use_id="t", tool="Bash", input={"command": text, secret: [text]}))
        written = ev.encode(event).decode()
        assert HIDDEN in written
        for form in (secret, json.dumps(secret, ensure_ascii=False)[1:-1]):
            assert form not in written
        assert json.loads(written)["type"] == "tool_use"


def test_a_private_key_that_was_cut_is_hidden_as_far_as_it_goes() -> None:
    assert redactor().text(f"x {PEM[:70]}") == f"x {HIDDEN}"


@pytest.mark.parametrize("second", SHAPES[:2])
@pytest.mark.parametrize("first", ["AKIAIOSFODNN7EXAMPLE", "AIza" + "Sy_-9" * 7])
def test_of_two_secrets_that_touch_neither_is_left(first: str, second: str) -> None:
    assert redactor().text(first + second) == HIDDEN * 2


@pytest.mark.parametrize(
    "event",
    [
        ev.FeatureChanged(feature="F1", from_=Status.FAILING, to=Status.VERIFIED, by="evaluator"),
        ev.Cost(usd=1.0, tokens=1234567890, phase="build"),
        ev.EvidenceRead(path="a", sha256="b", tool_use_id="c"),
        ev.ToolUse(tool_use_id="c", tool="Read", input={}),
    ],
    ids=lambda event: type(event).__name__,
)
def test_a_value_that_is_also_a_word_of_the_journal_breaks_no_event(event: ev.Event) -> None:
    hides = redactor(
        A_TOKEN="verified", B_TOKEN="34567890", C_TOKEN="tool_use", D_TOKEN="evidence", E_TOKEN="tool_use_id"
    )
    assert hides.event(event) == event


@pytest.mark.parametrize(
    "text",
    [
        "the token count is 4096, the password field is empty",
        "AKIA is a prefix, ghp_ too, sk-ant- as well",
        "see -----BEGIN CERTIFICATE-----",
        "MAKIAIOSFODNN7EXAMPLEX",
        "",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redactor(API_KEY="plain-value-1").text(text) == text


def test_what_is_no_credential_or_too_short_is_no_secret() -> None:
    hides = redactor(PATH="/usr/local/bin", PWD="/home/somebody", MAX_TOKENS="20000000", API_KEY="short")
    event = ev.Text(text="/usr/local/bin /home/somebody 20000000 short")
    assert hides.event(event) is event


def test_bytes_that_are_no_utf_8_stay_as_they_are() -> None:
    assert redactor(A_TOKEN="plain-value-1").data(b"\xff plain-value-1 \xfe") == b"\xff [redacted] \xfe"


pieces = st.sampled_from([*SHAPES, *VALUES.values(), "AKIA", "PRIVATE KEY", "-----BEGIN PRIVATE KEY-----"])
texts = st.lists(pieces | st.text(max_size=12) | st.characters(categories=["Cs"]), max_size=6).map("".join)


@given(texts)
def test_redacting_never_raises_and_twice_is_once(text: str) -> None:
    hides = Redactor(VALUES)
    once = hides.text(text)
    assert hides.text(once) == once
    assert not any(value in once for value in VALUES.values())
    event = hides.event(ev.Text(text=text))
    assert hides.event(event) == event
    assert ev.encode(event)
