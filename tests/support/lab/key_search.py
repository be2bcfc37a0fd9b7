# SPDX-License-Identifier: Apache-2.0
"""Finds a key in bytes, however it is written: raw, hex of either case, base64 and base64url at every alignment; the key
document's hex text in base64, too. A half of the key is enough, so that a text that was cut is found.
"""
import base64
from pathlib import Path
from typing import NamedTuple


class Needle(NamedTuple):
    what: str
    data: bytes
    any_case: bool = False


def aligned_base64(data: bytes, before: int) -> bytes:
    """What is certain to stand in the base64 of anything with `data` in it after 3n + `before` other bytes."""
    text = base64.b64encode(bytes(before) + data)
    first = (before * 8 + 5) // 6
    last = (before + len(data)) * 8 // 6
    return text[first:last]


def needles(key: bytes) -> list[Needle]:
    found = []
    for name, half in (("first half", key[:16]), ("second half", key[16:])):
        found += [Needle(f"{name}, raw", half), Needle(f"{name}, hex", half.hex().encode(), True),
                  Needle(f"{name}, raw backwards", half[::-1]),
                  Needle(f"{name}, bytes of a dump", " ".join(f"{byte:02x}" for byte in half).encode(), True),
                  Needle(f"{name}, JSON list", ",".join(str(byte) for byte in half).encode())]
        for inner, text in (("key", half), ("hex", half.hex().encode()), ("HEX", half.hex().upper().encode())):
            for before in range(3):
                plain = aligned_base64(text, before)
                found.append(Needle(f"{name}, base64 of {inner} at {before}", plain))
                url = plain.translate(bytes.maketrans(b"+/", b"-_"))
                if url != plain:
                    found.append(Needle(f"{name}, base64url of {inner} at {before}", url))
    return found


def search(data: bytes, key: bytes) -> list[str]:
    lower = data.lower()
    return [needle.what for needle in needles(key) if needle.data in (lower if needle.any_case else data)]


def forms(key: bytes) -> list[bytes]:
    """The key as a leak could write it, for the control."""
    text = key.hex()
    documents = [b"x" * before + inner for before in range(3) for inner in (key, text.encode(), text.upper().encode())]
    return [key, key[::-1], text.encode(), text.upper().encode(), " ".join(f"{byte:02X}" for byte in key).encode(),
            str(list(key)).replace(" ", "").encode(), key[:16], text[:40].encode(),
            *map(base64.b64encode, documents), *map(base64.urlsafe_b64encode, documents)]


def search_files(top: Path, keys: dict[str, bytes], spared=lambda path, name: False) -> tuple[int, int, list[str]]:
    """Files, bytes, and what was found: which key where in which form. `spared(path, name)`: that key may be there."""
    files, size, found, device = 0, 0, [], top.stat().st_dev
    for path in sorted(top.rglob("*")):
        if path.is_symlink() or path.lstat().st_dev != device or not path.is_file():
            continue  # pins of BPF objects have no bytes
        data = path.read_bytes()
        files, size = files + 1, size + len(data)
        for name, key in keys.items():
            if not spared(path, name):
                found += [f"{name} in {path.relative_to(top)}: {what}" for what in search(data, key)]
    return files, size, found
