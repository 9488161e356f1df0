"""Bugs of the draws: half the noise, noise that repeats, wrong distributions, and charges that speak of other noise."""

from __future__ import annotations

from .mutant import Mutant, contract, guard

COUNTS = "dpsynth/privacy/noise/integer_noise.py"
GAUSSIAN = "dpsynth/privacy/noise/gaussian.py"
CHOICE = "dpsynth/privacy/noise/exponential.py"

NOISE = (
    Mutant(
        "half the noise on counts", "B44", COUNTS,
        "return exact + sample_rounded_gaussian(noise, self.sigma, exact.size).reshape(exact.shape)",
        "return exact + sample_rounded_gaussian(noise, self.sigma / 2, exact.size).reshape(exact.shape)",
        contract("what_is_drawn", "independent"),
    ),
    Mutant(
        "the noise of half the cells is used for the other half", "B22 B44", COUNTS,
        "        return exact + sample_rounded_gaussian(noise, self.sigma, exact.size).reshape(exact.shape)\n",
        "        half = sample_rounded_gaussian(noise, self.sigma, (exact.size + 1) // 2)\n"
        "        return exact + np.resize(half, exact.size).reshape(exact.shape)\n",
        contract("what_is_drawn", "independent"),
    ),
    Mutant(
        "counts are charged as if they had twice their noise", "B44", COUNTS,
        "return GaussianDpEvent(self.sigma / self.sensitivity)",
        "return GaussianDpEvent(2 * self.sigma / self.sensitivity)",
        contract("what_is_drawn", "mst"),
    ),
    Mutant(
        "counts are charged without their sensitivity", "B17", COUNTS,
        "return GaussianDpEvent(self.sigma / self.sensitivity)",
        "return GaussianDpEvent(self.sigma)",
        contract("what_is_drawn", "independent"),
    ),
    Mutant(
        "noise is cut off instead of rounded", "B28", COUNTS,
        "size = np.rint(place)",
        "size = np.floor(place)",
        guard("privacy/noise/test_integer_noise.py", "test_the_rounded_gaussian_follows_its_exact_distribution",
              "test_the_rounded_gaussian_rounds_the_gaussian"),
    ),
    Mutant(
        "the noise on counts has no sign", "B44", COUNTS,
        "return np.where(negative, -out, out)",
        "return out",
        guard("privacy/noise/test_integer_noise.py",
        "test_the_rounded_gaussian_is_symmetric_and_has_the_stated_variance"),
    ),
    Mutant(
        "half the Gaussian noise", "B44", GAUSSIAN,
        "noise.mul_(scale / spacing)  # everything below is in units of the grid",
        "noise.mul_(scale / spacing / 2)  # everything below is in units of the grid",
        contract("what_is_drawn", "maf"),
    ),
    Mutant(
        "the planned object draws half of what it charges", "B44", GAUSSIAN,
        "        return self.noise_multiplier * self.sensitivity if self.noise_multiplier else 0.0 "
        " # 0 x infinity is no number\n",
        "        return (\n"
        "            self.noise_multiplier * self.sensitivity / 2 if self.noise_multiplier else 0.0\n"
        "        )  # 0 x infinity is no number\n",
        contract("what_is_drawn", "datalens"),
    ),
    Mutant(
        "noise without the unit of the sensitivity", "B17", GAUSSIAN,
        "return self.noise_multiplier * self.sensitivity if self.noise_multiplier else 0.0  # 0 x "
        "infinity is no number",
        "return self.noise_multiplier  # 0 x infinity is no number",
        contract("what_is_drawn", "datalens"),
    ),
    Mutant(
        "all tensors of a release get the same noise", "B22", GAUSSIAN,
        "piece = noise[start : start + tensor.numel()].view(tensor.shape)",
        "piece = noise[: tensor.numel()].clone().view(tensor.shape)",
        guard("privacy/test_whiteness.py", "test_the_tensors_of_a_release_have_noise_of_their_own"),
    ),
    Mutant(
        "the low bits of a noisy sum leave", "B28", GAUSSIAN,
        'piece.add_(exact.to("cpu", torch.float64), alpha=1.0 / spacing).round_().mul_(spacing)',
        'piece.add_(exact.to("cpu", torch.float64), alpha=1.0 / spacing).mul_(spacing)',
        guard("privacy/noise/test_gaussian.py", "test_outputs_lie_on_a_public_grid"),
    ),
    Mutant(
        "normals of half the variance", "B44", "dpsynth/privacy/noise/keystream.py",
        "r.add_(0.5).mul_(2.0**-63).log_().mul_(-2.0).sqrt_()",
        "r.add_(0.5).mul_(2.0**-63).log_().mul_(-1.0).sqrt_()",
        guard("privacy/noise/test_random.py", "test_normals_are_normal"),
    ),
    Mutant(
        "bounded integers by remainder instead of rejection", "B29", "dpsynth/privacy/noise/keystream.py",
        "kept = words[words < np.uint64(bound)].astype(np.int64)",
        "kept = (words % np.uint64(bound)).astype(np.int64)",
        guard("privacy/noise/test_random.py", "test_bounded_integers_are_in_range_and_uniform"),
    ),
    Mutant(
        "the number of releases is not charged", "B34 B44", "dpsynth/privacy/mechanism.py",
        "return self.release_event if self.releases == 1 else SelfComposedDpEvent(self.release_event, self.releases)",
        "return self.release_event",
        contract("what_is_drawn", "pe"),
    ),
    Mutant(
        "choices at twice their epsilon", "B44", CHOICE,
        "return int(np.argmax(self.epsilon / (2.0 * self.sensitivity) * (clean - clean.max()) + gumbel))",
        "return int(np.argmax(self.epsilon / self.sensitivity * (clean - clean.max()) + gumbel))",
        contract("what_is_drawn", "mst"),
    ),
    Mutant(
        "choices without the sensitivity of their scores", "B17", CHOICE,
        "return int(np.argmax(self.epsilon / (2.0 * self.sensitivity) * (clean - clean.max()) + gumbel))",
        "return int(np.argmax(self.epsilon / 2.0 * (clean - clean.max()) + gumbel))",
        contract("what_is_drawn", "privbayes"),
    ),
    Mutant(
        "choices without noise", "B44", CHOICE,
        "return int(np.argmax(self.epsilon / (2.0 * self.sensitivity) * (clean - clean.max()) + gumbel))",
        "return int(np.argmax(clean))",
        contract("what_is_drawn", "aim"),
    ),
    Mutant(
        "a choice is charged at half", "B44", CHOICE,
        "return float(-0.5 / ndtri(1.0 / (1.0 + np.exp(0.5 * epsilon))))",
        "return float(-1.0 / ndtri(1.0 / (1.0 + np.exp(0.5 * epsilon))))",
        guard("privacy/noise/test_exponential.py", "test_a_choice_is_charged_as_a_gaussian_that_is_no_better"),
    ),
    Mutant(
        "scores that are no numbers win", "B19", CHOICE,
        "clean = np.where(np.isfinite(query), query, -1e300)",
        "clean = np.where(np.isfinite(query), query, 1e300)",
        guard("privacy/noise/test_exponential.py", "test_huge_and_broken_scores_do_not_break_the_choice"),
    ),
    Mutant(
        "a DP-SGD step is charged at twice its noise", "B44", "dpsynth/privacy/dpsgd/dp_sgd.py",
        "return self.sampling.step_event(self.noise_multiplier)",
        "return self.sampling.step_event(2 * self.noise_multiplier)",
        contract("what_is_drawn", "maf"),
    ),
    Mutant(
        "an empty batch is skipped", "B20", "dpsynth/privacy/ledger.py",
        "            query = query(self._batch(mechanism, step, rows, partial))\n",
        "            batch = self._batch(mechanism, step, rows, partial)\n"
        "            query = query(batch)\n"
        "            if not len(batch):\n"
        "                return query\n",
        guard("privacy/dpsgd/test_dp_sgd.py", "test_empty_batches_are_noise_only_steps_of_the_declared_scale"),
    ),
    Mutant(
        "every process adds noise of its own", "B27", "dpsynth/privacy/distributed.py",
        "    distributed.reduce(part, 0)\n"
        "    answer = release(part) if leading() else part\n",
        "    answer = release(part)\n"
        "    distributed.reduce(answer, 0)\n",
        guard("privacy/dpsgd/test_dp_sgd.py", "test_two_processes_train_as_one"),
    ),
    Mutant(
        "every process keeps a key of its own", "B27", "dpsynth/privacy/distributed.py",
        "return RandomGenerators(seed, privacy=PrivacyGenerator.from_state(state))",
        "return randomness",
        guard("privacy/test_distributed.py", "test_noisy_marginals_and_gradients_are_one_release_of_two_processes"),
    ),
)  # fmt: skip
