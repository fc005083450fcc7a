.PHONY: install test lint format demo chaos kills mutations gpu-check ci

install:
	python -m pip install -e ".[test]"

test:
	python -m pytest -n 2

lint:
	ruff check . && ruff format --check . && mypy

format:
	ruff check --fix . && ruff format .

demo:
	python search.py metric=miou

chaos:
	python tests/chaos.py

kills:
	python tests/kills.py

gpu-check:
	python benchmarks/gpu_check.py

mutations:
	python tests/mutations.py

ci:
	bash .ci/run
