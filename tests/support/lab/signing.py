# SPDX-License-Identifier: Apache-2.0
"""The string to sign, built from the bytes on the wire by an implementation of its own (protocol sections D.1 to D.3).

Strict: what is not a well-formed request raises Malformed. Used to say beforehand which alterations change what is signed.
"""
import re

AUTHORIZATION = b"x-ms-azure-host-authorization"
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_VALUE = re.compile(rb"[\t\x20-\x7e]*\Z")
_TARGET = re.compile(rb"/[\x21\x22\x24-\x3b\x3d\x40-\x5f\x61-\x7e]*(\?[\x21\x24-\x3b\x3d\x3f-\x7e]*)?\Z")


class Malformed(ValueError):
    pass


def parse(data: bytes) -> tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]:
    """Method, target, headers in wire order (names in lower case, values trimmed), body."""
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        raise Malformed("no end of head")
    line, *fields = head.split(b"\r\n")
    parts = line.split(b" ")
    if len(parts) != 3 or not _TOKEN.match(parts[0]) or not _TARGET.match(parts[1]) \
            or parts[2] not in (b"HTTP/1.0", b"HTTP/1.1"):
        raise Malformed("request line")
    headers = []
    for text in fields:
        name, colon, value = text.partition(b":")
        if not colon or not _TOKEN.match(name) or not _VALUE.match(value):
            raise Malformed(f"header {text!r}")
        headers.append((name.lower(), value.strip(b" \t")))
    lengths = [value for name, value in headers if name == b"content-length"]
    if len(lengths) > 1 or any(name == b"transfer-encoding" for name, _ in headers):
        raise Malformed("framing")
    if not re.fullmatch(rb"\d+", lengths[0] if lengths else b"0") or int(lengths[0] if lengths else 0) != len(body):
        raise Malformed("length")
    return parts[0], parts[1], headers, body


def canonical_query(query: bytes) -> bytes:
    pairs = {}
    for part in query.split(b"&"):
        key, _, value = part.partition(b"=")
        if key:
            key = key.lower()
            pairs[key + value] = key + (b"=" + value if value else b"")
    return b"&".join(pairs[sort_key] for sort_key in sorted(pairs))


def string_to_sign(data: bytes) -> bytes:
    method, target, headers, body = parse(data)
    path, _, query = target.partition(b"?")
    lines = {name: name + b":" + value + b"\n" for name, value in headers if name != AUTHORIZATION}
    return method + b"\n" + body + b"\n" + b"".join(lines[name] for name in sorted(lines)) + path + b"\n" + canonical_query(query)


def authorization(data: bytes) -> list[bytes]:
    return [value for name, value in parse(data)[2] if name == AUTHORIZATION]


def same_to_the_host(original: bytes, altered: bytes) -> bool:
    """Whether a host that follows the protocol must treat both alike."""
    try:
        return string_to_sign(original) == string_to_sign(altered) and authorization(original) == authorization(altered)
    except Malformed:
        return False
