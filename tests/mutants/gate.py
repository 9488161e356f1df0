"""Bugs of the gate: plans, charges, the filter, keys, statements, and what a resumed run remembers."""

from __future__ import annotations

from .mutant import Mutant, guard

LEDGER = "dpsynth/privacy/ledger.py"
RANDOM = "dpsynth/privacy/noise/random.py"
BUDGET = "dpsynth/privacy/accounting/budget.py"
FILTER = "dpsynth/privacy/accounting/adaptive_budget.py"

GATE = (
    Mutant(
        "a release that differs from the plan in a field is accepted", "B44", LEDGER,
        "elif planned != mechanism:",
        "elif type(planned) is not type(mechanism):",
        guard("privacy/test_ledger.py", "test_a_release_that_differs_from_the_plan_in_any_field_is_refused"),
    ),
    Mutant(
        "twice the planned steps are accepted", "B10 B44", LEDGER,
        "elif not 0 <= step < planned.releases:",
        "elif not 0 <= step < 2 * planned.releases:",
        guard("privacy/test_ledger.py", "test_a_run_may_do_less_but_never_more"),
    ),
    Mutant(
        "a step may be released again", "B22 B33", RANDOM,
        "if (mechanism.name, step) in self._released:",
        "if (mechanism.name, step) in self._released and step < 0:",
        guard("privacy/noise/test_random.py", "test_a_release_is_made_once"),
    ),
    Mutant(
        "the filter does not subtract", "B34", LEDGER,
        "self._spent[budget.name] += cost",
        "self._spent[budget.name] = cost",
        guard("privacy/accounting/test_adaptive_budget.py", "test_what_is_spent_adds_up_and_never_exceeds"),
    ),
    Mutant(
        "the filter compares mu instead of its square", "B34", FILTER,
        "return self.mu**2",
        "return self.mu",
        guard("privacy/accounting/test_adaptive_budget.py", "test_it_holds_the_whole_budget",
              "test_what_is_spent_adds_up_and_never_exceeds"),
    ),
    Mutant(
        "the filter takes releases of another relation", "B16", LEDGER,
        "if mechanism.neighbours != budget.neighbours or mechanism.releases != 1 or mechanism.delta:",
        "if mechanism.releases != 1 or mechanism.delta:",
        guard("privacy/accounting/test_adaptive_budget.py",
        "test_what_the_filter_cannot_count_is_refused_and_costs_nothing"),
    ),
    Mutant(
        "the filter ignores a delta of its own", "B14", LEDGER,
        "if mechanism.neighbours != budget.neighbours or mechanism.releases != 1 or mechanism.delta:",
        "if mechanism.neighbours != budget.neighbours or mechanism.releases != 1:",
        guard("privacy/accounting/test_adaptive_budget.py",
        "test_what_the_filter_cannot_count_is_refused_and_costs_nothing"),
    ),
    Mutant(
        "repeated parts of an event cost once under the filter", "B34", FILTER,
        "total += count / leaf.noise_multiplier**2 if leaf.noise_multiplier else math.inf",
        "total += 1 / leaf.noise_multiplier**2 if leaf.noise_multiplier else math.inf",
        guard("privacy/accounting/test_adaptive_budget.py", "test_events_are_counted_by_their_parts"),
    ),
    Mutant(
        "a plan may cost a tenth more than its budget", "B10 B30", LEDGER,
        "proven.epsilon <= self.budget.epsilon + TOLERANCE and proven.delta <= self.budget.delta * (1 + 1e-12)",
        "proven.epsilon <= 1.1 * self.budget.epsilon + TOLERANCE and proven.delta <= self.budget.delta * (1 + 1e-12)",
        guard("privacy/test_charges.py", "test_a_plan_a_little_above_its_budget_cannot_exist"),
    ),
    Mutant(
        "a mechanism of another relation is planned", "B16", LEDGER,
        "if each.neighbours != self.budget.neighbours:",
        'if each.neighbours not in (self.budget.neighbours, "add_remove"):',
        guard("privacy/test_ledger.py", "test_a_mechanism_for_another_relation_is_refused"),
    ),
    Mutant(
        "an unfinished run is stated to be private", "B8 B50", LEDGER,
        '"private": budget.private and secure and self.finished,',
        '"private": budget.private and secure,',
        guard("privacy/test_ledger.py", "test_nothing_is_stated_before_every_planned_release_was_made_or_left_out",
              "test_a_fresh_ledger_states_nothing"),
    ),
    Mutant(
        "an infinite epsilon is stated to be private", "B50", LEDGER,
        '"private": budget.private and secure and self.finished,',
        '"private": secure and self.finished,',
        guard("privacy/test_ledger.py", "test_infinite_epsilon_brands_the_statement_and_is_strict_json"),
    ),
    Mutant(
        "seeded noise is stated to be private", "B26", LEDGER,
        'budget, secure = self.plan.budget, self._randomness.noise == "secure"',
        "budget, secure = self.plan.budget, True",
        guard("privacy/test_ledger.py", "test_seeded_noise_brands_the_statement"),
    ),
    Mutant(
        "a seeded key counts as secure", "B26", RANDOM,
        'return cls(_digest("seeded privacy", str(seed)), secure=False)',
        'return cls(_digest("seeded privacy", str(seed)), secure=True)',
        guard("privacy/test_ledger.py", "test_seeded_noise_brands_the_statement"),
    ),
    Mutant(
        "a seeded run that is resumed counts as secure", "B26", RANDOM,
        'return cls(bytes.fromhex(state["key"]), secure=bool(state["secure"]))',
        'return cls(bytes.fromhex(state["key"]), secure=True)',
        guard("privacy/test_secret_keys.py", "test_a_resumed_stream_is_as_secure_as_it_was"),
    ),
    Mutant(
        "a fixed key instead of one from the operating system", "B26", RANDOM,
        "return cls(os.urandom(32), secure=True)",
        "return cls(bytes(32), secure=True)",
        guard("privacy/noise/test_random.py", "test_fresh_keys_differ_and_seeded_ones_do_not"),
    ),
    Mutant(
        "one key stream for all steps", "B22", RANDOM,
        "return Keystream(_digest(self._key.hex(), purpose, name, str(step)), self._scratch)",
        "return Keystream(_digest(self._key.hex(), purpose, name), self._scratch)",
        guard("privacy/noise/test_random.py", "test_substreams_do_not_overlap"),
    ),
    Mutant(
        "one key stream for all names", "B22", RANDOM,
        "return Keystream(_digest(self._key.hex(), purpose, name, str(step)), self._scratch)",
        "return Keystream(_digest(self._key.hex(), purpose, str(step)), self._scratch)",
        guard("privacy/test_ledger.py", "test_noise_of_different_names_is_independent_under_one_key"),
    ),
    Mutant(
        "noise and batches from the same key stream", "B22", RANDOM,
        "return Keystream(_digest(self._key.hex(), purpose, name, str(step)), self._scratch)",
        "return Keystream(_digest(self._key.hex(), name, str(step)), self._scratch)",
        guard("privacy/noise/test_random.py", "test_substreams_do_not_overlap"),
    ),
    Mutant(
        "the noise of the first release is drawn in every round of aim", "B22 B44", RANDOM,
        "return mechanism.draw(query, self.keystream(mechanism.name, step))",
        "return mechanism.draw(query, self.keystream(mechanism.name, 0))",
        guard("models/test_drawn_noise.py", "test_every_release_has_noise_of_its_own_as_charged"),
    ),
    Mutant(
        "a resumed run draws new noise", "B33", "dpsynth/training/checkpoint.py",
        'return RandomGenerators(kept["seed"], privacy=PrivacyGenerator.from_state(kept["privacy"]))',
        "return randomness",
        guard("training/test_loop.py", "test_killed_without_warning_restarts_with_the_same_noise",
              "test_interrupted_and_resumed_equals_uninterrupted"),
    ),
    Mutant(
        "a checkpoint goes on with other data", "B33", "dpsynth/training/checkpoint.py",
        'for what, hint in (("plan", "the same options"), ("data", "the same data")):',
        'for what, hint in (("plan", "the same options"),):',
        guard("training/test_loop.py", "test_a_checkpoint_refuses_another_plan_and_other_data"),
    ),
    Mutant(
        "releases before a checkpoint are forgotten", "B33", LEDGER,
        "self._made[name] |= set(steps)",
        "self._made[name] |= set(steps[:0])",
        guard("privacy/test_ledger.py", "test_a_ledger_continues_from_its_state_under_the_same_plan_only"),
    ),
    Mutant(
        "the filter is full again after a resume", "B33", LEDGER,
        'self._spent[name] = max(self._spent[name], float(state_dict["spent"][name]))',
        "self._spent[name] = self._spent[name]",
        guard("privacy/accounting/test_adaptive_budget.py", "test_what_was_spent_survives_the_state"),
    ),
    Mutant(
        "a ledger continues under another plan", "B33", LEDGER,
        'if state_dict["planned"] != {each.name: repr(each) for each in self.plan.charges}:',
        'if set(state_dict["planned"]) != {each.name for each in self.plan.charges}:',
        guard("privacy/test_ledger.py", "test_a_ledger_continues_from_its_state_under_the_same_plan_only"),
    ),
    Mutant(
        "the delta of a person is divided among the rows", "B36", BUDGET,
        "delta = self.delta * math.exp(_log_expm1(epsilon) - _log_expm1(self.epsilon))",
        "delta = self.delta / self.rows_per_person",
        guard("privacy/accounting/test_budget.py", "test_row_level_gives_the_person_level_budget_back"),
    ),
    Mutant(
        "a person gets the epsilon of a row", "B36", BUDGET,
        "epsilon = self.epsilon / self.rows_per_person",
        "epsilon = self.epsilon",
        guard("privacy/accounting/test_budget.py", "test_row_level_gives_the_person_level_budget_back"),
    ),
    Mutant(
        "a replaced row changes one cell", "B16", BUDGET,
        'return 1 if neighbours == "add_remove" else 2',
        "return 1",
        guard("privacy/accounting/test_budget.py", "test_sensitivities_follow_the_relation"),
    ),
    Mutant(
        "a replaced vector moves a sum by one norm", "B16", BUDGET,
        "return bound * cells_changed(neighbours)",
        "return bound",
        guard("privacy/accounting/test_budget.py", "test_sensitivities_follow_the_relation")
        + guard("privacy/dpsgd/test_dp_sgd.py", "test_replay_audit_passes"),
    ),
    Mutant(
        "a replaced count has sensitivity one", "B16", BUDGET,
        "return math.sqrt(cells_changed(neighbours))",
        "return 1.0",
        guard("privacy/accounting/test_budget.py", "test_sensitivities_follow_the_relation"),
    ),
)  # fmt: skip
