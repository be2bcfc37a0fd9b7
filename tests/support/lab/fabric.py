# SPDX-License-Identifier: Apache-2.0
"""What WireServer and HostGAPlugin tell waagent and cloud-init: the smallest documents with which both are content.

Test scaffolding, made after what the clients read; msp-host has no such content yet. One goal state, with
certificates and no remote users; with an extension, if asked for, whose files waagent has to fetch.
"""
import base64
import io
import json
import re
import subprocess
import tempfile
import textwrap
import threading
import zipfile
from pathlib import Path
from urllib.parse import parse_qs

from .origin import Request

CONTAINER = "3c3e1f0a-6a0e-4d4e-9d53-0a6f5d9d2b10"
DEPLOYMENT = "8f6d2c1e-1b7a-4f0d-9a53-77c5a4a0b001"
INSTANCE = f"{DEPLOYMENT}._vm01"
BASE = "http://168.63.129.16:80"
CERTIFICATE = b"x-ms-guest-agent-public-x509-cert"
XML = {"Content-Type": "text/xml; charset=utf-8"}
HOSTING = (f'<HostingEnvironmentConfig version="1.0.0.0" goalStateIncarnation="1"><Deployment name="{DEPLOYMENT}"/>'
           '<Incarnation number="1" instance="vm01"/><Role name="vm01"/></HostingEnvironmentConfig>')
STATUS_BLOB = "https://status.blob.invalid/vm01.status?sv=1"
NAME, VERSION = "Example.Hello", "1.0.0"
STORE = "https://store.invalid"  # no such name: waagent turns to HostGAPlugin
PLUGIN = (f'<Plugins><Plugin name="{NAME}" version="{VERSION}" location="{STORE}/m.xml" failoverlocation="{STORE}/m2.xml" '
          'state="enabled" isJson="true" useExactVersion="true"/></Plugins>'
          f'<PluginSettings><Plugin name="{NAME}" version="{VERSION}"><RuntimeSettings seqNo="0">'
          '{"runtimeSettings":[{"handlerSettings":{"publicSettings":{}}}]}</RuntimeSettings></Plugin></PluginSettings>')
EXTENSIONS = ('<Extensions version="1.0.0.0" goalStateIncarnation="1"><GuestAgentExtension><GAFamilies/>'
              '</GuestAgentExtension>{plugins}'
              f'<StatusUploadBlob statusBlobType="BlockBlob">{STATUS_BLOB}</StatusUploadBlob></Extensions>')
MANIFEST = (f"<PluginVersionManifest><Plugins><Plugin><Version>{VERSION}</Version><Uris><Uri>{STORE}/x.zip</Uri></Uris>"
            "</Plugin></Plugins><InternalPlugins/></PluginVersionManifest>")
# The extension asks for the instance's metadata, as many do, and says that it is content.
PACKAGE = {
    "HandlerManifest.json": json.dumps([{"version": 1.0, "handlerManifest": {
        **{f"{step}Command": "bin/nothing" for step in ("install", "uninstall", "update", "disable")},
        "enableCommand": "bin/enable", "rebootAfterInstall": False, "reportHeartbeat": False}}]),
    "bin/nothing": "#!/bin/sh\n",
    "bin/enable": """#!/bin/sh
/usr/bin/python3 bin/ask.py || exit 1
echo '[{"version":"1.0","timestampUTC":"2026-01-01T00:00:00Z","status":{"name":"hello","operation":"enable",
"status":"success","code":0,"formattedMessage":{"lang":"en-US","message":"ok"}}}]' >status/$ConfigSequenceNumber.status
""",
    "bin/ask.py": """import urllib.request
open('/proc/self/comm', 'w').write('extension')
url = 'http://169.254.169.254/metadata/instance?api-version=2018-02-01'
urllib.request.urlopen(urllib.request.Request(url, headers={'Metadata': 'true'}), timeout=10).read()
"""}
REMOTE_ACCESS = "<RemoteAccess><Version>1</Version><Incarnation>1</Incarnation><Users/></RemoteAccess>"


def openssl(*arguments: str, cwd: str, text: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=text, cwd=cwd, check=True, capture_output=True).stdout


def package() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in PACKAGE.items():
            archive.writestr(name, text)
    return data.getvalue()


class Fabric:
    """The incarnation may be raised: then the clients fetch everything again."""

    def __init__(self, extension: bool = False):
        self.incarnation = 1
        self._plugins = PLUGIN if extension else "<Plugins/><PluginSettings/>"
        self.health: list[tuple[str, str]] = []  # who reported which state
        self.statuses: list[dict] = []  # uploaded status documents
        self._lock = threading.Lock()
        with tempfile.TemporaryDirectory() as folder:
            openssl("req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2", "-subj", "/CN=tenant", "-keyout", "key",
                    "-out", "crt", cwd=folder)
            openssl("pkcs12", "-export", "-inkey", "key", "-in", "crt", "-passout", "pass:", "-out", "pfx", cwd=folder)
            self._pfx = (Path(folder) / "pfx").read_bytes()
            print_ = openssl("x509", "-in", "crt", "-noout", "-fingerprint", "-sha1", cwd=folder).decode()
        self.fingerprint = print_.split("=")[1].strip().replace(":", "")

    def content(self, service: str, request: Request) -> tuple[int, dict, bytes]:
        path, _, query = request.target.decode("latin-1").partition("?")
        comp = parse_qs(query).get("comp", [""])[0].lower()
        answer = self._hostga if service == "hostga" else self._wireserver
        return answer(request, path.rstrip("/") or "/", comp, query)

    def _wireserver(self, request: Request, path: str, comp: str, query: str) -> tuple[int, dict, bytes]:
        method = request.method
        if (method, path, comp) == (b"GET", "/machine", "goalstate"):
            return 200, XML, self._goal_state().encode()
        if method == b"GET" and path == f"/machine/{CONTAINER}/{INSTANCE}":
            if comp == "certificates" and CERTIFICATE not in request.headers:
                return 400, {}, b"for whom?"
            if comp == "certificates":
                return 200, XML, self._certificates(request)
            kind = parse_qs(query).get("type", [""])[0]
            documents = {"hostingEnvironmentConfig": HOSTING, "sharedConfig": "<SharedConfig/>",
                         "extensionsConfig": EXTENSIONS.replace("{plugins}", self._plugins)}
            if kind in documents:
                return 200, XML, documents[kind].encode()
        if method == b"GET" and comp == "remoteaccess":
            return 200, XML, REMOTE_ACCESS.encode()
        if method == b"POST" and path == "/machine" and comp == "health":
            state = re.search(rb"<State>(\w+)</State>", request.body)[1].decode()
            with self._lock:
                self.health.append((request.headers[b"user-agent"].decode().split("/")[0], state))
            return 200, {}, b""
        if method == b"POST" and path == "/machine" and comp == "roleproperties":
            return 202, {}, b""
        if method == b"POST" and (path == "/HealthService" or comp == "telemetrydata"):
            return 200, {}, b""
        return 404, {}, b"the test has no such document"

    def _hostga(self, request: Request, path: str, _comp: str, _query: str) -> tuple[int, dict, bytes]:
        if request.method == b"PUT" and path == "/status":
            upload = json.loads(request.body)
            with self._lock:
                self.statuses.append(json.loads(base64.b64decode(upload["content"])))
            return 200, {}, b""
        if request.method == b"GET" and path == "/extensionArtifact":
            asked = request.headers[b"x-ms-artifact-location"]
            return 200, {}, package() if asked.endswith(b".zip") else MANIFEST.encode()
        return 404, {}, b"not supported"  # for /vmSettings that is an answer

    def _goal_state(self) -> str:
        number = self.incarnation
        here = f"{BASE}/machine/{CONTAINER}/{INSTANCE}?comp="
        urls = {name: f"{here}config&amp;type={name[0].lower()}{name[1:]}&amp;incarnation={number}"
                for name in ("HostingEnvironmentConfig", "SharedConfig", "ExtensionsConfig")}
        urls["Certificates"] = f"{here}certificates&amp;incarnation={number}"
        places = "".join(f"<{name}>{url}</{name}>" for name, url in urls.items())
        return textwrap.dedent(f"""\
            <GoalState><Version>2012-11-30</Version><Incarnation>{number}</Incarnation>
            <Machine><ExpectedState>Started</ExpectedState><StopRolesDeadlineHint>300000</StopRolesDeadlineHint></Machine>
            <Container><ContainerId>{CONTAINER}</ContainerId>
            <RoleInstanceList><RoleInstance><InstanceId>{INSTANCE}</InstanceId><State>Started</State>
            <Configuration>{places}<ConfigName>{DEPLOYMENT}.0.{number}.{DEPLOYMENT}.1.xml</ConfigName></Configuration>
            </RoleInstance></RoleInstanceList>
            <RemoteAccessInfo>{BASE}/remoteAccessInfoUrl?comp=remoteAccess&amp;incarnation={number}</RemoteAccessInfo>
            </Container></GoalState>""")

    def _certificates(self, request: Request) -> bytes:
        """For the certificate that the client sends, and no other."""
        sent = request.headers[CERTIFICATE].decode()
        transport = "\n".join(["-----BEGIN CERTIFICATE-----", *textwrap.wrap(sent, 64), "-----END CERTIFICATE-----", ""])
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "transport.pem").write_text(transport)
            sealed = openssl("cms", "-encrypt", "-binary", "-outform", "DER", "-des3", "transport.pem", cwd=folder,
                             text=self._pfx)
        data = base64.encodebytes(sealed).decode()
        return (f"<CertificateFile><Version>2012-11-30</Version><Incarnation>{self.incarnation}</Incarnation>"
                f"<Format>Pkcs7BlobWithPfxContents</Format><Data>{data}</Data></CertificateFile>").encode()
