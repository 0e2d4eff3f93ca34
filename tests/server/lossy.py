"""A way to a server on which answers get lost: the request arrives, its answer does not."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lossy(port: int, *, lose_every: int) -> Iterator[str]:
    """The address of a proxy that hangs up instead of answering every so manieth request."""
    listener = socket.create_server(("127.0.0.1", 0))
    lost = threading.Lock()
    count = [0]

    def serve(client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            server.sendall(_request(client, port, listener.getsockname()[1]))
            answer = b""
            while received := server.recv(65536):
                answer += received
            with lost:
                count[0] += 1
                is_lost = count[0] % lose_every == 0
            if not is_lost:
                client.sendall(answer)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def _request(client: socket.socket, port: int, own_port: int) -> bytes:
    """One whole request, for the server's own name; afterwards it hangs up."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    length = int(lengths[0].split(b":")[1]) if lengths else 0
    while len(body) < length:
        body += client.recv(65536)
    head = head.replace(b"127.0.0.1:%d" % own_port, b"127.0.0.1:%d" % port)
    return head + b"\r\n\r\n" + body
