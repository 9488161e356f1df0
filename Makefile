# The five commands of a checkout. `make install` makes .venv; PYTHON=python3.12 chooses another interpreter.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install test slow lint format docs bench

install: $(BIN)/pip
	$(BIN)/pip install -e '.[test,docs]'

$(BIN)/pip:
	$(PYTHON) -m venv .venv

test:  ## the fast suite; `make slow` runs the rest
	$(BIN)/pytest

slow:
	$(BIN)/pytest -m slow

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

format:
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs:  ## the site, in site/
	$(BIN)/mkdocs build --strict

bench:  ## seconds per marginal, and a step of DP-SGD; benchmarks/ has the others
	$(BIN)/python benchmarks/marginals_speed.py --repeats 3
	$(BIN)/python benchmarks/dp_sgd_speed.py --repeats 5
