"""Writes RSA keys that are unusual, or that satisfy some of the equations of RFC 8017 section 3.2 and not others.

    python unusual_rsa_keys.py > vectors/derived/rsa-unusual-keys.json

Deterministic: the primes are the next ones after SHAKE-256 of a name.
"""

import hashlib
import json
import math
import sys

from Crypto.Math.Primality import test_probable_prime
from Crypto.Math.Numbers import Integer


def prime(name, bits, fits=lambda p: True):
    """The first prime of `bits` bits, its two highest ones set, at or after a hash of `name`, that `fits`."""
    start = int.from_bytes(hashlib.shake_256(name.encode()).digest((bits + 7) // 8), "big")
    candidate = start % (1 << bits) | 3 << (bits - 2) | 1
    while not (fits(candidate) and test_probable_prime(Integer(candidate)) == 1):
        candidate += 2
    assert candidate.bit_length() == bits
    return candidate


def key(p, q, e, d=None, **changed):
    numbers = {
        "n": p * q,
        "e": e,
        "d": d or pow(e, -1, math.lcm(p - 1, q - 1)),
        "p": p,
        "q": q,
        "dp": pow(e, -1, p - 1),
        "dq": pow(e, -1, q - 1),
        "qinv": pow(q, -1, p) if p != q else 1,
    }
    numbers.update(changed)
    return numbers


def keys():
    coprime = lambda e: lambda p: math.gcd(e, p - 1) == 1
    p, q = prime("p", 1024), prime("q", 1024)
    if p < q:
        p, q = q, p
    order, e = math.lcm(p - 1, q - 1), 65537
    good = key(p, q, e)

    yield "plain", "loads", good
    yield "p below q", "loads", key(q, p, e)
    yield "d modulo (p-1)(q-1)", "loads", key(p, q, e, pow(e, -1, (p - 1) * (q - 1)))
    if good["d"] + order < good["n"]:
        yield "d plus the order of the group, below n", "loads", key(p, q, e, good["d"] + order)
    yield "d not below n", "inconsistent", key(p, q, e, good["d"] + order * (good["n"] // order + 1))
    for small in (3, 5, 17, 0x1FFFFFFF3, 0x1FFFFFFFF):
        a, b = (prime(f"e {small} {name}", 1024, coprime(small)) for name in "pq")
        yield f"e = {small}", "loads", key(max(a, b), min(a, b), small)
    for bits in (2056, 2064, 2176, 3080):
        a, b = (prime(f"{bits} {name}", bits // 2) for name in "pq")
        yield f"{bits} bits", "loads", key(max(a, b), min(a, b), e)
    a, b = prime("long", 1100), prime("short", 948)
    yield "primes of 1100 and 948 bits", "inconsistent", key(a, b, e)
    yield "the same prime twice", "inconsistent", key(p, p, e)
    yield "p and q exchanged, the rest not", "inconsistent", dict(good, p=q, q=p)
    yield "dP and dQ exchanged", "inconsistent", dict(good, dp=good["dq"], dq=good["dp"])
    yield "dP plus p - 1", "inconsistent", dict(good, dp=good["dp"] + p - 1)
    yield "dQ plus q - 1", "inconsistent", dict(good, dq=good["dq"] + q - 1)
    yield "qInv plus p", "inconsistent", dict(good, qinv=good["qinv"] + p)
    yield "qInv of the other prime", "inconsistent", dict(good, qinv=pow(p, -1, q))
    yield "d of another exponent", "inconsistent", dict(good, d=pow(65539, -1, order))
    yield "e of another d", "inconsistent", dict(good, e=65539)
    yield "n of other primes", "inconsistent", dict(good, n=p * prime("other", 1024))
    yield "p = 1, q = n", "inconsistent", dict(good, p=1, q=good["n"])
    yield "p = n, q = 1", "inconsistent", dict(good, p=good["n"], q=1)
    for name in ("n", "d", "p", "q", "dp", "dq", "qinv"):
        for step in (2, -2, 1 << 500, -(1 << 500)):
            yield f"{name} {'+' if step > 0 else '-'} {'2' if abs(step) == 2 else '2^500'}", "inconsistent", dict(good, **{name: good[name] + step})
        if name != "n":
            yield f"{name} = 1", "inconsistent", dict(good, **{name: 1})
            yield f"{name} cut by a byte", "inconsistent", dict(good, **{name: good[name] >> 8})


def main():
    listed = [
        {"name": name, "expects": expects, **{number: f"{value:x}" for number, value in numbers.items()}}
        for name, expects, numbers in keys()
    ]
    listed = [{k: v if k in ("name", "expects") or len(v) % 2 == 0 else "0" + v for k, v in entry.items()} for entry in listed]
    about = "RSA keys that are unusual, or that satisfy some of the equations of RFC 8017 section 3.2 and not others"
    made_by = "tests/python/unusual_rsa_keys.py"
    head = json.dumps({"about": about, "made_by": made_by})[:-1]
    sys.stdout.write(head + ',\n "cases": [\n' + ",\n".join("  " + json.dumps(entry) for entry in listed) + "\n]}\n")


main()
