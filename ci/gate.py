"""Ask an Assay server what a policy decides about a pack; the exit code is the gate's. The standard library alone.

Exit codes are those of `assay gate`: 0 meets, 1 does not meet, 3 not decided, 4 integrity or authenticity failed; 2 where no decision
was obtained. No failure of any kind exits with 0.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import secrets
import ssl
import sys
import urllib.parse
from pathlib import Path

NO_DECISION = 2
DECISIONS = (0, 1, 3, 4)
MAX_REPLY_BYTES = 16 << 20
LOCAL = ("127.0.0.1", "localhost", "::1")
TOKEN = "ASSAY_TOKEN"


class NoDecision(Exception):
    """Why there is none."""


def main(arguments: list[str] | None = None) -> int:
    """Send the files, write the whole answer if asked, and return the exit code of the gate."""
    parser = argparse.ArgumentParser(description="Ask an Assay server what a policy decides about a pack.")
    parser.add_argument("pack", type=Path)
    parser.add_argument("--server", required=True, help="such as https://assay.example; http only on this machine")
    parser.add_argument("--policy", type=Path, required=True, help="your policy in TOML")
    parser.add_argument("--trust", type=Path, help="trusted keys in TOML; without it, those of the server")
    parser.add_argument("--out", type=Path, help="where to write the answer as JSON")
    options = parser.parse_args(arguments)
    try:
        token = os.environ.get(TOKEN, "").strip()
        if not token or not token.isascii() or not token.isprintable():
            raise NoDecision(f"No token in the variable {TOKEN}. Make one on the server: assay api token create.")
        files = {"pack": options.pack, "policy": options.policy} | ({"trust": options.trust} if options.trust else {})
        reply = ask(options.server, token, {name: path.read_bytes() for name, path in files.items()})
        if options.out is not None:
            options.out.write_text(json.dumps(reply, indent=1) + "\n", encoding="utf-8")
    except (NoDecision, OSError, ValueError, http.client.HTTPException) as error:
        sys.stderr.write(f"No decision: {ascii(str(error))[1:-1]}\n")
        return NO_DECISION
    for row in reply["gate"]["criteria"]:
        sys.stdout.write(ascii(f"{row['result']:<16} {row['claim_id'] or 'pack':<10} {row['id']}")[1:-1] + "\n")
    sys.stdout.write(
        ascii(f"{reply['overall']}; trusted keys: {reply['trust']}; exit {reply['exit_code']}")[1:-1] + "\n"
    )
    return int(reply["exit_code"])


def ask(server: str, token: str, files: dict[str, bytes]) -> dict:
    """The server's answer; redirects are not followed, so that the token goes nowhere else."""
    address = urllib.parse.urlsplit(server)
    if address.scheme not in ("http", "https") or not address.hostname or address.username:
        raise NoDecision("The server is no address such as https://assay.example.")
    if address.scheme == "http" and address.hostname not in LOCAL:
        raise NoDecision("Without TLS the token could be read on the way: use https.")
    boundary = secrets.token_hex(16)
    body = (
        b"".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
            f"Content-Type: application/octet-stream\r\n\r\n".encode()
            + data
            + b"\r\n"
            for name, data in files.items()
        )
        + f"--{boundary}--\r\n".encode()
    )
    if address.scheme == "https":
        connection = http.client.HTTPSConnection(
            address.hostname, address.port, timeout=300, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=300)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": f"multipart/form-data; boundary={boundary}"}
    try:
        connection.request("POST", f"{address.path.rstrip('/')}/api/v1/gate", body, headers)
        response = connection.getresponse()
        raw = response.read(MAX_REPLY_BYTES + 1)
    finally:
        connection.close()
    if len(raw) > MAX_REPLY_BYTES:
        raise NoDecision("The answer is too large.")
    found = json.loads(raw)
    if response.status != 200:
        fault = found.get("error", {}) if isinstance(found, dict) else {}
        raise NoDecision(
            f"HTTP {response.status}. {fault.get('found', '')} Wanted: {fault.get('wanted', '')} What to do: {fault.get('remedy', '')}"
        )
    # A bool is an int in Python, and False would be 0.
    if not isinstance(found, dict) or type(found.get("exit_code")) is not int or found["exit_code"] not in DECISIONS:
        raise NoDecision("The answer names no decision.")
    if found["exit_code"] != found["gate"]["exit_code"]:
        raise NoDecision("The answer contradicts itself.")
    return found


if __name__ == "__main__":
    sys.exit(main())
