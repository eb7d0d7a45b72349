#!/usr/bin/env python3
"""A second implementation of Memseal's sealing, written from its description (README.md): checks a file of vectors.

usage: open.py FILE    exit 0 when all agree, 1 when one does not
Needs Python 3.9 and the package cryptography (Debian: python3-cryptography).
"""
import hashlib
import hmac
import json
import struct
import sys

import cryptography
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FIELDS = {"text": 1, "metadata": 2, "embedding": 3, "idempotentResponse": 4, "cursor": 5}
SEAL, REFERENCE = 1, 2
REFERENCES = {"key": 1, "content": 2, "run": 3, "idempotencyKey": 4, "request": 5, "actor": 6, "target": 7, "auditChain": 8}
HEADER = 20


class Refused(Exception):
    """The blob is not what was sealed at this place."""


def hkdf(key, info):
    """RFC 5869 with SHA-256, an empty salt and 32 bytes of output."""
    pseudorandom_key = hmac.digest(bytes(32), key, "sha256")
    return hmac.digest(pseudorandom_key, info + b"\x01", "sha256")


def commitment(key):
    return hkdf(key, b"memseal/v1/commit")


def derived_key(key, purpose, use):
    return hkdf(key, b"memseal/v1/" + bytes([1, purpose, use]))


def open_blob(blob, keys, tenant, row_id, field, row_version):
    """blob v1 to plaintext; keys: this tenant's seal keys by kid. Raises Refused."""
    if len(blob) < HEADER + 12 + 16 or blob[:4] != b"M1\x01\x01":
        raise Refused
    key = keys.get(blob[4:HEADER])
    if key is None:
        raise Refused
    aad = blob[:HEADER] + struct.pack(">H", 32) + tenant + row_id + struct.pack(">BQ", FIELDS[field], row_version)
    try:
        return AESGCM(derived_key(key, SEAL, FIELDS[field])).decrypt(blob[HEADER:32], blob[32:], aad)
    except InvalidTag as error:
        raise Refused from error


def user_hash(secret, user_id, namespace):
    prefix = b""
    if namespace != "default":
        name = namespace.encode()
        prefix = b"\x00" + struct.pack(">H", len(name)) + name
    return hmac.digest(secret, prefix + user_id.encode(), "sha256")


def chunk_row_id(memory_id, generation, chunk_no):
    return hashlib.sha256(bytes.fromhex(memory_id.replace("-", "")) + struct.pack(">II", generation, chunk_no)).digest()[:16]


def reference(key, kind, parts):
    message = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return hmac.digest(derived_key(key, REFERENCE, REFERENCES[kind]), message, "sha256")


def check(vectors):
    """Yields (what, whether it agrees)."""
    raw = bytes.fromhex
    for case in vectors["keys"]:
        yield case, commitment(raw(case["key"])).hex() == case["commitment"]
    for case in vectors["user_hashes"]:
        yield case, user_hash(raw(case["secret"]), case["user_id"], case["namespace"]).hex() == case["user_hash"]
    for case in vectors["chunk_row_ids"]:
        yield case, chunk_row_id(case["memory_id"], case["generation"], case["chunk_no"]).hex() == case["row_id"]
    for case in vectors["references"]:
        yield case, reference(raw(case["key"]), case["kind"], [raw(part) for part in case["parts"]]).hex() == case["reference"]
    for case in vectors["blobs"]:
        keys = {commitment(raw(key))[:16]: raw(key) for key in case["keys"]}
        try:
            opened = open_blob(raw(case["blob"]), keys, raw(case["tenant"]), raw(case["row_id"]), case["field"], case["row_version"]).hex()
        except Refused:
            opened = None
        yield case, opened == case["plaintext"]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        outcomes = list(check(json.load(file)))
    wrong = [case for case, agrees in outcomes if not agrees]
    for case in wrong:
        print("differs:", json.dumps(case))
    print(f"{len(outcomes) - len(wrong)} of {len(outcomes)} vectors agree (cryptography {cryptography.__version__})")
    sys.exit(1 if wrong or not outcomes else 0)


main()
