"""export/kserve_model.py as a process on loopback, and export/client.py as a module."""

import contextlib
import importlib.util
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from tests.small_run import ROOT


def load_client():
    spec = importlib.util.spec_from_file_location("foc_client", ROOT / "export" / "client.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


client = load_client()


def post(url, body):
    """(HTTP status, parsed or plain reply) of a body, JSON-encoded unless it is bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def serving(folder, log):
    """Yields (address, process) when the server says that the model is ready."""
    port = free_port()
    command = [
        *(sys.executable, ROOT / "export" / "kserve_model.py"),
        *(f"--model_folder={folder}", f"--http_port={port}"),
    ]
    address = f"http://127.0.0.1:{port}"
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        _wait(f"{address}/v1/models/{folder.name}", process, log)
        yield address, process
    finally:
        process.terminate()
        process.wait(60)


def _wait(url, process, log):
    deadline = time.monotonic() + 240
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as reply:
            if json.load(reply)["ready"]:
                return
        time.sleep(0.2)
