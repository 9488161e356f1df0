"""Bugs of DP-SGD: clipping, what rows must not share, what a sum is divided by."""

from __future__ import annotations

from .mutant import Mutant, contract, guard

CLIPPING = "dpsynth/privacy/dpsgd/clipping.py"
RULES = "dpsynth/privacy/dpsgd/layer_rules.py"
SGD = "dpsynth/privacy/dpsgd/dp_sgd.py"

ROW = guard("privacy/dpsgd/test_gradients.py", "test_one_row_never_moves_the_sum_by_more_than_the_norm")
LOOP = guard(
    "privacy/dpsgd/test_gradients.py", "test_engine_equals_the_loop", "test_engine_equals_the_loop_on_other_layers"
)

GRADIENTS = (
    Mutant(
        "rows are not clipped", "B17", CLIPPING,
        "factors = (self.clipping_norm / (norms * (1 + SLACK))).clamp(max=1)",
        "factors = torch.ones_like(norms)",
        ROW,
    ),
    Mutant(
        "rows are clipped at twice the norm", "B17", CLIPPING,
        "factors = (self.clipping_norm / (norms * (1 + SLACK))).clamp(max=1)",
        "factors = (2 * self.clipping_norm / (norms * (1 + SLACK))).clamp(max=1)",
        ROW,
    ),
    Mutant(
        "short rows are scaled up and long ones left", "B17", CLIPPING,
        "factors = (self.clipping_norm / (norms * (1 + SLACK))).clamp(max=1)",
        "factors = (self.clipping_norm / (norms * (1 + SLACK))).clamp(min=1)",
        ROW,
    ),
    Mutant(
        "a row without numbers stays in the sum", "B19", "dpsynth/privacy/dpsgd/fused.py",
        "if not bool(finite.all()):",
        "if False:",
        guard("privacy/dpsgd/test_gradients.py", "test_rows_that_are_not_finite_add_nothing"),
    ),
    Mutant(
        "masked rows count", "B1", CLIPPING,
        "factors = torch.where(counted if mask is None else counted & mask, factors, torch.zeros_like(factors))",
        "factors = torch.where(counted, factors, torch.zeros_like(factors))",
        guard("privacy/dpsgd/test_gradients.py", "test_microbatches_and_masks_leave_the_sum"),
    ),
    Mutant(
        "many rows are summed in float32", "B47", CLIPPING,
        'self._precise = rows > FLOAT32_ROWS and batch[0].device.type != "mps"',
        "self._precise = False",
        guard("privacy/dpsgd/test_clipping.py", "test_a_row_moves_a_sum_by_the_sensitivity_at_most"),
    ),
    Mutant(
        "micro-batches of any size in float32", "B47", CLIPPING,
        "return min(self.microbatch_size or ROWS_AT_ONCE, ROWS_AT_ONCE)",
        "return self.microbatch_size or 2**62",
        guard("privacy/dpsgd/test_clipping.py", "test_sums_in_float32_are_over_few_rows"),
    ),
    Mutant(
        "layers of batch statistics are let through", "B23", CLIPPING,
        "        refuse_mixing_layers(module)\n",
        "",
        guard("privacy/dpsgd/test_gradients.py", "test_layers_that_mix_rows_are_refused"),
    ),
    Mutant(
        "embeddings that rescale themselves are let through", "B23", CLIPPING,
        "if isinstance(layer, nn.Embedding | nn.EmbeddingBag) and layer.max_norm is not None:",
        "if False:",
        guard("privacy/dpsgd/test_gradients.py", "test_embeddings_that_depend_on_the_batch_are_refused"),
    ),
    Mutant(
        "networks in which rows interact are let through", "B23", "dpsynth/privacy/dpsgd/fused.py",
        "            _refuse_interaction(losses, calls)\n",
        "",
        guard("privacy/dpsgd/test_gradients.py", "test_networks_the_rules_would_get_wrong_are_refused"),
    ),
    Mutant(
        "parameters used outside their layer are let through", "B17", "dpsynth/privacy/dpsgd/fused.py",
        "            _refuse_stray_parameters(losses, calls, module)\n",
        "",
        guard("privacy/dpsgd/test_gradients.py", "test_networks_the_rules_would_get_wrong_are_refused"),
    ),
    Mutant(
        "the norm leaves out the biases", "B17", RULES,
        "return (a.square().sum(1) + int(bias)) * b.square().sum(1)",
        "return a.square().sum(1) * b.square().sum(1)",
        LOOP,
    ),
    Mutant(
        "the norm of a sequence leaves out what its places share", "B17", RULES,
        "return grams.sum((1, 2)).clamp(min=0).to(self.a.dtype)",
        "return grams.diagonal(dim1=1, dim2=2).sum(1).to(self.a.dtype)",
        LOOP,
    ),
    Mutant(
        "the norm of an embedding leaves out repeated entries", "B17", RULES,
        "return ((b @ b.transpose(1, 2)) * same).sum((1, 2)).clamp(min=0).to(self.b.dtype)",
        "return b.square().sum((1, 2)).to(self.b.dtype)",
        LOOP,
    ),
    Mutant(
        "ghost clipping by the largest layer alone", "B17", "dpsynth/privacy/dpsgd/opacus_modes.py",
        "norms = torch.stack(samples).norm(dim=0) if samples else losses.new_zeros(len(losses))",
        "norms = torch.stack(samples).amax(dim=0) if samples else losses.new_zeros(len(losses))",
        LOOP,
    ),
    Mutant(
        "a mixture's norms leave out its weights", "B17", "dpsynth/vi/mixture.py",
        'squares = (r.square() * F.embedding_bag(index, norms, mode="sum")).sum(-1) + (r - pi).square().sum(-1)',
        'squares = (r.square() * F.embedding_bag(index, norms, mode="sum")).sum(-1)',
        guard("vi/test_mixture.py", "test_closed_form_gradients_are_those_of_torch",
              "test_one_row_moves_the_sum_by_at_most_the_clip"),
    ),
    Mutant(
        "the mean of the batch instead of the sum", "B21", CLIPPING,
        "return _wide(self.coordinates.zeros()) if total is None else total",
        "return _wide(self.coordinates.zeros()) if total is None else total / rows",
        guard("privacy/test_clipped_sums.py", "test_the_sum_is_that_of_the_definition"),
    ),
    Mutant(
        "divided by the number of rows in the batch", "B15 B21", SGD,
        "return engine.coordinates.native(noisy.div_(divisor))",
        "return engine.coordinates.native(noisy.div_(max(1, len(engine.norms))))",
        contract("replay", "maf") + guard("privacy/dpsgd/test_dp_sgd.py", "test_replay_audit_passes"),
    ),
    Mutant(
        "divided by the exact number of rows", "B15", "dpsynth/models/shared/dp_training.py",
        "expected = sgd.sampling.expected(rows)",
        "expected = sgd.sampling.expected(len(data[0]))",
        contract("replay", "maf"),
    ),
    Mutant(
        "the learning rate follows exact gradient norms", "B24", "dpsynth/models/shared/dp_training.py",
        "sgd.step(t, engine, data, ledger, expected)",
        "sgd.step(t, engine, data, ledger, expected * (1 + float(engine.norms.sum())))",
        contract("replay", "maf"),
    ),
    Mutant(
        "training stops early on the exact loss", "B9 B24", "dpsynth/training/loop.py",
        "                optimizer.step()\n",
        "                optimizer.step()\n"
        '                if "loss" in figures and float(figures["loss"]) < 1e6:\n'
        "                    break\n",
        contract("spends", "maf"),
    ),
    Mutant(
        "an engine of another clipping norm is taken", "B17", SGD,
        "if engine.clipping_norm != self.clipping_norm:",
        "if engine.clipping_norm < self.clipping_norm:",
        guard("privacy/dpsgd/test_dp_sgd.py", "test_what_does_not_fit_is_refused"),
    ),
    Mutant(
        "the image classifier sums in float32", "B47", "dpsynth/models/shared/class_rejection.py",
        "        classifier.double()\n",
        "",
        guard("privacy/test_clipped_sums.py",
              "test_the_image_classifier_is_trained_in_float64_and_kept_in_float32"),
    ),
)  # fmt: skip
