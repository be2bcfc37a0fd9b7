# SPDX-License-Identifier: Apache-2.0
"""A query as long as a head may be, by a user whom the rules refuse, costs others nothing: rules that share query pairs are
asked for each pair once, however often the client repeats it."""
from base import LabCase
from lab import http
from lab.lab import IMDS, ORDINARY_USER
from lab.world import Place

PROFILE = "/inVMAccessControlProfiles/keys/versions/1"
TOKEN = "/metadata/identity/oauth2/token"
PAIRS = {"api-version": "2018-02-01", "format": "json", "resource": "https://vault.azure.net"}
USERS = ["daemon", "bin", "sys", "games", "man"]
RULES = {
    "privileges": [*({"name": user, "path": TOKEN, "queryParameters": PAIRS} for user in USERS),
                   *({"name": f"grid{i}{j}{k}", "path": TOKEN,
                      "queryParameters": {"api-version": f"{i}", "format": f"{j}", "resource": f"{k}"}}
                     for i in range(3) for j in range(3) for k in range(3)),
                   {"name": "versions", "path": "/metadata/versions"}],
    "roles": [*({"name": user, "privileges": [user]} for user in USERS), {"name": "looker", "privileges": ["versions"]}],
    "identities": [*({"name": user, "userName": user} for user in USERS), {"name": ORDINARY_USER, "userName": ORDINARY_USER},
                   {"name": "root", "userName": "root"}],
    "roleAssignments": [*({"role": user, "identities": [user]} for user in USERS),
                        {"role": "looker", "identities": [ORDINARY_USER, "root"]}],
}


class LongQueries(LabCase):
    @classmethod
    def prepare(cls) -> None:
        cls.give_imds_rules(PROFILE, RULES)

    def place(self, user: str) -> Place:
        return Place(self.lab.guest_netns, self.lab.world.cgroup("guest", "apps"), user)

    def test_a_client_that_repeats_its_pairs_holds_nobody_up(self) -> None:
        pairs = [f"{key}={value}" for key, value in PAIRS.items()]
        grid = [f"{key}={value}" for key in PAIRS for value in range(3)]
        for repeated in (pairs, grid, pairs + grid):
            query = "&".join(repeated * (60_000 // len("&".join(repeated)) - 1))
            # Each key is there with one value or many, a thousand times: before, the decision took a thousand cubed steps,
            # and this request ran into the client's time limit.
            answer = self.place(ORDINARY_USER).call(http.get, IMDS, f"{TOKEN}?{query}")
            self.assertEqual((answer.status, answer.code), (403, "identity_mismatch"))
            self.assertEqual(self.place("root").call(http.get, IMDS, "/metadata/versions").status, 200)
        # One of those for whom the privilege is gets through the rules with the same query (msp-host has no tokens here).
        answer = self.place("daemon").call(http.get, IMDS, f"{TOKEN}?{'&'.join(pairs * 500)}")
        self.assertNotEqual(answer.status, 403)
