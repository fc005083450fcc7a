.PHONY: install test lint format demo ci

install:
	python -m pip install -e ".[test]"

test:
	python -m pytest

lint:
	ruff check . && ruff format --check .

format:
	ruff check --fix . && ruff format .

demo:
	python search.py metric=miou

ci:
	bash .ci/run
