"""The seed document's ECDH server and client, written from its description, with the AES-256-GCM records of FORMAT §8.

  seed_peer.py server [--speak-first] [--connections N]   prints its port, echoes a receipt for each message
  seed_peer.py client PORT [--split] [--no-line-feed] [MESSAGE ...]
  seed_peer.py handshakes [--clients N]
"""

import ctypes
import json
import os
import signal
import socket
import sys
import time

import cryptography
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HOST = "127.0.0.1"
CLIENT_TO_SERVER, SERVER_TO_CLIENT = 0, 1
END = b"-----END PUBLIC KEY-----"


def make_pair():
    private_key = ec.generate_private_key(ec.SECP256R1())
    pem = private_key.public_key().public_bytes(
        encoding=serialization.Encoding.PEM,
        format=serialization.PublicFormat.SubjectPublicKeyInfo,
    )
    return private_key, pem


def derive_key(private_key, peer_pem):
    shared_secret = private_key.exchange(ec.ECDH(), serialization.load_pem_public_key(peer_pem))
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=None).derive(shared_secret)


def receive_pem(connection):
    """The seed's one `recv`, and what came with it: when the server speaks first, records may follow the PEM at once."""
    data = connection.recv(1024)
    end = data.index(END) + len(END)
    return data[:end], data[end:]


class Records:
    """Messages over a socket; `mine` is the direction this end sends in."""

    def __init__(self, connection, key, mine, arrived=b""):
        self.connection, self.aead, self.mine, self.arrived = connection, AESGCM(key), mine, arrived
        self.sent = self.received = 0

    def seal(self, message):
        nonce = bytes([self.mine, 0, 0, 0]) + self.sent.to_bytes(8, "big")
        self.sent += 1
        record = nonce + self.aead.encrypt(nonce, message, None)
        return len(record).to_bytes(4, "big") + record

    def send(self, message):
        self.connection.sendall(self.seal(message))

    def exactly(self, length):
        data, self.arrived = self.arrived[:length], self.arrived[length:]
        while len(data) < length:
            more = self.connection.recv(length - len(data))
            if not more:
                raise EOFError("the connection ended without a close")
            data += more
        return data

    def receive(self):
        """One message; empty is the close."""
        first = self.exactly(1)
        if first == b"\n":  # the line feed after the PEM, where it came in a read of its own
            first = self.exactly(1)
        record = self.exactly(int.from_bytes(first + self.exactly(3), "big"))
        nonce = bytes([1 - self.mine, 0, 0, 0]) + self.received.to_bytes(8, "big")
        self.received += 1
        if record[:12] != nonce:
            raise ValueError("nonce out of order")
        return self.aead.decrypt(nonce, record[12:], None)


def server(arguments):
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((HOST, 0))
    listener.listen(16)
    print(listener.getsockname()[1], flush=True)
    connections = int(arguments[arguments.index("--connections") + 1]) if "--connections" in arguments else 1
    for _ in range(connections):
        connection, _ = listener.accept()
        private_key, pem = make_pair()
        if "--speak-first" in arguments:  # as the seed's first listing does
            connection.sendall(pem)
            client_pem, arrived = receive_pem(connection)
        else:
            client_pem, arrived = receive_pem(connection)
            connection.sendall(pem)
        records = Records(connection, derive_key(private_key, client_pem), SERVER_TO_CLIENT, arrived)
        while message := records.receive():
            if message.startswith(b"bad"):
                receipt = {"status": "refused", "reason": "the server does not like it"}
            else:
                receipt = {"status": "accepted"}
            print(len(message), flush=True)
            records.send(json.dumps(receipt).encode())
        records.send(b"")
        connection.close()
    print("closed in order", flush=True)


def client(arguments):
    port, options = int(arguments[0]), [word for word in arguments[1:] if word.startswith("--")]
    messages = [word.encode() for word in arguments[1:] if not word.startswith("--")]
    connection = socket.create_connection((HOST, port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    private_key, pem = make_pair()
    if "--no-line-feed" in options:
        pem = pem.rstrip(b"\n")
    if "--split" in options:
        for at in range(0, len(pem), 7):
            connection.sendall(pem[at : at + 7])
    else:
        connection.sendall(pem)
    server_pem, arrived = receive_pem(connection)
    records = Records(connection, derive_key(private_key, server_pem), CLIENT_TO_SERVER, arrived)
    connection.sendall(b"".join(records.seal(message) for message in messages))  # all in one write
    for _ in messages:
        print(records.receive().decode(), flush=True)
    records.send(b"")
    assert records.receive() == b"", "the server closes, too"
    assert connection.recv(1) == b"", "and then the stream ends"
    print("closed in order", flush=True)


def serve_handshakes(listener):
    while True:
        connection, _ = listener.accept()
        private_key, pem = make_pair()
        client_pem = connection.recv(1024)
        connection.sendall(pem)
        derive_key(private_key, client_pem)
        connection.close()


def connect_and_shake_hands(address, times):
    for _ in range(times):
        connection = socket.create_connection(address)
        private_key, pem = make_pair()
        connection.sendall(pem)
        derive_key(private_key, connection.recv(1024))
        connection.close()


def start(work):
    """A process of its own, which ends with this one, however that ends."""
    process = os.fork()
    if process == 0:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        work()
        os._exit(0)
    return process


def handshakes(arguments):
    """Says what it is, then answers each number of handshakes with the nanoseconds they took. The server is a process, each
    client is another."""
    clients = int(arguments[arguments.index("--clients") + 1]) if "--clients" in arguments else 1
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((HOST, 0))
    listener.listen(64)
    address = listener.getsockname()
    processes, pipes = [start(lambda: serve_handshakes(listener))], []

    def client(times, done):
        while number := os.read(times, 8):
            connect_and_shake_hands(address, int.from_bytes(number, "big"))
            os.write(done, b".")

    for _ in range(clients - 1):
        times, done = os.pipe(), os.pipe()
        processes.append(start(lambda: client(times[0], done[1])))
        pipes.append((times[1], done[0]))
    print(f"seed's Python, cryptography {cryptography.__version__}", flush=True)
    for line in sys.stdin:
        mine, each = int(line) - (clients - 1) * (int(line) // clients), int(line) // clients
        began = time.perf_counter_ns()
        for times, _ in pipes:
            os.write(times, each.to_bytes(8, "big"))
        connect_and_shake_hands(address, mine)
        for _, done in pipes:
            os.read(done, 1)
        print(time.perf_counter_ns() - began, flush=True)
    for process in processes:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


VERBS = {
    "server": server,
    "client": client,
    "handshakes": handshakes,
}

if __name__ == "__main__":
    try:
        VERBS[sys.argv[1]](sys.argv[2:])
    except (EOFError, ValueError, InvalidTag, ConnectionError) as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        os._exit(1)
