from collections.abc import Sequence
from typing import overload

import numpy as np
from dp_accounting.pld.pld_pmf import PLDPmf
from numpy.typing import NDArray

class PrivacyLossDistribution:
    def __init__(self, pmf_remove: PLDPmf, pmf_add: PLDPmf | None = None) -> None: ...
    def compose(
        self, other: PrivacyLossDistribution, tail_mass_truncation: float = 1e-15
    ) -> PrivacyLossDistribution: ...
    def self_compose(self, num_times: int, tail_mass_truncation: float = 1e-15) -> PrivacyLossDistribution: ...
    @overload
    def get_delta_for_epsilon(self, epsilon: float) -> float: ...
    @overload
    def get_delta_for_epsilon(self, epsilon: Sequence[float]) -> NDArray[np.float64]: ...
    def get_epsilon_for_delta(self, delta: float) -> float: ...

def from_gaussian_mechanism(
    standard_deviation: float,
    sensitivity: float = 1,
    pessimistic_estimate: bool = True,
    value_discretization_interval: float = 1e-4,
    log_mass_truncation_bound: float = -50,
    sampling_prob: float = 1.0,
    use_connect_dots: bool = True,
) -> PrivacyLossDistribution: ...
def from_discrete_laplace_mechanism(
    parameter: float,
    sensitivity: int = 1,
    pessimistic_estimate: bool = True,
    value_discretization_interval: float = 1e-4,
    use_connect_dots: bool = True,
    sampling_prob: float = 1.0,
) -> PrivacyLossDistribution: ...
