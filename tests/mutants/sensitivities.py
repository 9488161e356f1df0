"""Bugs of the queries: sensitivities that are too small, rows that weigh too much, thresholds, bounds from the data."""

from __future__ import annotations

from .mutant import Mutant, guard

MARGINALS = "dpsynth/privacy/mechanisms/marginals.py"
CATEGORIES = "dpsynth/privacy/mechanisms/discovery.py"
SCATTER = "dpsynth/privacy/mechanisms/class_statistics.py"
EMBEDDING = "dpsynth/privacy/mechanisms/mean_embedding.py"
NEAREST = "dpsynth/privacy/mechanisms/nearest_votes.py"
VOTES = "dpsynth/privacy/mechanisms/votes.py"
TREE = "dpsynth/privacy/mechanisms/discretizer.py"
SCORES = "dpsynth/privacy/mechanisms/marginals.py"

VOTE = guard("privacy/mechanisms/test_votes.py", "test_a_changed_teacher_moves_the_sum_within_the_sensitivity")
LARGEST = guard("privacy/test_largest_moves.py", "test_the_largest_move_is_the_sensitivity")
NEAR = guard("privacy/mechanisms/test_nearest_votes.py",
             "test_sensitivity_is_one_for_a_row_more_and_root_two_for_a_row_replaced")  # fmt: skip
MOVED = guard("privacy/mechanisms/test_mean_embedding.py", "test_neighbours_move_the_sum_by_at_most_its_sensitivity")
SCATTERED = guard("privacy/mechanisms/test_class_scatter.py", "test_a_record_moves_the_sum_within_the_sensitivity")

WEIGHED = guard("privacy/mechanisms/test_weights.py",
                "test_a_person_moves_all_tables_by_no_more_than_is_declared")  # fmt: skip

SENSITIVITIES = (
    Mutant(
        "every row of a person weighs a whole unit", "B36", "dpsynth/privacy/mechanisms/weights.py",
        "return (GRID // np.maximum(rows, 1))[persons]",
        "return np.full(len(persons), GRID) + 0 * rows[persons]",
        WEIGHED,
    ),
    Mutant(
        "weighted counts are charged as counts of rows", "B36", MARGINALS,
        "return self.unit * math.sqrt(self.marginals * cells_changed(self.neighbours))",
        "return math.sqrt(self.marginals * cells_changed(self.neighbours))",
        WEIGHED,
    ),
    Mutant(
        "marginals without the root of their number", "B17", MARGINALS,
        "return self.unit * math.sqrt(self.marginals * cells_changed(self.neighbours))",
        "return self.unit * math.sqrt(cells_changed(self.neighbours))",
        guard("privacy/mechanisms/test_marginals.py", "test_neighbours_stay_within_the_stated_sensitivity"),
    ),
    Mutant(
        "marginals without root two under replace_one", "B16", MARGINALS,
        "return self.unit * math.sqrt(self.marginals * cells_changed(self.neighbours))",
        "return self.unit * math.sqrt(self.marginals)",
        LARGEST,
    ),
    Mutant(
        "more marginals than planned in one release", "B17", MARGINALS,
        "if len(exact) > self.marginals:",
        "if len(exact) > self.marginals + 1:",
        guard("privacy/test_charges.py", "test_a_release_of_marginals_holds_no_more_tables_than_were_planned"),
    ),
    Mutant(
        "bounds without root two under replace_one", "B16", "dpsynth/privacy/mechanisms/discovery.py",
        "    @property\n"
        "    def sensitivity(self) -> float:\n"
        "        return count_sensitivity(self.neighbours)\n"
        "\n"
        "    def measure(self, values: Reals, ledger: Ledger) -> tuple[float, float]:\n",
        "    @property\n"
        "    def sensitivity(self) -> float:\n"
        "        return 1.0\n"
        "\n"
        "    def measure(self, values: Reals, ledger: Ledger) -> tuple[float, float]:\n",
        LARGEST,
    ),
    Mutant(
        "bounds from exact counts", "B12", "dpsynth/privacy/mechanisms/discovery.py",
        "standing = np.flatnonzero(noisy > threshold)",
        "standing = np.flatnonzero(counts > threshold)",
        guard("privacy/test_thresholds.py", "test_a_row_that_crosses_a_threshold_shows_in_the_noisy_counts_alone"),
    ),
    Mutant(
        "bounds are the smallest and the largest value", "B12", "dpsynth/privacy/mechanisms/discovery.py",
        "            found[column.name] = _with_bounds(column, *mechanism.measure(values, ledger))\n",
        "            mechanism.measure(values, ledger)\n"
        "            found[column.name] = _with_bounds(column, float(np.nanmin(values)), "
        "float(np.nanmax(values)) + 1)\n",
        guard("privacy/mechanisms/test_discovery.py", "test_discovery_passes_the_replay_audit"),
    ),
    Mutant(
        "categories are those of the data", "B13", CATEGORIES,
        "released = ledger.release(self, counts)",
        "released = {**counts, **ledger.release(self, counts)}",
        guard("privacy/mechanisms/test_discovery.py", "test_discovery_passes_the_replay_audit",
              "test_a_singleton_is_rarely_released"),
    ),
    Mutant(
        "the delta of the threshold is not charged", "B14", CATEGORIES,
        "return 0.0 if self.noiseless else self.threshold_delta",
        "return 0.0",
        guard("privacy/test_charges.py", "test_the_threshold_of_categories_is_charged"),
    ),
    Mutant(
        "a threshold without the count of the row itself", "B14", CATEGORIES,
        "return math.ceil(1.5 + self.sigma * float(norm.isf(self.threshold_delta)))",
        "return math.ceil(self.sigma * float(norm.isf(self.threshold_delta)))",
        guard("privacy/mechanisms/test_discovery.py", "test_threshold_bounds_the_tail_of_the_rounded_gaussian"),
    ),
    Mutant(
        "a fixed threshold", "B14", CATEGORIES,
        "return math.ceil(1.5 + self.sigma * float(norm.isf(self.threshold_delta)))",
        "return 5",
        guard("privacy/mechanisms/test_discovery.py", "test_threshold_bounds_the_tail_of_the_rounded_gaussian"),
    ),
    Mutant(
        "categories without root two under replace_one", "B16", CATEGORIES,
        "    @property\n"
        "    def sensitivity(self) -> float:\n"
        "        return count_sensitivity(self.neighbours)\n"
        "\n"
        "    @property\n",
        "    @property\n"
        "    def sensitivity(self) -> float:\n"
        "        return 1.0\n"
        "\n"
        "    @property\n",
        LARGEST,
    ),
    Mutant(
        "every pixel of an image counts as a record", "B17", "dpsynth/privacy/mechanisms/class_statistics.py",
        "return pixels.reshape(exact.shape) / flat.shape[1]",
        "return pixels.reshape(exact.shape) / 1.0",
        guard("privacy/mechanisms/test_class_histograms.py", "test_a_record_moves_the_sums_within_the_sensitivity"),
    ),
    Mutant(
        "class histograms without root two under replace_one", "B16", "dpsynth/privacy/mechanisms/class_statistics.py",
        "    @property\n"
        "    def sensitivity(self) -> float:\n"
        "        return count_sensitivity(self.neighbours)\n"
        "\n"
        "    def measure(\n",
        "    @property\n"
        "    def sensitivity(self) -> float:\n"
        "        return 1.0\n"
        "\n"
        "    def measure(\n",
        LARGEST,
    ),
    Mutant(
        "offsets beyond the radius are not scaled down", "B17", SCATTER,
        "bounded = bounded / norms.clamp_min(self.radius)",
        "bounded = bounded / self.radius",
        SCATTERED,
    ),
    Mutant(
        "offsets that are no numbers are summed", "B19", SCATTER,
        "bounded[~torch.isfinite(norms[:, 0])] = 0.0",
        "pass",
        SCATTERED,
    ),
    Mutant(
        "entries off the diagonal count double", "B17", SCATTER,
        "return rows, columns, torch.where(rows == columns, 1.0, math.sqrt(2)).double()",
        "return rows, columns, torch.where(rows == columns, 1.0, 2.0).double()",
        SCATTERED,
    ),
    Mutant(
        "class scatter without root two under replace_one", "B16", SCATTER,
        "    @property\n"
        "    def sensitivity(self) -> float:\n"
        "        return count_sensitivity(self.neighbours)\n"
        "\n"
        "    def measure(self, offsets: Iterable[tuple[Tensor, Tensor]], ledger: Ledger) -> Scatter:\n",
        "    @property\n"
        "    def sensitivity(self) -> float:\n"
        "        return 1.0\n"
        "\n"
        "    def measure(self, offsets: Iterable[tuple[Tensor, Tensor]], ledger: Ledger) -> Scatter:\n",
        LARGEST,
    ),
    Mutant(
        "features longer than one are not scaled down", "B17", EMBEDDING,
        "factor = math.sqrt(1.0 - self.count_weight) / norms.clamp(min=1.0)",
        "factor = math.sqrt(1.0 - self.count_weight)",
        MOVED,
    ),
    Mutant(
        "features that are no numbers are summed", "B19", EMBEDDING,
        "bounded[~torch.isfinite(norms[:, 0])] = 0.0",
        "pass",
        MOVED,
    ),
    Mutant(
        "a mean embedding has sensitivity root two under replace_one", "B16", EMBEDDING,
        "return max(math.sqrt(2.0), 2.0 * math.sqrt(1.0 - self.count_weight))",
        "return math.sqrt(2.0)",
        LARGEST,
    ),
    Mutant(
        "each of k nearest candidates gets a whole vote", "B38", NEAREST,
        "return np.bincount(chosen[chosen >= 0], minlength=len(candidates.values)) / math.sqrt(nearest)",
        "return np.bincount(chosen[chosen >= 0], minlength=len(candidates.values)) * 1.0",
        NEAR,
    ),
    Mutant(
        "a row votes in every class", "B38", NEAREST,
        "    chosen = nearest_candidates(rows, candidates, nearest, device)\n",
        "    each = (Points(rows.values, np.full_like(rows.groups, code)) for code in np.unique(candidates.groups))\n"
        "    parts = [nearest_candidates(part, candidates, nearest, device) for part in each]\n"
        "    chosen = np.concatenate([np.zeros((0, nearest), np.int64), *parts])\n",
        NEAR,
    ),
    Mutant(
        "nearest votes without root two under replace_one", "B16", NEAREST,
        "return count_sensitivity(self.neighbours)",
        "return 1.0",
        LARGEST,
    ),
    Mutant(
        "a changed vote moves the sum by one vote", "B37", VOTES,
        "return 2.0 * self.largest",
        "return self.largest",
        VOTE,
    ),
    Mutant(
        "votes are not clipped", "B37", VOTES,
        "scale = (bound / norms.clamp_min(1e-30)).clamp_max(1.0) * (1.0 - 2.0**-22)",
        "scale = torch.ones_like(norms)",
        VOTE,
    ),
    Mutant(
        "votes are clipped for each query by itself", "B37", VOTES,
        "norms = wide.norm(dim=1)",
        "norms = wide.view_as(gradients).norm(dim=2).amax(1)",
        VOTE,
    ),
    Mutant(
        "a vote of twice k entries", "B37", VOTES,
        "k = min(k, g.shape[2])",
        "k = min(2 * k, g.shape[2])",
        VOTE,
    ),
    Mutant(
        "the queries of a round are not counted", "B37", VOTES,
        "return math.sqrt(min(self.k, self.width) * self.queries)",
        "return math.sqrt(min(self.k, self.width))",
        VOTE,
    ),
    Mutant(
        "teachers share the scale of random votes", "B5 B37", VOTES,
        "scale = g.abs().amax(dim=2, keepdim=True).clamp_max(bound).clamp_min(1e-30)",
        "scale = g.abs().amax(dim=(0, 2), keepdim=True).clamp_max(bound).clamp_min(1e-30)",
        guard("models/datalens/test_teacher_ensemble.py", "test_one_record_changes_one_teacher"),
    ),
    Mutant(
        "parts of a cell are counted with the rows beside it", "B17", TREE,
        "return np.diff(below[np.searchsorted(self.places, edges)])",
        "return np.diff(below[np.searchsorted(self.places, edges)]) + (edges[-1] > 0)",
        guard("privacy/mechanisms/test_discretizer.py", "test_without_noise_the_tree_holds_the_rows"),
    ),
    Mutant(
        "cells are split by exact counts", "B12", TREE,
        "parts = nodes.split(first, least, part, exact.cuts)",
        "parts = nodes.split(first, exact.counts.sum() / FINEST, part, exact.cuts)",
        guard("privacy/mechanisms/test_discretizer.py",
              "test_which_cells_are_split_follows_from_released_counts_alone"),
    ),
    Mutant(
        "every column may spend the whole budget of numbers", "B37", TREE,
        "left = self.budget.total / self.columns * (1 - 1e-9)",
        "left = self.budget.total * (1 - 1e-9)",
        guard("privacy/mechanisms/test_discretizer.py", "test_columns_share_the_budget"),
    ),
    Mutant(
        "groups of cells are counted beside the budget", "B37", TREE,
        "            left -= cost\n        cost = left * GRID",
        "        cost = left * GRID",
        guard("privacy/mechanisms/test_discretizer.py", "test_columns_share_the_budget"),
    ),
    Mutant(
        "associations of sensitivity one", "B17", SCORES,
        "return 2.0",
        "return 1.0",
        guard("privacy/mechanisms/test_scores.py", "test_association_keeps_to_its_sensitivity",
              "test_association_on_all_tables_of_few_rows"),
    ),
    Mutant(
        "associations of a replaced row as if of an added one", "B16", SCORES,
        "return 4.0 if rows is None else 3.0 + 2.0 / max(2, rows)",
        "return 2.0",
        guard("privacy/test_largest_moves.py",
              "test_a_replaced_row_moves_an_association_further_than_an_added_one_can"),
    ),
    Mutant(
        "misfits of a replaced row as if of an added one", "B16", SCORES,
        "return float(cells_changed(neighbours))",
        "return 1.0",
        guard("privacy/mechanisms/test_scores.py", "test_misfits_keep_to_their_sensitivity"),
    ),
)  # fmt: skip
