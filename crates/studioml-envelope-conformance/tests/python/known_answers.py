"""Writes the known answers that no standard prints: run it in vectors/known-answers, look at the difference, commit.

    python known_answers.py secretbox > secretbox-libsodium.json
"""

import hashlib
import json
import sys

import nacl
import nacl.bindings

# around every block, kernel and chunk boundary that an implementation may have
LENGTHS = sorted(
    {0, 1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 49, 1 << 20, (1 << 20) + 1}
    | {block + step for block in (64, 128, 192, 256, 512, 1024, 4096, 8192, 16384, 32768, 65536) for step in (-33, -32, -31, -1, 0, 1)}
)


def pattern(length):
    """Byte i is (i * i + 7 * i) / 8 mod 256: no short period, and one line in any language."""
    return bytes((i * i + 7 * i) // 8 % 256 for i in range(length))


def secretbox():
    cases = []
    for number, length in enumerate(LENGTHS):
        key = hashlib.sha256(b"key %d" % number).digest()
        nonce = hashlib.sha256(b"nonce %d" % number).digest()[:24]
        box = nacl.bindings.crypto_secretbox(pattern(length), nonce, key)
        cases.append(
            {
                "number": number,
                "key": key.hex(),
                "nonce": nonce.hex(),
                "plaintext_bytes": length,
                "tag": box[:16].hex(),
                "ciphertext_sha256": hashlib.sha256(box[16:]).hexdigest(),
            }
        )
    return {
        "plaintext": "byte i is (i * i + 7 * i) / 8 mod 256",
        "made_by": f"PyNaCl {nacl.__version__} (libsodium), tests/python/known_answers.py secretbox",
        "cases": cases,
    }


if __name__ == "__main__":
    json.dump({"secretbox": secretbox}[sys.argv[1]](), sys.stdout, indent=1)
    print()
