"""Bugs of the methods: exact numbers that get past the gate, noise and steps that a method changes on its own."""

from __future__ import annotations

from .mutant import Mutant, contract, guard

AIM = "dpsynth/models/marginal/aim.py"
MST = "dpsynth/models/marginal/mst.py"
PRIVBAYES = "dpsynth/models/marginal/privbayes.py"
DPVI = "dpsynth/models/dpvi/recipe.py"
MERF = "dpsynth/models/merf/recipe.py"
MIXTURE = "dpsynth/models/mixture/recipe.py"
DATALENS = "dpsynth/models/datalens/recipe.py"
TEACHERS = "dpsynth/models/datalens/teachers.py"
ALONE = guard("models/datalens/test_teacher_ensemble.py", "test_one_record_changes_one_teacher")

METHODS = (
    Mutant(
        "independent: half the calibrated noise", "B30 B44", "dpsynth/models/marginal/independent.py",
        "return IndependentPlan(one_way=counts(sigma), memory_bytes=64 * sum(sizes))",
        "return IndependentPlan(one_way=counts(sigma / 2), memory_bytes=64 * sum(sizes))",
        contract("plans", "independent"),
    ),
    Mutant(
        "independent: the model is fitted to exact counts", "B3", "dpsynth/models/marginal/independent.py",
        "noisy = plan.one_way.measure(rows.counts(columns), ledger)",
        "noisy = [plan.one_way.measure(rows.counts(columns), ledger), rows.counts(columns)][1]",
        contract("replay", "independent"),
    ),
    Mutant(
        "independent: a charge for one histogram", "B17 B34", "dpsynth/models/marginal/independent.py",
        "return NoisyMarginals(name=ONES, neighbours=budget.neighbours, sigma=sigma, marginals=len(sizes))",
        "return NoisyMarginals(name=ONES, neighbours=budget.neighbours, sigma=sigma, marginals=1)",
        contract("replay", "independent"),
    ),
    Mutant(
        "mst: rare codes are merged by exact counts", "B3 B45", MST,
        "rows, measured = compressed(rows, noisy, self.one_way.sigma, MOST_CODES)",
        "rows, measured = compressed(rows, rows.counts(columns), self.one_way.sigma, MOST_CODES)",
        contract("replay", "mst"),
    ),
    Mutant(
        "mst: one table is charged for all", "B34", MST,
        "return NoisyMarginals(name=adaptive or name, neighbours=neighbours, sigma=sigma, marginals=count)",
        "return NoisyMarginals(name=adaptive or name, neighbours=neighbours, sigma=sigma, marginals=1)",
        contract("spends", "mst"),
    ),
    Mutant(
        "mst: choices of half the sensitivity", "B16 B17", MST,
        "bound=misfit_sensitivity(neighbours),",
        "bound=0.5 * misfit_sensitivity(neighbours),",
        guard("models/test_replayed_choices.py", "test_the_choices_of_a_method_have_the_bounds_of_their_scores"),
    ),
    Mutant(
        "mst: exact two-way marginals", "B3", MST,
        "noisy = self.two_way.measure(rows.counts(tree), ledger)",
        "noisy = [self.two_way.measure(rows.counts(tree), ledger), rows.counts(tree)][1]",
        contract("replay", "mst"),
    ),
    Mutant(
        "aim: noise is annealed on exact counts", "B45", AIM,
        "moved = np.abs(model.marginal(clique) - before).sum()",
        "moved = np.abs(candidates.answers[clique] - before).sum()",
        guard("models/test_replayed_choices.py", "test_aim_lowers_its_noise_by_what_was_released"),
    ),
    Mutant(
        "aim: rounds end on exact counts", "B9 B45", AIM,
        "            if last:\n",
        "            gaps = [np.abs(a - model.marginal(c)).sum() for c, a in candidates.answers.items()]\n"
        "            if last or max(gaps) < 10.0:\n",
        guard("models/test_replayed_choices.py", "test_a_row_that_crosses_a_limit_shows_in_no_decision"),
    ),
    Mutant(
        "aim: scores without the weight of their marginals in the bound", "B17", AIM,
        "misfit_sensitivity(budget.neighbours) * float(weights.max()),",
        "misfit_sensitivity(budget.neighbours),",
        contract("replay", "aim"),
    ),
    Mutant(
        "aim: the model learns exact counts", "B3", AIM,
        "measured.append(measurement(clique, counts, sigma))",
        "measured.append(measurement(clique, candidates.answers[clique], sigma))",
        contract("replay", "aim"),
    ),
    Mutant(
        "aim: twice the budget", "B10 B34", "dpsynth/privacy/accounting/adaptive_budget.py",
        "self.unit * math.sqrt(changed / cost) if self.private else 0.0",
        "self.unit * math.sqrt(changed / cost / 2) if self.private else 0.0",
        contract("spends", "aim"),
    ),
    Mutant(
        "privbayes: distributions from exact tables", "B3", PRIVBAYES,
        "noisy = plan.tables.measure(seen.counts(families), ledger)",
        "noisy = [plan.tables.measure(seen.counts(families), ledger), seen.counts(families)][1]",
        contract("replay", "privbayes"),
    ),
    Mutant(
        "privbayes: associations of sensitivity one", "B17", PRIVBAYES,
        "bound=association_sensitivity(neighbours, domain.rows),",
        "bound=1.0,",
        guard("models/test_replayed_choices.py", "test_the_choices_of_a_method_have_the_bounds_of_their_scores"),
    ),
    Mutant(
        "privbayes: the parents are the best by exact scores", "B45", PRIVBAYES,
        "            chosen = ledger.release(plan.choice, seen.associations(candidates), step)\n",
        "            ledger.release(plan.choice, seen.associations(candidates), step)\n"
        "            chosen = int(np.argmax(seen.associations(candidates)))\n",
        guard("models/test_replayed_choices.py", "test_a_row_that_crosses_a_limit_shows_in_no_decision")
        + contract("replay", "privbayes"),
    ),
    Mutant(
        "privbayes: the size of tables follows the exact number of rows", "B15", PRIVBAYES,
        "        families = self._network(seen, min(total / (self.theta * max(sigma, 1.0)), "
        "MOST_CELLS), plan, ledger, run)\n",
        "        families = self._network(\n"
        "            seen,\n"
        "            min(seen.counts([Family(0, ())])[0].sum() / (self.theta * max(sigma, 1.0)), MOST_CELLS),\n"
        "            plan,\n"
        "            ledger,\n"
        "            run,\n"
        "        )\n",
        guard("models/test_replayed_choices.py", "test_the_number_of_parents_follows_the_public_number_of_rows"),
    ),
    Mutant(
        "napsu: one of many named marginals is charged", "B34", "dpsynth/models/marginal/napsu.py",
        "return NoisyMarginals(name=NAMED, neighbours=budget.neighbours, sigma=sigma, marginals=len(cliques))",
        "return NoisyMarginals(name=NAMED, neighbours=budget.neighbours, sigma=sigma, marginals=1)",
        guard("models/marginal/test_napsu.py", "test_named_marginals_are_one_release_and_every_column_has_one"),
    ),
    Mutant(
        "napsu: the posterior of exact marginals", "B3", "dpsynth/models/marginal/napsu.py",
        "measured = [measurement(clique, table, sigma) for clique, table in zip(plan.cliques, noisy, strict=True)]",
        "measured = [measurement(c, t, sigma) for c, t in zip(plan.cliques, rows.counts(plan.cliques), strict=True)]",
        guard("models/test_replayed_choices.py", "test_named_marginals_are_seen_through_their_release_alone"),
    ),
    Mutant(
        "dpvi: half the calibrated noise", "B44", DPVI,
        "sgd = steps(calibrate(lambda z: (*before, *((ones,) if ones else ()), steps(z)), budget))",
        "sgd = steps(calibrate(lambda z: (*before, *((ones,) if ones else ()), steps(z)), budget) / 2)",
        contract("plans", "dpvi"),
    ),
    Mutant(
        "dpvi: half the noise at the same charge, twice the steps", "B10 B44", DPVI,
        "options.steps,",
        "2 * options.steps,",
        contract("spends", "dpvi"),
    ),
    Mutant(
        "dpvi: the base is the exact histogram", "B3", DPVI,
        "    return {j: np.maximum(nearest_counts(counts), least) for j, counts in enumerate(noisy)}\n",
        "    exact = exact_counts(codes, [(j,) for j in range(len(codec.sizes))], codec.sizes)\n"
        "    return {j: np.maximum(nearest_counts(counts), least) for j, counts in enumerate(exact)}\n",
        contract("replay", "dpvi"),
    ),
    Mutant(
        "dpvi: the curvature counts the exact rows", "B15", DPVI,
        "lambda phi: rows * mixture.information(phi),",
        "lambda phi: len(codes) * mixture.information(phi),",
        contract("replay", "dpvi"),
    ),
    Mutant(
        "DPSVI: the prior counts once for each row", "B40", "dpsynth/vi/dpsvi.py",
        "h = -sgd.gradient(t, engine, rows, ledger, rate) + self._prior_gradient(phi)",
        "h = -sgd.gradient(t, engine, rows, ledger, rate) + plan.rows * self._prior_gradient(phi)",
        guard("vi/test_dpsvi.py", "test_without_noise_the_posterior_is_the_exact_one"),
    ),
    Mutant(
        "maf: the network starts at what the rows say", "B3", "dpsynth/models/maf/recipe.py",
        "            data = (torch.from_numpy(codes.astype(np.int64)), places)\n",
        "            data = (torch.from_numpy(codes.astype(np.int64)), places)\n"
        "            flow.network.last.bias.data += float(codes.mean())\n",
        contract("replay", "maf"),
    ),
    Mutant(
        "maf: DP-SGD is planned as if the marginals were free", "B34", "dpsynth/models/maf/recipe.py",
        "budget, (others,))", "budget, ())",
        contract("spends", "maf"),
    ),
    Mutant(
        "maf on images: exact tables of neighbours", "B3", "dpsynth/models/pixels/neighbour_tables.py",
        "return torch.from_numpy(np.stack(noisy, axis=1).astype(np.float64))",
        "return torch.from_numpy(np.stack(exact, axis=1).astype(np.float64))",
        contract("replay", "maf", images=True),
    ),
    Mutant(
        "maf on images: one table is charged for all places", "B34", "dpsynth/models/pixels/neighbour_tables.py",
        "tables = NoisyMarginals.at_fraction(NAME, grid.places, budget, fraction)",
        "tables = NoisyMarginals.at_fraction(NAME, 1, budget, fraction)",
        contract("spends", "maf", images=True),
    ),
    Mutant(
        "image classifier: half the noise of its charge, twice the steps", "B10 B44",
        "dpsynth/models/shared/class_rejection.py",
        "for t in range(self.sgd.releases):",
        "for t in range(2 * self.sgd.releases):",
        contract("spends", "maf", images=True),
    ),
    Mutant(
        "image classifier: clips at twice the norm that is charged", "B17", "dpsynth/models/shared/class_rejection.py",
        'engine = clipped_gradients("fused", classifier, self.sgd.clipping_norm, IMAGES_AT_ONCE)',
        'engine = clipped_gradients("fused", classifier, 2 * self.sgd.clipping_norm, IMAGES_AT_ONCE)',
        contract("spends", "maf", images=True),
    ),
    Mutant(
        "merf: classes in their exact shares", "B13", MERF,
        "        fractions = torch.from_numpy(nearest_counts(embedding.counts.numpy()) + 1e-9)\n",
        "        exact = torch.cat([part for _, part in _blocks(view, features, table)])\n"
        "        fractions = torch.bincount(exact, minlength=len(embedding.counts)).double() + 1e-9\n",
        contract("replay", "merf"),
    ),
    Mutant(
        "merf: the sum is divided by the exact number of rows", "B15", MERF,
        "        embedding = plan.embedding.measure(_blocks(view, features, table), *self._width(view), ledger)\n",
        "        embedding = plan.embedding.measure(_blocks(view, features, table), *self._width(view), ledger)\n"
        "        embedding.sums.mul_(rows / max(1, len(table)))\n",
        contract("replay", "merf"),
    ),
    Mutant(
        "mixture: half the calibrated noise", "B30 B44", MIXTURE,
        "pixels, shared, scatter, clusters = releases(calibrate(lambda z: (*before, *releases(z)), budget))",
        "pixels, shared, scatter, clusters = releases(calibrate(lambda z: (*before, *releases(z)), budget) / 2)",
        contract("plans", "mixture", images=True),
    ),
    Mutant(
        "mixture: the rounds are charged as one", "B17 B34", MIXTURE,
        "name=CLUSTERS, neighbours=relation, releases=self.rounds,",
        "name=CLUSTERS, neighbours=relation, releases=1,",
        contract("spends", "mixture", images=True),
    ),
    Mutant(
        "mixture: centres are divided by the exact numbers of images", "B15", MIXTURE,
        "            counts = released.counts.clamp(min=max(20.0, released.count_deviation))\n",
        "            counts = released.counts.clamp(min=max(20.0, released.count_deviation))\n"
        "            counts = counts * sum(len(own) for _, own in places) / counts.sum()\n",
        contract("replay", "mixture", images=True),
    ),
    Mutant(
        "mixture: classes in their exact shares", "B13", MIXTURE,
        "        fractions, mean, deviation = self._pixels(view, table, plan, ledger)\n",
        "        fractions, mean, deviation = self._pixels(view, table, plan, ledger)\n"
        "        fractions = torch.bincount(torch.as_tensor(table.labels), minlength=plan.classes) + 1e-9\n",
        contract("replay", "mixture", images=True),
    ),
    Mutant(
        "datalens: classes in their exact shares", "B13", DATALENS,
        "        histograms = plan.histograms.measure(seen.values, seen.labels, seen.space.classes, ledger)\n",
        "        plan.histograms.measure(seen.values, seen.labels, seen.space.classes, ledger)\n"
        "        histograms = plan.histograms.exact(seen.values, seen.labels, seen.space.classes)\n",
        contract("replay", "datalens") + contract("replay", "datalens", images=True),
    ),
    Mutant(
        "datalens: the student follows exact votes", "B6", DATALENS,
        "            return (rule.aggregated(noisy) / rule.unit).float().to(device)\n",
        "            exact = ensemble.ask(turn, shards, data, classes, x, y, rule)\n"
        "            return (rule.aggregated(exact) / rule.unit).float().to(device)\n",
        contract("replay", "datalens"),
    ),
    Mutant(
        "datalens: exact scatter of images", "B6", DATALENS,
        "        return Variation.of(plan.scatter.measure(away, ledger), self._low(domain))\n",
        "        blocks = list(away)\n"
        "        released = plan.scatter.measure(blocks, ledger)\n"
        "        released.moments.add_(1e-6 * plan.scatter.exact(blocks).sum())\n"
        "        return Variation.of(released, self._low(domain))\n",
        contract("replay", "datalens", images=True),
    ),
    Mutant(
        "datalens: the loss of a teacher is divided by all rows", "B5", TEACHERS,
        "loss = (softplus(-real) * weights).sum() + (softplus(fake) * against).sum()",
        "loss = ((softplus(-real) * weights).sum() + (softplus(fake) * against).sum()) / max(1, int(seen.sum()))",
        ALONE,
    ),
    Mutant(
        "datalens: teachers share the norm by which gradients are clipped", "B5", TEACHERS,
        "            loss.backward()\n",
        "            loss.backward()\n"
        "            torch.nn.utils.clip_grad_norm_(chunk.parameters, 0.1)\n",
        ALONE,
    ),
    Mutant(
        "datalens: all slots hold one teacher and its Adam", "B4", TEACHERS,
        "        if first not in self._chunks:\n"
        "            self._chunks[first] = self._fresh(0, first, last)\n"
        "        return self._chunks[first]\n",
        "        if 0 not in self._chunks:\n"
        "            self._chunks[0] = self._fresh(0, first, last)\n"
        "        return self._chunks[0]\n",
        guard("models/datalens/test_teacher_ensemble.py", "test_chunks_change_nothing"),
    ),
    Mutant(
        "datalens: shards are dealt anew in every round", "B5", "dpsynth/privacy/mechanisms/shards.py",
        "index = np.minimum(self.starts[first:last, None] + inside, len(self.order) - 1)",
        "index = np.minimum(self.starts[first:last, None] + inside + turn, len(self.order) - 1)",
        guard("privacy/mechanisms/test_shards.py", "test_batches_have_public_shapes_and_go_round_the_shard"),
    ),
    Mutant(
        "pe: exact fractions of the classes", "B13 B38", "dpsynth/models/pe/recipe.py",
        "counts = nearest_counts(plan.classes.measure(exact, ledger)[0], rows)",
        "counts = [nearest_counts(plan.classes.measure(exact, ledger)[0], rows), exact[0] + 0.5][1]",
        guard("models/test_replayed_choices.py", "test_pe_estimates_the_fractions_of_its_classes"),
    ),
    Mutant(
        "pe: members are as many as the exact rows allow", "B15", "dpsynth/models/pe/recipe.py",
        "evolution = self._evolution(api, view.points, terms, rows, fractions, plan)",
        "evolution = self._evolution(api, view.points, terms, len(table), fractions, plan)",
        guard("models/test_replayed_choices.py", "test_the_population_follows_the_public_number_of_rows"),
    ),
    Mutant(
        "pe: parents are selected by exact votes", "B38", "dpsynth/privacy/mechanisms/nearest_votes.py",
        "        return ledger.release(self, votes(rows, candidates, self.nearest, device), step)\n",
        "        exact = votes(rows, candidates, self.nearest, device)\n"
        "        ledger.release(self, exact.copy(), step)\n"
        "        return exact\n",
        contract("replay", "pe") + contract("replay", "pe", images=True),
    ),
    Mutant(
        "pe: a row votes in every iteration twice", "B38", "dpsynth/models/pe/recipe.py",
        "        def vote(points: np.ndarray, labels: np.ndarray, step: int) -> np.ndarray:\n",
        "        def vote(points: np.ndarray, labels: np.ndarray, step: int) -> np.ndarray:\n"
        "            votes.measure(private, Points(points, labels), ledger, step, device)\n",
        contract("spends", "pe"),
    ),
    Mutant(
        "the statement holds the exact number of rows", "B15 B32", "dpsynth/models/contract/synthesizer.py",
        'own = {"rows": rows, "covers"',
        'own = {"rows": len(table), "covers"',
        contract("replay", "independent"),
    ),
    Mutant(
        "the statement holds a hash of the data", "B32 B49", "dpsynth/models/contract/synthesizer.py",
        "        fitted.statement = {**own, **named, **ledger.statement()}\n",
        '        fitted.statement = {**own, "data": hash(str(table.frame.to_csv())), **ledger.statement()}\n',
        contract("replay", "independent"),
    ),
    Mutant(
        "a method is handed the exact number of rows", "B15", "dpsynth/models/contract/preparation.py",
        "return table, rows",
        "return table, len(table)",
        contract("replay", "independent"),
    ),
    Mutant(
        "a table whose persons were not bounded is taken", "B36 B46", "dpsynth/models/contract/synthesizer.py",
        "if most is not None and bound is None:",
        "if False:",
        guard("models/contract/test_synthesizer.py",
              "test_the_unit_of_the_budget_and_how_the_table_was_bounded_belong_together"),
    ),
    Mutant(
        "a table with more rows of a person is taken", "B36 B46", "dpsynth/models/contract/synthesizer.py",
        "if most is not None and bound is not None and bound > most:",
        "if False:",
        guard("models/contract/test_synthesizer.py",
              "test_the_unit_of_the_budget_and_how_the_table_was_bounded_belong_together"),
    ),
)  # fmt: skip
