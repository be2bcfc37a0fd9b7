# SPDX-License-Identifier: Apache-2.0
"""What a model refers to and msp-host does not hold: an extension's manifest and package on a web server of their own,
a certificate with its key in the operator's folder, an ssh key and user data of the machine's owner."""
import base64
import hashlib
import io
import json
import os
import subprocess
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from .lab import HOST_ADDRESS, Lab
from .world import enter_netns, poll

NAME, VERSION = "Example.Hello", "1.0.0"
PORT = 8099
STORE = f"http://{HOST_ADDRESS}:{PORT}"
CERTIFICATE = "web"
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGRlbW9rZXlkZW1va2V5ZGVtb2tleWRlbW9rZXlkZW0w owner@example"
TOLD = "/var/lib/told-by-user-data"
USER_DATA = f"#cloud-config\nwrite_files:\n- path: {TOLD}\n  content: from the model\n"
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
# In the form of an exported model; "openmsp" says where the manifest is, which no export has.
EXTENSION = {"type": "Microsoft.Compute/virtualMachines/extensions", "name": "hello", "properties": {
    "publisher": "Example", "type": "Hello", "typeHandlerVersion": VERSION, "settings": {"greeting": "<hello> & \"goodbye\""}},
    "openmsp": {"manifest": f"{STORE}/m.xml"}}


def package() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in PACKAGE.items():
            archive.writestr(name, text)
    return data.getvalue()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files = {"/m.xml": MANIFEST.encode(), "/x.zip": package()}

    def do_GET(self) -> None:
        body = self.files.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_) -> None:
        """Nobody reads it."""


def serve_extension(lab: Lab) -> None:
    """In the host's namespace, as any web server there would."""
    servers: list[ThreadingHTTPServer] = []

    def run() -> None:
        enter_netns(lab.host_netns)
        servers.append(ThreadingHTTPServer((HOST_ADDRESS, PORT), _Handler))
        servers[0].serve_forever()
    Thread(target=run, daemon=True).start()
    server = poll("the extension's web server", lambda: servers and servers[0], 5)
    lab.world.on_close(server.shutdown)


def make_certificate(folder: Path) -> str:
    """A key and a certificate for the machine's owner; returns its thumbprint."""
    folder.mkdir(mode=0o700)
    key, certificate = folder / "key", folder / "crt"
    subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2", "-subj", "/CN=web", "-keyout", key,
                    "-out", certificate], check=True, capture_output=True)
    both = folder / f"{CERTIFICATE}.pem"
    both.write_text(certificate.read_text() + key.read_text())
    both.chmod(0o600)
    der = subprocess.run(["openssl", "x509", "-in", certificate, "-outform", "DER"], check=True, capture_output=True).stdout
    os.unlink(key)
    os.unlink(certificate)
    return hashlib.sha1(der).hexdigest().upper()


def owners_part() -> dict:
    """Members of the model's properties."""
    return {"userData": base64.b64encode(USER_DATA.encode()).decode(), "osProfile": {
        "adminUsername": "azureuser", "computerName": "vm01",
        "linuxConfiguration": {"disablePasswordAuthentication": True, "ssh": {"publicKeys": [
            {"path": "/home/azureuser/.ssh/authorized_keys", "keyData": SSH_KEY}]}},
        "secrets": [{"vaultCertificates": [{"certificateUrl": f"https://vault.example/secrets/{CERTIFICATE}/0123"}]}]}}
