# SPDX-License-Identifier: Apache-2.0
"""Tokens of managed identities: @azure/identity in the guest gets one through the agent, jose verifies it by what the host
publishes. The allowlist names the application's user and its executable; nobody else gets a token."""
import json
import os
import shutil
import subprocess
from pathlib import Path

from base import LabCase
from lab import http
from lab.lab import HOST_ADDRESS, IMDS, ORDINARY_USER, stop
from lab.world import poll
from real_clients import change

TOP = Path(__file__).resolve().parents[2]
CLIENT = TOP / "tests/clients/azure-identity/token.mjs"
MODULES = Path(os.environ.get("MSP_NPM_CLIENTS", TOP / "build" / "clients-npm"))
NODE = os.path.realpath(shutil.which("node") or "/usr/bin/node")
PORT = 8090
ISSUER = f"http://{HOST_ADDRESS}:{PORT}"
RESOURCE = "https://vault.example"
TENANT = "22222222-2222-3333-4444-555555555555"
SYSTEM, USER, CLIENT_ID = (f"{n}0000000-0000-4000-8000-000000000000" for n in "abc")
ASSIGNED = "/subscriptions/S/resourceGroups/G/providers/Microsoft.ManagedIdentity/userAssignedIdentities/app"
TARGET = f"/metadata/identity/oauth2/token?api-version=2018-02-01&resource={RESOURCE}"
PROFILE = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/galleries/N/inVMAccessControlProfiles/app/versions/1.0.0"
RULES = {"privileges": [{"name": "token", "path": "/metadata/identity/oauth2/token"}],
         "roles": [{"name": "tokenUser", "privileges": ["token"]}],
         "identities": [{"name": "app", "userName": ORDINARY_USER, "exePath": NODE}],
         "roleAssignments": [{"role": "tokenUser", "identities": ["app"]}]}


class Tokens(LabCase):
    start_agent = False
    algorithm = "RS256"
    vm_model = {"id": "/subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/virtualMachines/vm-1", "identity": {
        "type": "SystemAssigned, UserAssigned", "principalId": SYSTEM, "tenantId": TENANT,
        "userAssignedIdentities": {ASSIGNED: {"principalId": USER, "clientId": CLIENT_ID}}},
        "properties": {"securityProfile": {"proxyAgentSettings": {"imds": {"inVMAccessControlProfileReferenceId": PROFILE}}}}}

    @classmethod
    def prepare(cls) -> None:
        lab = cls.lab
        profiles = lab.folder / "profiles.json"
        profiles.write_text(json.dumps({"id": PROFILE, "properties": {
            "mode": "Enforce", "defaultAccess": "Deny", "rules": RULES}}))
        change(lab.host_config_file, lambda config: config.update(accessControlProfiles=[str(profiles)], tokens={
            "issuer": ISSUER, "algorithm": cls.algorithm, "lifetimeSeconds": 3600, "address": HOST_ADDRESS, "port": PORT}))
        cls.app = lab.folder / "app"
        cls.app.mkdir(mode=0o755)
        shutil.copy(CLIENT, cls.app / "token.mjs")
        shutil.copytree(MODULES / "node_modules", cls.app / "node_modules")
        shutil.copy(MODULES / "package.json", cls.app)

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.lab.start_agent(wait=False)
        poll("the agent has key and rules", lambda: cls.lab.guest_get("/metadata/versions").code == "no_rule", 15)

    def client(self, user: str = ORDINARY_USER, **options) -> dict:
        done = self.lab.guest.as_user(user).run(
            ["env", "-i", "HOME=/nonexistent", NODE, self.app / "token.mjs", RESOURCE, ISSUER, json.dumps(options)],
            text=True, cwd="/", timeout=60)
        return json.loads(done.stdout.splitlines()[-1])

    def test_the_sdk_gets_a_token_that_verifies(self):
        rows = [({}, SYSTEM, self.vm_model["id"]), ({"clientId": CLIENT_ID}, USER, ASSIGNED),
                ({"objectId": USER}, USER, ASSIGNED), ({"resourceId": ASSIGNED}, USER, ASSIGNED)]
        for options, principal, resource_id in rows:
            with self.subTest(options):
                told = self.client(**options)
                self.assertNotIn("error", told)
                claims = told["claims"]
                self.assertEqual((claims["oid"], claims["tid"], claims["aud"], claims["iss"], claims["xms_mirid"]),
                                 (principal, TENANT, RESOURCE, ISSUER, resource_id))
                self.assertEqual((told["algorithm"], told["forged"]), (self.algorithm, "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"))

    def test_an_identity_that_the_machine_has_not(self):
        self.assertRegex(self.client(clientId="d0000000-0000-4000-8000-000000000000")["message"], "Identity not found")

    def test_nobody_else_gets_one(self):
        place = self.lab.guest.as_user(ORDINARY_USER)
        self.assert_refused(place.call(http.get, IMDS, TARGET), 403, "identity_mismatch")  # python of the same user
        self.assert_refused(self.lab.guest_get(TARGET, user="root"), 403, "identity_mismatch")
        self.assertIn("error", self.client(user="root"))  # node of another user
        url = f"http://{IMDS.removesuffix(':80')}{TARGET}"
        done = place.run(["curl", "-s", "-m", "5", "-H", "Metadata: true", "-o", "/dev/null", "-w", "%{http_code}", url], text=True)
        self.assertEqual(done.stdout, "403")
        self.assertEqual(self.lab.outside.call(http.get, IMDS, TARGET).code, "unsigned")

    def test_what_is_published_needs_no_signature_and_holds_no_secret(self):
        host = f"{HOST_ADDRESS}:{PORT}"
        document = self.lab.outside.call(http.get, host, "/.well-known/openid-configuration").json()
        self.assertEqual((document["issuer"], document["id_token_signing_alg_values_supported"]), (ISSUER, [self.algorithm]))
        [key] = self.lab.outside.call(http.get, host, "/.well-known/jwks.json").json()["keys"]
        self.assertEqual(set(key), {"kty", "use", "alg", "kid", *("en" if self.algorithm == "RS256" else ["crv", "x", "y"])})
        self.assertEqual(self.lab.outside.call(http.get, host, "/metadata/versions").status, 404)
        [file] = (self.lab.folder / "host").glob("issuer-*.pem")
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)

    def test_the_key_outlives_the_host(self):
        keys = self.lab.outside.call(http.get, f"{HOST_ADDRESS}:{PORT}", "/.well-known/jwks.json").json()
        stop(self.lab.host)
        self.lab.start_host()
        self.assertEqual(self.lab.outside.call(http.get, f"{HOST_ADDRESS}:{PORT}", "/.well-known/jwks.json").json(), keys)


class TokensOfAnEllipticKey(Tokens):
    algorithm = "ES256"
