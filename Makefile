# make compare   set up and compare handcrafted and learned features (DATA=digits, or a folder)
# make test      set up, lint and test
# The same without make stands in README.md.
PYTHON ?= python3
DATA ?= digits
OUT ?= results/$(notdir $(DATA))
BIN = .venv/bin

.PHONY: compare test lint format clean

compare: .venv/ready
	$(BIN)/visionpipe compare $(DATA) --out $(OUT)

test: .venv/ready lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal --durations 5

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/ready: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt -e '.[plots,tensorboard,dask,test]'
	touch $@

clean:
	rm -rf .venv
