"""The calls that the deployed Python client makes for a message, to be measured beside this project's.

Arguments: operation, key file (PKCS #1 DER), file with the plaintext, file with the message. Prints its name and versions,
then answers each line with a number of iterations by the nanoseconds that these took.

SHA-256 is used on both sides: the client as deployed seals with SHA-256, opens with SHA-1, and so cannot open what it seals.
"""

import json
import sys
import time
from base64 import b64decode, b64encode

import Crypto
import nacl
from Crypto.Cipher import PKCS1_OAEP
from Crypto.Hash import SHA256
from Crypto.PublicKey import RSA
from nacl.secret import SecretBox
from nacl.signing import SigningKey

SIGNING_KEY = SigningKey(bytes([7] * 32))


def seal_and_sign(key, plaintext):
    session_key = nacl.utils.random(SecretBox.KEY_SIZE)
    wrapped = PKCS1_OAEP.new(key, hashAlgo=SHA256).encrypt(session_key)
    boxed = SecretBox(session_key).encrypt(plaintext)
    payload = b64encode(wrapped).decode() + "," + b64encode(boxed).decode()
    signature = b64encode(SIGNING_KEY.sign(payload.encode()).signature).decode()
    return payload, signature


def verify_and_open(key, payload, signature):
    SIGNING_KEY.verify_key.verify(payload.encode(), b64decode(signature))
    wrapped, boxed = payload.split(",")
    session_key = PKCS1_OAEP.new(key, hashAlgo=SHA256).decrypt(b64decode(wrapped))
    return SecretBox(session_key).decrypt(b64decode(boxed))


def envelope_seal_and_sign(key, plaintext):
    request = json.loads(plaintext)
    payload, signature = seal_and_sign(key, plaintext)
    headers = {
        "experiment": {name: request["experiment"][name] for name in ("status", "pythonver")},
        "time_added": request["experiment"]["time_added"],
        "experiment_lifetime": request["config"]["experimentLifetime"],
        "resources_needed": request["experiment"]["resources_needed"],
    }
    return json.dumps({"message": {**headers, "payload": payload, "signature": signature}})


def envelope_verify_and_open(key, text):
    message = json.loads(text)["message"]
    return verify_and_open(key, message["payload"], message["signature"])


def main():
    operation, key_file, plaintext_file, message_file = sys.argv[1:]
    with open(key_file, "rb") as file:
        key = RSA.import_key(file.read())
    with open(plaintext_file, "rb") as file:
        plaintext = file.read()
    with open(message_file, encoding="ascii") as file:
        text = file.read()
    message = json.loads(text)["message"]
    payload, signature = message["payload"], message["signature"]
    run = {
        "seal+sign": lambda: seal_and_sign(key, plaintext),
        "verify+open": lambda: verify_and_open(key, payload, signature),
        "envelope-seal+sign": lambda: envelope_seal_and_sign(key, plaintext),
        "envelope-verify+open": lambda: envelope_verify_and_open(key, text),
    }[operation]
    if operation.endswith("open"):
        assert run() == plaintext
    version = ".".join(str(part) for part in Crypto.version_info if part != "")
    print(f"Python client (PyCryptodome {version}, PyNaCl {nacl.__version__})", flush=True)
    for line in sys.stdin:
        start = time.perf_counter_ns()
        for _ in range(int(line)):
            run()
        print(time.perf_counter_ns() - start, flush=True)


main()
