"""What a usual design does to store one memory, for comparison: prints rows per CPU-second.

Text, metadata as JSON and the embedding as comma-separated text, each sealed with AES-256-GCM under one key, a random
nonce and the user's hash as associated data.
"""
import hashlib
import hmac
import json
import os
import platform
import random
import sys
import time

import cryptography
from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY = os.urandom(32)
HMAC_KEY = os.urandom(32)
TEXT = "x" * 1024
METADATA = {"note": "y" * 186}
VECTOR = [random.uniform(-0.5, 0.5) for _ in range(1536)]


def seal(plaintext: bytes, aad: bytes) -> bytes:
    nonce = os.urandom(12)
    return nonce + AESGCM(KEY).encrypt(nonce, plaintext, aad)


def store(user_id: str) -> None:
    user = hmac.new(HMAC_KEY, user_id.encode(), hashlib.sha256).hexdigest()
    aad = user.encode()
    seal(TEXT.encode(), aad)
    seal(json.dumps(METADATA).encode(), aad)
    seal(",".join(str(value) for value in VECTOR).encode(), aad)


seconds = float(sys.argv[1])
rows = 0
started = time.process_time()
while time.process_time() - started < seconds:
    store("user")
    rows += 1
elapsed = time.process_time() - started
print(json.dumps({
    "rowsPerSecond": rows / elapsed if rows else 0,
    "versions": f"Python {platform.python_version()}, cryptography {cryptography.__version__}, {backend.openssl_version_text()}",
}))
