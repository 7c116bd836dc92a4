"""The other end of a StudioML Envelope, made of the deployed Python client's own libraries: PyCryptodome and PyNaCl.

    peer.py send    RECIPIENT_PEM SIGNER < plaintext > envelope
    peer.py receive PRIVATE_PEM SIGNER_PUBLIC < envelope > plaintext     exit status 1 if it is refused
    peer.py seal    RECIPIENT_PEM < plaintext > payload
    peer.py open    PRIVATE_PEM < payload > plaintext

SIGNER and SIGNER_PUBLIC are files: a seed or a point in hexadecimal for Ed25519, PEM for P-256.
"""

import base64
import hashlib
import json
import sys

import nacl.exceptions
import nacl.secret
import nacl.signing
import nacl.utils
from Crypto.Cipher import PKCS1_OAEP
from Crypto.Hash import SHA256
from Crypto.PublicKey import ECC, RSA
from Crypto.Signature import DSS


class Refused(Exception):
    """The message is not to be trusted, or cannot be opened."""


def read(path):
    with open(path, "rb") as file:
        return file.read()


def seal(recipient_pem, plaintext):
    session_key = nacl.utils.random(nacl.secret.SecretBox.KEY_SIZE)
    wrapped = PKCS1_OAEP.new(RSA.import_key(read(recipient_pem)), hashAlgo=SHA256).encrypt(session_key)
    boxed = bytes(nacl.secret.SecretBox(session_key).encrypt(plaintext))
    return base64.b64encode(wrapped) + b"," + base64.b64encode(boxed)


def open_payload(private_pem, payload):
    fields = payload.split(b",")
    if len(fields) != 2:
        raise Refused("fields")
    wrapped, boxed = (base64.b64decode(field, validate=True) for field in fields)
    try:
        session_key = PKCS1_OAEP.new(RSA.import_key(read(private_pem)), hashAlgo=SHA256).decrypt(wrapped)
        return nacl.secret.SecretBox(session_key).decrypt(boxed)
    except (ValueError, nacl.exceptions.CryptoError) as error:
        raise Refused(error) from error


def ssh_string(data):
    return len(data).to_bytes(4, "big") + data


def fingerprint(blob):
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def sign(signer, payload):
    """The signature and the signer's fingerprint."""
    key = read(signer)
    if key.startswith(b"-----BEGIN"):
        private = ECC.import_key(key)
        signature = DSS.new(private, "fips-186-3", encoding="der").sign(SHA256.new(payload))
        point = private.public_key().export_key(format="raw")
        blob = ssh_string(b"ecdsa-sha2-nistp256") + ssh_string(b"nistp256") + ssh_string(point)
    else:
        private = nacl.signing.SigningKey(bytes.fromhex(key.decode()))
        signature = private.sign(payload).signature
        blob = ssh_string(b"ssh-ed25519") + ssh_string(bytes(private.verify_key))
    return base64.b64encode(signature).decode(), fingerprint(blob)


def verify(signer_public, payload, signature):
    key, signature = read(signer_public), base64.b64decode(signature, validate=True)
    try:
        if key.startswith(b"-----BEGIN"):
            DSS.new(ECC.import_key(key), "fips-186-3", encoding="der").verify(SHA256.new(payload), signature)
        else:
            nacl.signing.VerifyKey(bytes.fromhex(key.decode())).verify(payload, signature)
    except (ValueError, nacl.exceptions.BadSignatureError) as error:
        raise Refused(error) from error


def send(recipient_pem, signer, plaintext):
    payload = seal(recipient_pem, plaintext)
    signature, name = sign(signer, payload)
    message = {"payload": payload.decode(), "signature": signature, "fingerprint": name}
    return json.dumps({"message": message}).encode()


def receive(private_pem, signer_public, envelope):
    message = json.loads(envelope)["message"]
    payload = message["payload"].encode()
    verify(signer_public, payload, message["signature"])
    return open_payload(private_pem, payload)


def main(command, *arguments):
    given = sys.stdin.buffer.read()
    made = {"send": send, "receive": receive, "seal": seal, "open": open_payload}[command](*arguments, given)
    sys.stdout.buffer.write(made)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Refused as refused:
        sys.exit(f"refused: {refused}")
