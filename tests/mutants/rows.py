"""Bugs before any mechanism (rows selected by position, values read in company) and after all (what leaves a run)."""

from __future__ import annotations

from .mutant import Mutant, guard

SELECTION = "dpsynth/data/selection.py"
REMOVED = guard("data/test_selection.py", "test_a_row_removed_from_the_file_moves_no_other")
PERSON = guard("data/test_selection.py", "test_a_person_removed_from_the_file_moves_no_other")
PICTURE = guard("data/test_selection.py", "test_a_picture_removed_or_replaced_moves_no_other")
ONE_BY_ONE = guard("data/columns/test_value_by_value.py", "test_a_value_is_read_alike_alone_and_beside_any_other",
                   "test_all_the_odd_values_together_are_read_as_each_alone")  # fmt: skip
COMPANY = guard("models/test_rows_alone.py", "test_rows_around_the_ends_of_blocks",
                "test_a_row_is_the_same_in_any_company")  # fmt: skip

LINKING = "dpsynth/data/database/linking.py"
ORPHANS = guard("data/database/test_linking.py", "test_orphans_are_left_out_without_a_word")
STRANGERS = guard("data/database/test_linking.py", "test_a_person_more_moves_nobody_else")

ROWS = (
    Mutant(
        "the limit on the rows of a parent is not applied", "B36", LINKING,
        "used[rows[order[rank >= most]]] = False",
        "used[rows[order[rank >= 2 * most]]] = False",
        ORPHANS,
    ),
    Mutant(
        "which rows of a parent are used depends on other persons", "B41", LINKING,
        "np.column_stack([items, occurrences(items)])",
        "np.column_stack([items, np.arange(len(items), dtype=np.uint64)])",
        STRANGERS,
    ),
    Mutant(
        "a row that belongs to nobody is an error", "B41", LINKING,
        "    used = owners >= 0\n",
        "    used = owners >= 0\n    if not used.all():\n        raise DataError('a row belongs to nobody')\n",
        ORPHANS + STRANGERS,
    ),
    Mutant(
        "the split goes by position", "B41", SELECTION,
        "items = np.column_stack([contents, occurrences(contents)])",
        "items = np.arange(n, dtype=np.uint64)[:, None]",
        REMOVED,
    ),
    Mutant(
        "the holdout is drawn by a public seed", "B26 B41", SELECTION,
        "start = hashlib.blake2b(digest_size=size, key=self.key, person=person)",
        "start = hashlib.blake2b(digest_size=size, key=bytes(32), person=person)",
        guard("data/test_selection.py", "test_draws_are_uniform_and_independent_between_purposes_and_keys"),
    ),
    Mutant(
        "all selections of a row are the same draw", "B41", SELECTION,
        'return self._hash(items, b"draw " + purpose.encode("ascii"), 8).reshape(-1)',
        'return self._hash(items, b"draw", 8).reshape(-1)',
        guard("data/test_selection.py", "test_draws_are_uniform_and_independent_between_purposes_and_keys"),
    ),
    Mutant(
        "n_train takes the first rows", "B41", "dpsynth/data/table/table.py",
        'return self._covered(self._chosen("n_train", selection, probability), self._each(probability))',
        "return self._covered(np.arange(len(self)) < rows, self._each(probability))",
        REMOVED,
    ),
    Mutant(
        "under replace_one the split goes by content", "B41", SELECTION,
        '        if self.neighbours == "replace_one":\n'
        "            return self.fixed(purpose, n, round(n * probability))\n",
        "",
        guard("data/test_selection.py", "test_a_replaced_row_changes_one_row_and_no_size"),
    ),
    Mutant(
        "images are split by position", "B41", "dpsynth/data/image/images.py",
        'held = selection.chosen("holdout", self._contents(selection), holdout)',
        'held = selection.chosen("holdout", np.arange(2 * len(self), dtype=np.uint64).reshape(-1, 2), holdout)',
        guard("data/test_image_parts.py", "test_an_image_removed_moves_no_other"),
    ),
    Mutant(
        "pictures in a folder are split by position", "B41", "dpsynth/data/sources/picture_files.py",
        'held = selection.chosen("holdout", self._contents(selection), holdout)',
        'held = selection.chosen("holdout", np.arange(2 * len(self.paths), dtype=np.uint64).reshape(-1, 2), holdout)',
        PICTURE,
    ),
    Mutant(
        "a person keeps twice the rows", "B36", SELECTION,
        "result[rows[order[rank < most]]] = True",
        "result[rows[order[rank < 2 * most]]] = True",
        PERSON + guard("data/table/test_table.py", "test_nobody_contributes_more_than_the_bound"),
    ),
    Mutant(
        "the rows of a person are split", "B36", "dpsynth/data/table/table.py",
        "if self.people is None:",
        "if True:",
        guard("data/table/test_table.py", "test_split_keeps_people_together"),
    ),
    Mutant(
        "which rows a person keeps depends on other persons", "B41", SELECTION,
        "draws = self._draw(purpose, np.column_stack([items, occurrences(items)]))",
        "draws = self._draw(purpose, np.column_stack([items, np.arange(len(items), dtype=np.uint64)]))",
        PERSON,
    ),
    Mutant(
        "dates are read in the unit of the whole column", "B42", "dpsynth/data/columns/datetime_column.py",
        "            pass\n",
        '            read = pd.to_datetime(series, errors="coerce", format="ISO8601", utc=True)\n'
        "            return to_seconds(read)\n",
        ONE_BY_ONE + guard("data/columns/test_value_by_value.py", "test_long_columns_of_times_are_read_as_each_time",
                           "test_one_odd_date_changes_no_other_row_of_a_file"),
    ),
    Mutant(
        "the nearest centre by cdist", "B43", "dpsynth/models/datalens/image_postprocessing.py",
        "away[chosen] = rows[chosen] - own[nearest(rows[chosen], own, reach)]",
        "away[chosen] = rows[chosen] - own[torch.cdist(rows[chosen].float(), own.float()).argmin(1)]",
        COMPANY,
    ),
    Mutant(
        "low frequencies by a rounded matrix product", "B43", "dpsynth/models/datalens/image_postprocessing.py",
        "return self._product(pixels.flatten(1)) / 255",
        "return ((pixels.flatten(1).float() / 255) @ self.basis().T).double()",
        COMPANY,
    ),
    Mutant(
        "standardised images by a rounded matrix product", "B43", "dpsynth/models/mixture/moments.py",
        "        return product(codes.flatten(1)) - self.mean[label] @ weights\n",
        "        units = codes.flatten(1).float() / max(self.levels - 1, 1)\n"
        "        return (units @ weights.float()).double() - self.mean[label] @ weights\n",
        COMPANY,
    ),
    Mutant(
        "features scaled by the largest row of the block", "B43", "dpsynth/models/merf/recipe.py",
        "            phi = features.rows(torch.from_numpy(codes[part]))\n",
        "            phi = features.rows(torch.from_numpy(codes[part]))\n"
        "            phi = phi / phi.norm(dim=1).max()\n",
        COMPANY,
    ),
    Mutant(
        "values outside the bounds widen the bins", "B12", "dpsynth/data/columns/numeric_column.py",
        "            clamped = np.where(point_mass, values, np.clip(values, self.start, self.stop))\n",
        "            clamped = np.where(\n"
        "                point_mass, values, np.clip(values, self.start, max(self.stop, "
        "float(values.max(initial=0))))\n"
        "            )\n",
        guard("data/columns/test_columns.py", "test_reading_is_total_and_stays_in_the_domain"),
    ),
    Mutant(
        "numbers are scaled by the range of the data", "B12", "dpsynth/data/table/codec.py",
        "            codes[:, j], units[:, j] = column.encode(reading)\n",
        "            codes[:, j], units[:, j] = column.encode(reading)\n"
        "            units[:, j] = (units[:, j] - units[:, j].min(initial=1)) / max(1e-9, np.ptp(units[:, j]) or 1)\n",
        guard("data/table/test_codec.py", "test_decode_then_encode_then_decode_is_exact",
        "test_a_value_lies_in_its_bin"),
    ),
    Mutant(
        "every figure may be shown", "B25 B49", "dpsynth/training/progress.py",
        "return {name: number(figure) for name, figure in figures.items() if isinstance(figure, Public)}",
        "return {name: number(figure) for name, figure in figures.items()}",
        guard("training/test_progress.py", "test_a_figure_is_private_unless_its_author_says_otherwise"),
    ),
    Mutant(
        "the loss is called public", "B25 B49", "dpsynth/models/shared/dp_training.py",
        'shown["loss"] = network(*(x[: self.shown] for x in data)).mean()',
        'shown["loss"] = Public(network(*(x[: self.shown] for x in data)).mean())',
        guard("commands/test_private_console.py", "test_the_terminal_shows_no_private_figure"),
    ),
    Mutant(
        "the terminal describes the data files", "B49", "dpsynth/commands/train.py",
        "if options.trainer.private_console:",
        "if True:",
        guard("commands/test_private_console.py", "test_the_terminal_shows_no_private_figure"),
    ),
    Mutant(
        "the key of the noise stays after the run", "B32 B33", "dpsynth/commands/train.py",
        "checkpoint.delete()",
        "pass",
        guard("commands/test_train.py", "test_the_checkpoint_is_gone_when_the_run_is_done"),
    ),
    Mutant(
        "the state of a run is readable by all", "B32", "dpsynth/training/checkpoint.py",
        'with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:',
        'with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:',
        guard("training/test_state.py", "test_only_the_owner_may_read_and_no_partial_file_stays"),
    ),
    Mutant(
        "data rows are refused after budget is spent", "B48", "dpsynth/commands/train.py",
        "rows.verify()  # a refusal that depends on private rows comes before any budget is spent",
        "pass  # a refusal that depends on private rows comes before any budget is spent",
        guard("commands/test_private_console.py", "test_so_does_a_code_that_no_row_can_have"),
    ),
    Mutant(
        "classes of any package are built", "B39", "dpsynth/models/contract/registry.py",
        "                return package\n"
        "    raise ConfigError(\n",
        "                return package\n"
        '    if isinstance(target, str) and "." in target:\n'
        '        return target.partition(".")[0]\n'
        "    raise ConfigError(\n",
        guard("models/contract/test_registry.py", "test_what_is_not_a_recipe_of_a_known_package_is_refused"),
    ),
    Mutant(
        "nested classes are not looked at before they are imported", "B39", "dpsynth/models/contract/registry.py",
        "config = list(config.values())",
        "config = []",
        guard("models/contract/test_registry.py",
        "test_a_package_without_an_entry_point_is_refused_before_it_is_imported",
              "test_what_is_not_a_recipe_of_a_known_package_is_refused")
        + guard("models/contract/test_artifact.py", "test_nor_hide_foreign_code_in_its_configuration"),
    ),
    Mutant(
        "a class may be imported from another package", "B39", "dpsynth/models/contract/registry.py",
        "if not isinstance(found, type) or not _inside(found.__module__, (package,)):",
        "if not isinstance(found, type):",
        guard("models/contract/test_registry.py", "test_what_is_not_a_recipe_of_a_known_package_is_refused"),
    ),
)  # fmt: skip
