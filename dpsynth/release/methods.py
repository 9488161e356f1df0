"""What the shipped methods do, in a sentence for readers of a release, and the paper to cite."""

from __future__ import annotations

from typing import NamedTuple


class Method(NamedTuple):
    """words: what it does. source: the paper."""

    words: str
    source: str


METHODS = {
    "AIM": Method(
        "measures marginals with Gaussian noise, chosen where the model so far is worst, and fits a graphical model",
        "McKenna, Mullins, Sheldon, Miklau 2022, arXiv 2201.12677",
    ),
    "MST": Method(
        "measures single columns and a tree of pairs with Gaussian noise, and fits a graphical model",
        "McKenna, Miklau, Sheldon 2021, arXiv 2108.04978",
    ),
    "DatabaseSynthesizer": Method(
        "measures marginals within and between tables with Gaussian noise, rows weighted so that a person counts once, "
        "and fits one graphical model that all rows of a person share",
        "McKenna, Miklau, Sheldon 2021, arXiv 2108.04978",
    ),
    "NAPSU": Method(
        "measures marginals with Gaussian noise and draws from a posterior that accounts for the noise",
        "Raisa, Jalko, Kaski, Honkela 2023, arXiv 2205.14485",
    ),
    "PrivBayes": Method(
        "chooses a Bayesian network by the exponential mechanism and measures its tables with noise",
        "Zhang, Cormode, Procopiuc, Srivastava, Xiao 2017, doi 10.1145/3134428",
    ),
    "Independent": Method(
        "measures every column by itself with Gaussian noise; columns are independent", "the Gaussian mechanism"
    ),
    "MAF": Method(
        "fits a graphical model to noisy marginals chosen in rounds, corrected by an autoregressive flow and DP-SGD",
        "McKenna, Mullins, Sheldon, Miklau 2022, arXiv 2201.12677, and Abadi et al. 2016, arXiv 1607.00133",
    ),
    "DPMAF": Method(
        "trains an autoregressive flow by DP-SGD",
        "Lee, Kim, Jeong, Ro 2022 (DP-MAF), and Abadi et al. 2016, arXiv 1607.00133",
    ),
    "PixelMAF": Method("trains an autoregressive network by DP-SGD", "Abadi et al. 2016, arXiv 1607.00133"),
    "DPVI": Method(
        "fits a mixture model by variational inference with DP-SGD", "Jalko, Dikmen, Honkela 2017, arXiv 1610.08749"
    ),
    "MERF": Method(
        "releases a noisy mean embedding in random features and trains a generator to match it",
        "Harder, Adamczewski, Park 2021, arXiv 2002.11603",
    ),
    "DataLens": Method(
        "trains a generator by noisy votes of teachers on compressed gradients",
        "Wang, Wu, Long, Rimanic, Zhang, Li 2021, arXiv 2103.11109",
    ),
    "PE": Method(
        "lets candidates from public sources evolve by noisy votes of private rows (Private Evolution)",
        "Lin, Gopi, Kulkarni, Nori, Yekhanin 2024, arXiv 2305.15560",
    ),
}


def method(name: str | None) -> Method:
    """The method that a statement names; a general sentence for one from another package."""
    return METHODS.get(str(name), Method("fits a model through differentially private mechanisms", "its own package"))
