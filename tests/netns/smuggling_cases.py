# SPDX-License-Identifier: Apache-2.0
"""Inputs that two parsers could read differently, each with the same thing said properly.

A case is (name, wrong bytes, right bytes, statuses that refuse it). @ stands for a word that is unique to the input: it
must not be seen at the origin for the wrong one and must be for the right one. Behind each input comes one more
request, /behind-@, which a confused reader would serve.
"""
HOST = "Host: 169.254.169.254"
META = "Metadata: true"
BAD = (400,)


def message(line: str, *fields: str, body: str = "", end: str = "\r\n") -> bytes:
    return (end.join((line, *fields)) + end + end + body).encode("latin-1")


def get(*fields: str, line: str = "GET /m-@ HTTP/1.1", body: str = "", end: str = "\r\n") -> bytes:
    return message(line, HOST, META, *fields, body=body, end=end)


def post(*fields: str, body: str = "hello", line: str = "POST /m-@ HTTP/1.1") -> bytes:
    return message(line, HOST, META, *fields, body=body)


def chunked(body: str, *fields: str) -> bytes:
    return post("Transfer-Encoding: chunked", *fields, body=body)


PLAIN_GET = get()
PLAIN_POST = post("Content-Length: 5")
PLAIN_CHUNKED = chunked("5\r\nhello\r\n0\r\n\r\n")


def length(value: str, name: str = "") -> tuple:
    return (name or f"content-length {value!r}", post(f"Content-Length: {value}"), PLAIN_POST, BAD)


def encoding(value: str) -> tuple:
    return (f"transfer-encoding {value!r}", post(f"Transfer-Encoding: {value}", body="5\r\nhello\r\n0\r\n\r\n"),
            PLAIN_CHUNKED, BAD)


def chunk(name: str, body: str, right: bytes = PLAIN_CHUNKED) -> tuple:
    return (f"chunk: {name}", chunked(body), right, BAD)


def field(name: str, text: str, right: str | None = None) -> tuple:
    return (name, get(text), get(right) if right else PLAIN_GET, BAD)


def host(name: str, *lines: str, line: str = "GET /m-@ HTTP/1.1", statuses: tuple = BAD) -> tuple:
    return (name, message(line, *lines, META), PLAIN_GET, statuses)


def line(name: str, text: str, right: bytes = PLAIN_GET, statuses: tuple = BAD) -> tuple:
    return (name, get(line=text), right, statuses)


CASES = [
    # Both lengths, doubled, signed, overflowing
    ("both lengths, content-length first", post("Content-Length: 5", "Transfer-Encoding: chunked",
                                                body="0\r\n\r\n"), PLAIN_POST, BAD),
    ("both lengths, transfer-encoding first", post("Transfer-Encoding: chunked", "Content-Length: 15",
                                                   body="5\r\nhello\r\n0\r\n\r\n"), PLAIN_CHUNKED, BAD),
    ("two different content-lengths", post("Content-Length: 5", "Content-Length: 0"), PLAIN_POST, BAD),
    ("two equal content-lengths", post("Content-Length: 5", "Content-Length: 5"), PLAIN_POST, BAD),
    ("content_length beside content-length", post("Content-Length: 5", "Content_Length: 0"),
     post("Content-Length: 5", "X_Content_Length: 0"), BAD),
    ("transfer_encoding beside content-length", post("Content-Length: 5", "Transfer_Encoding: chunked"),
     post("Content-Length: 5", "X_Transfer_Encoding: chunked"), BAD),
    length("5, 5"), length("+5"), length("-5"), length("0x5"), length("5 5"), length("5;"), length("5.0"), length(""),
    length("18446744073709551621", "content-length of 2^64 + 5"),
    length("4294967301x", "content-length with a letter behind"),
    length("0" * 40 + "5x", "content-length of many zeros and a letter"),
    encoding("chunked, chunked"), encoding("xchunked"), encoding("identity"), encoding("gzip, chunked"),
    encoding("chunked;q=1"), encoding("\x0bchunked"), encoding("\"chunked\""), encoding(""),
    ("two transfer-encodings", post("Transfer-Encoding: chunked", "Transfer-Encoding: identity",
                                    body="5\r\nhello\r\n0\r\n\r\n"), PLAIN_CHUNKED, BAD),
    ("chunked in HTTP/1.0", post("Transfer-Encoding: chunked", body="5\r\nhello\r\n0\r\n\r\n",
                                 line="POST /m-@ HTTP/1.0"), PLAIN_CHUNKED, BAD),
    ("transfer-encoding on a folded line", post("Transfer-Encoding:\r\n chunked", body="5\r\nhello\r\n0\r\n\r\n"),
     PLAIN_CHUNKED, BAD),
    ("transfer-encoding with a blank before the colon",
     post("Transfer-Encoding : chunked", body="5\r\nhello\r\n0\r\n\r\n"), PLAIN_CHUNKED, BAD),
    ("content-length behind a bare LF", post("X-A: b\nContent-Length: 5"), PLAIN_POST, BAD),
    # Lines
    ("bare LF everywhere", get(end="\n"), PLAIN_GET, BAD),
    ("bare LF behind the request line", b"GET /m-@ HTTP/1.1\n" + PLAIN_GET.split(b"\r\n", 1)[1], PLAIN_GET, BAD),
    ("bare LF at the end of the head", PLAIN_GET[:-2] + b"\n", PLAIN_GET, BAD),
    ("bare CR in a value", get("X-A: b\rX-B: c"), get("X-A: b"), BAD),
    ("two blank lines before the request line", b"\r\n\r\n" + PLAIN_GET, b"\r\n" + PLAIN_GET, BAD),
    field("folded header", "X-A: b\r\n c", "X-A: b c"),
    field("folded header with a tab", "X-A: b\r\n\tc", "X-A: b\tc"),
    ("blank before the first header", message("GET /m-@ HTTP/1.1", " " + HOST, META), PLAIN_GET, BAD),
    field("blank before the colon", "X-A : b", "X-A: b"),
    field("tab before the colon", "X-A\t: b", "X-A: b"),
    field("NUL in a value", "X-A: b\x00c", "X-A: bc"),
    field("NUL in a name", "X\x00A: b", "X-A: b"),
    field("control character in a value", "X-A: b\x01c", "X-A: bc"),
    field("byte above 0x7e in a value", "X-A: caf\xe9", "X-A: cafe"),
    field("header without a colon", "X-A", "X-A:"),
    field("header without a name", ": b", "X-A: b"),
    field("parenthesis in a name", "X(A): b", "X-A: b"),
    # Host
    host("no Host"),
    host("two equal Hosts", HOST, HOST),
    host("two Hosts", HOST, "Host: example.com"),
    host("foreign Host", "Host: example.com"),
    host("Host of the other service", "Host: 168.63.129.16"),
    host("Host with another port", "Host: 169.254.169.254:8080"),
    host("Host with user information", "Host: a@169.254.169.254"),
    host("empty Host", "Host:"),
    host("absolute-form against another authority", HOST, line="GET http://example.com/m-@ HTTP/1.1"),
    host("absolute-form that fits, Host that does not", "Host: example.com",
         line="GET http://169.254.169.254/m-@ HTTP/1.1"),
    host("absolute-form with user information", HOST, line="GET http://a@169.254.169.254/m-@ HTTP/1.1"),
    host("absolute-form with https", HOST, line="GET https://169.254.169.254/m-@ HTTP/1.1"),
    # Request line
    line("authority-form", "GET 169.254.169.254:80 HTTP/1.1"),
    line("CONNECT", "CONNECT 169.254.169.254:80 HTTP/1.1", statuses=(405,)),
    line("asterisk with GET", "GET * HTTP/1.1"),
    line("TRACE", "TRACE /m-@ HTTP/1.1", statuses=(405,)),
    line("lower-case method", "get /m-@ HTTP/1.1", statuses=(405,)),
    line("two blanks", "GET  /m-@ HTTP/1.1"),
    line("tab as separator", "GET\t/m-@ HTTP/1.1"),
    line("no version", "GET /m-@"),
    line("version HTTP/1.10", "GET /m-@ HTTP/1.10", statuses=(400, 505)),
    line("version HTTP/2.0", "GET /m-@ HTTP/2.0", statuses=(505,)),
    line("lower-case version", "GET /m-@ http/1.1"),
    line("something behind the version", "GET /m-@ HTTP/1.1 x"),
    line("control character in the target", "GET /m-@\x01 HTTP/1.1"),
    line("byte above 0x7e in the target", "GET /m-@\xe9 HTTP/1.1"),
    line("no slash", "GET m-@ HTTP/1.1"),
    line("dot-dot segment", "GET /a/../m-@ HTTP/1.1", statuses=(403,)),
    line("dot-dot segment in escapes", "GET /a/%2e%2E/m-@ HTTP/1.1", statuses=(403,)),
    line("doubled slash", "GET //m-@ HTTP/1.1", statuses=(403,)),
    line("doubled slash in escapes", "GET /a%2F/m-@ HTTP/1.1", statuses=(403,)),
    line("NUL in escapes", "GET /m-@%00 HTTP/1.1"),
    line("half an escape", "GET /m-@%2 HTTP/1.1"),
    line("overlong UTF-8", "GET /m-@%C0%AF HTTP/1.1"),
    line("question mark in escapes", "GET /m-@%3Fa=b HTTP/1.1"),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", PLAIN_GET, (505,)),
    # Chunks
    chunk("extension", "5;a=b\r\nhello\r\n0\r\n\r\n"),
    chunk("extension without a name", "5;\r\nhello\r\n0\r\n\r\n"),
    chunk("line feed in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
    chunk("blank before the size", " 5\r\nhello\r\n0\r\n\r\n"),
    chunk("blank behind the size", "5 \r\nhello\r\n0\r\n\r\n"),
    chunk("0x", "0x5\r\nhello\r\n0\r\n\r\n"),
    chunk("sign", "+5\r\nhello\r\n0\r\n\r\n"),
    chunk("negative", "-5\r\nhello\r\n0\r\n\r\n"),
    chunk("size of 2^64 + 5", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
    chunk("no size", "\r\nhello\r\n0\r\n\r\n"),
    chunk("bare LF behind the size", "5\nhello\r\n0\r\n\r\n"),
    chunk("bare LF behind the data", "5\r\nhello\n0\r\n\r\n"),
    chunk("nothing behind the data", "5\r\nhello0\r\n\r\n"),
    chunk("longer than said", "4\r\nhello\r\n0\r\n\r\n"),
    # Headers that concern the hop
    field("connection names a signed header", "Connection: x-ms-azure-host-claims", "Connection: keep-alive"),
    field("connection names a length", "Connection: close, content-length", "Connection: keep-alive"),
    ("another expectation", get("Expect: 200-ok"), PLAIN_GET, (417,)),
    ("two content-types", post("Content-Type: text/plain", "Content-Type: text/html", "Content-Length: 5"),
     post("Content-Type: text/plain", "Content-Length: 5"), BAD),
    ("two Metadata headers", get(META), PLAIN_GET, BAD),
    ("two of an x-ms- header", get("x-ms-version: 1", "x-ms-version: 2"), get("x-ms-version: 1"), BAD),
    # Sizes
    ("request line of 70,000 bytes", get(line="GET /m-@?" + "a" * 70000 + " HTTP/1.1"), PLAIN_GET, (414,)),
    ("head of 70,000 bytes", get(*(f"X-{n}: " + "b" * 1000 for n in range(70))), PLAIN_GET, (431,)),
    ("body of more than the limit", post("Content-Length: 102401", body="x" * 102401),
     post("Content-Length: 102400", body="x" * 102400), (413,)),
]
