# SPDX-License-Identifier: Apache-2.0
"""Rules from the host's VM model, and real programs of several users under them: see the table in rule_scenarios.py."""
from callers import Said, once
from lab.lab import SERVICES
from lab.world import poll
from rule_scenarios import BY_NAME, CHANGES, SETS, Kept, RuleSet
from ruled import RuledLab, rule_set_name


class RuleScenarios(RuledLab):
    sets = SETS

    def follow(self, one: RuleSet, connections: list[Kept]) -> int:
        return self.live_through(connections, lambda: self.apply(one), lambda service: rule_set_name(one.name, service),
                                 one.mode == "Audit")

    def scenarios_of(self, one: RuleSet) -> list[Said]:
        self.apply(one)
        since, since_at_host = len(self.lab.audit_records()), len(self.lab.host_records())
        answers = [once(self.place(s.user, s.at, s.groups), self.programs[s.who], SERVICES[s.to], s.request)
                   for s in one.scenarios]
        if one.mode == "Disabled":
            # Nothing is redirected, so the agent knows nothing of it; the host serves what nobody signed.
            poll("the host's records", lambda: [record["outcome"] for record in self.lab.host_records()[since_at_host:]
                                                if record["service"] == "imds"] == ["open"] * len(answers), 3)
            self.assertEqual([str(said) for said in answers], [scenario.said for scenario in one.scenarios])
            return answers
        for scenario, said, record in zip(one.scenarios, answers, self.records(since, len(answers)), strict=True):
            with self.subTest(f"{one.name}: {scenario}"):
                self.assertEqual(str(said), scenario.said, f"{said.body[:300]} {record}")
                self.check_record(rule_set_name(one.name, scenario.to), scenario, said, record, one.mode == "Audit")
                self.check_names(scenario.by, record)
                self.assertEqual({key: record.get(key) for key in scenario.audit}, scenario.audit)
        return answers

    def test_every_scenario_of_the_table(self):
        answers = [said for one in self.sets for said in self.scenarios_of(one)]
        refused = sum(said.status == "403" for said in answers)
        users = {scenario.user for one in self.sets for scenario in one.scenarios}
        print(f"{len(answers)} scenarios of {len(users)} users in {len(self.sets)} rule sets: {len(answers) - refused} permitted, "
              f"{refused} refused", flush=True)
        self.assertGreater(refused, 50)
        self.assertGreater(len(answers) - refused, 50)

    def test_rules_change_while_connections_live(self):
        self.assertEqual({BY_NAME[change.to].service for change in CHANGES}, {"imds", "wireServer"})
        lost = sum(self.follow(BY_NAME[change.to], change.connections) for change in CHANGES)
        count = sum(len(change.connections) for change in CHANGES)
        print(f"{count} connections lived through {len(CHANGES)} changes: {count - lost} served on, {lost} refused and closed",
              flush=True)
        self.assertGreater(lost, 10)
        # Who had to come again because nobody held its file is served then.
        self.apply(BY_NAME["programs"])
        new = self.living("client", "nobody")
        self.assertEqual(str(new.ask("GET /metadata/instance?api-version=2021-02-01")), "200")
