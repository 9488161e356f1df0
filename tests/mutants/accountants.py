"""Bugs of the accountants and of the samplers whose rates they rely on."""

from __future__ import annotations

from .mutant import Mutant, contract, guard

ACCOUNTING = "dpsynth/privacy/accounting/accounting.py"
EVENTS = "dpsynth/privacy/accounting/events.py"
LOSS = "dpsynth/privacy/accounting/privacy_loss.py"
SAMPLING = "dpsynth/privacy/dpsgd/sampling.py"

ACCOUNTANTS = (
    Mutant(
        "the number of Gaussian releases is dropped", "B7 B34", ACCOUNTING,
        "precision += count / leaf.noise_multiplier**2",
        "precision += 1 / leaf.noise_multiplier**2",
        guard("privacy/accounting/test_accounting.py", "test_gaussians_are_exact"),
    ),
    Mutant(
        "equal parts of two charges cost once", "B34", ACCOUNTING,
        "counts[leaf] = counts.get(leaf, 0) + count",
        "counts[leaf] = count",
        guard("privacy/test_charges.py", "test_equal_charges_add_up"),
    ),
    Mutant(
        "the number of sampled steps is dropped", "B7 B10", ACCOUNTING,
        "many = single.self_compose(count) if count > 1 else single",
        "many = single",
        guard("privacy/accounting/test_accounting.py", "test_opacus_agrees",
              "test_replaced_row_bound_lies_between_a_real_attack_and_rdp"),
    ),
    Mutant(
        "the sampling rate is squared", "B1", EVENTS,
        "yield PoissonSampledDpEvent(event.sampling_probability, inner), count",
        "yield PoissonSampledDpEvent(event.sampling_probability**2, inner), count",
        guard("privacy/accounting/test_accounting.py", "test_opacus_agrees"),
    ),
    Mutant(
        "sampling amplifies under replace_one twice", "B1 B16", LOSS,
        "upper = rate * gaussian_profile(noise, np.log1p(np.expm1(np.minimum(epsilons, 700.0)) / rate))",
        "upper = rate**2 * gaussian_profile(noise, np.log1p(np.expm1(np.minimum(epsilons, 700.0)) / rate))",
        guard("privacy/accounting/test_accounting.py", "test_replaced_row_bound_lies_between_a_real_attack_and_rdp",
              "test_replaced_row_of_one_step_is_amplification_by_subsampling"),
    ),
    Mutant(
        "an optimistic loss distribution", "B30", LOSS,
        "    return pld.from_gaussian_mechanism(noise, sampling_prob=rate, value_discretization_interval=interval)\n",
        "    return pld.from_gaussian_mechanism(\n"
        "        noise,\n"
        "        sampling_prob=rate,\n"
        "        value_discretization_interval=interval,\n"
        "        pessimistic_estimate=False,\n"
        "        use_connect_dots=False,\n"
        "    )\n",
        guard("privacy/test_charges.py", "test_sampled_steps_are_never_proven_cheaper_than_they_are"),
    ),
    Mutant(
        "batches of fixed size under add_remove", "B1 B16", ACCOUNTING,
        'if isinstance(leaf, SampledWithoutReplacementDpEvent) and neighbours == "add_remove":',
        "if False:",
        guard("privacy/accounting/test_accounting.py", "test_pairs_without_a_proof_are_refused"),
    ),
    Mutant(
        "Poisson batches under replace_one", "B16", ACCOUNTING,
        'if isinstance(leaf, PoissonSampledDpEvent) and neighbours == "replace_one":',
        "if False:",
        guard("privacy/accounting/test_accounting.py", "test_pairs_without_a_proof_are_refused"),
    ),
    Mutant(
        "a release without noise costs nothing", "B18", ACCOUNTING,
        "return isinstance(leaf, NonPrivateDpEvent) or loss_scale(leaf) is None",
        "return False",
        guard("privacy/accounting/test_accounting.py", "test_no_noise_is_infinitely_expensive"),
    ),
    Mutant(
        "deltas of single charges are forgotten", "B14", ACCOUNTING,
        "delta = row.delta - math.fsum(charge.delta for charge in charges)",
        "delta = row.delta",
        guard("privacy/accounting/test_accounting.py", "test_own_deltas_come_out_of_the_budget"),
    ),
    Mutant(
        "the classical formula of the Gaussian mechanism", "B31", ACCOUNTING,
        "return float(gaussian_profile(noise, np.array([epsilon]))[0]) - delta",
        "return math.sqrt(2 * math.log(1.25 / delta)) / noise - epsilon",
        guard("privacy/accounting/test_accounting.py", "test_the_known_numbers_of_the_gaussian"),
    ),
    Mutant(
        "Gaussians on one sample cost as the largest of them", "B34", EVENTS,
        "return GaussianDpEvent(1.0 / math.sqrt(sum(n / z**2 for z, n in multipliers)))",
        "return GaussianDpEvent(min(z for z, _ in multipliers))",
        guard("privacy/accounting/test_events.py", "test_gaussians_on_one_sample_become_one"),
    ),
    Mutant(
        "repeated events count once", "B34", EVENTS,
        "yield from leaves(event.event, count * event.count)",
        "yield from leaves(event.event, event.count)",
        guard("privacy/accounting/test_events.py", "test_leaves_count_nested_compositions"),
    ),
    Mutant(
        "rows are drawn at twice the charged rate", "B1 B44", SAMPLING,
        "return int(self.rate * _ONE)",
        "return int(min(1.0, 2 * self.rate) * (_ONE - 1))",
        contract("what_is_drawn", "dpvi"),
    ),
    Mutant(
        "the first rows of the table are the batch", "B1", SAMPLING,
        "inside = np.ones(words.size, dtype=bool) if self.rate == 1 else words < np.uint32(self.threshold)",
        "inside = np.arange(words.size) < self.rate * words.size",
        guard("privacy/dpsgd/test_sampling.py", "test_poisson_inclusion_is_independent_with_the_stated_rate"),
    ),
    Mutant(
        "batches of fixed size are always the same rows", "B1", SAMPLING,
        "return np.sort(_subset(keystream, np.arange(rows, dtype=np.int64), self.batch_size))",
        "return np.arange(self.batch_size, dtype=np.int64)",
        guard("privacy/dpsgd/test_sampling.py", "test_fixed_size_is_exact_uniform_and_independent_over_steps"),
    ),
    Mutant(
        "batches of fixed size are charged at half their rate", "B1 B44", SAMPLING,
        "return SampledWithoutReplacementDpEvent(self.rows, self.batch_size, GaussianDpEvent(noise_multiplier))",
        "return SampledWithoutReplacementDpEvent(2 * self.rows, self.batch_size, GaussianDpEvent(noise_multiplier))",
        contract("what_is_drawn", "maf", "replace_one"),
    ),
    Mutant(
        "cut batches are paid for once, not in every step", "B1", SAMPLING,
        "return self.steps * chance * (1.0 + math.exp(min(epsilon, 700.0)))",
        "return chance * (1.0 + math.exp(min(epsilon, 700.0)))",
        guard("privacy/dpsgd/test_sampling.py", "test_overflow_keeps_a_uniform_subset_and_is_paid_for"),
    ),
    Mutant(
        "rows are sampled by a public generator", "B26", "dpsynth/privacy/noise/random.py",
        'return batches.indices(self.keystream(mechanism.name, step, "rows"), rows)',
        'return batches.indices(Keystream(_digest("rows", mechanism.name, str(step)), self._scratch), rows)',
        guard("privacy/test_secret_keys.py", "test_who_is_sampled_depends_on_the_key"),
    ),
    Mutant(
        "positions within cells come from a public generator", "B26", "dpsynth/privacy/noise/random.py",
        'words = self.keystream(name, 0, "rows").words32(rows * columns)',
        "words = Keystream(_digest(name), self._scratch).words32(rows * columns)",
        guard("privacy/test_secret_keys.py", "test_uniforms_depend_on_the_key"),
    ),
    Mutant(
        "teachers are dealt by a public generator", "B26 B41", "dpsynth/privacy/noise/random.py",
        'return sharding.owners(self.keystream(name, 0, "rows"), count)',
        "return sharding.owners(Keystream(_digest(name), self._scratch), count)",
        guard("privacy/test_secret_keys.py", "test_teachers_depend_on_the_key"),
    ),
    Mutant(
        "teachers are dealt by position", "B5 B41", "dpsynth/privacy/mechanisms/shards.py",
        "return keystream.below(self.teachers, count)",
        "return np.arange(count, dtype=np.int64) % self.teachers",
        guard("privacy/test_secret_keys.py", "test_teachers_depend_on_the_key"),
    ),
    Mutant(
        "the rows of a person go to several teachers", "B36", "dpsynth/privacy/mechanisms/shards.py",
        "owner = np.where(people >= 0, np.append(persons, 0)[people], rows)",
        "owner = rows",
        guard("privacy/mechanisms/test_shards.py", "test_a_person_has_one_teacher_and_a_row_more_moves_no_other"),
    ),
)  # fmt: skip
