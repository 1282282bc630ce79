# make demo: from nothing to people in new poses.   make test: set up and run the tests.
# `make TENSORFLOW=tensorflow demo` installs the full TensorFlow build in place of the CPU one, and
# `make TENSORFLOW=gpu demo` the build for CUDA (Linux). On Windows, make needs a POSIX shell, such as that of Git.

ifeq ($(OS),Windows_NT)
PYTHON ?= python
BIN := .venv/Scripts
else
PYTHON ?= python3
BIN := .venv/bin
endif
TENSORFLOW ?= cpu
SET_UP := .venv/set-up-$(TENSORFLOW)

.PHONY: demo demo-generator test test-slow lint types package format docs lock clean
.DELETE_ON_ERROR:

$(SET_UP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[$(TENSORFLOW),dev]"
	touch $@

# The README lists these as plain commands; tests/test_readme.py compares. Each goes on where it was.
demo: $(SET_UP) annotations/demo-pairs-test.csv
	$(BIN)/pose-gan train --dataset demo --preset dsc --gan_penalty_weight 0.2 --width 0.25 --learning_rate 4e-4 \
		--iterations_per_epoch 400 --number_of_epochs 7 --output_dir demo/run --resume auto
	$(BIN)/pose-gan test --generator_checkpoint demo/run --generated_images_dir demo/generated --overwrite 1 \
		--metrics ssim,mask_ssim,l1,identity --identity_network colours \
		--report demo/report.html --grid demo/grid.png
	@echo "Look at demo/report.html (in a browser) and demo/grid.png."

annotations/demo-pairs-test.csv: | $(SET_UP)
	$(BIN)/pose-gan data demo --scene studio --train_persons 300 --overwrite
	$(BIN)/pose-gan data annotate --dataset demo --pose_estimator demo --overwrite
	$(BIN)/pose-gan data pairs --dataset demo

# The generator that comes with the package, pose_gan/model_files/demo.h5: hours on two cores. It goes on where it was.
# Its people are others than those of `make demo`, and their keypoints are exact. (A small trial: make demo-generator
# EPOCHS=1 PERSONS=40 DEMO_H5=/tmp/demo-generator)
PERSONS ?= 1200
EPOCHS ?= 211
DEMO_H5 ?= pose_gan/model_files
WORK := demo-generator

demo-generator: $(SET_UP) $(WORK)/annotations/demo-pairs-train.csv
	$(BIN)/pose-gan train --dataset demo --images_dir $(WORK)/data --annotations_dir $(WORK)/annotations \
		--preset dsc --gan_penalty_weight 0.2 --width 0.1875 --learning_rate 2e-4 --batch_size 4 --use_validation 0 \
		--iterations_per_epoch 200 --number_of_epochs $(EPOCHS) --output_dir $(WORK)/run --resume auto
	$(BIN)/pose-gan export $(WORK)/run --format h5 --half_precision 1 --output $(WORK)/packed --overwrite 1
	mkdir -p $(DEMO_H5) && cp $(WORK)/packed/generator.h5 $(DEMO_H5)/demo.h5

$(WORK)/annotations/demo-pairs-train.csv: | $(SET_UP)
	$(BIN)/pose-gan data demo --scene studio --train_persons $(PERSONS) --test_persons 40 --seed 7 --overwrite \
		--images_dir $(WORK)/data --annotations_dir $(WORK)/annotations
	$(BIN)/pose-gan data pairs --dataset demo --annotations_dir $(WORK)/annotations

test: $(SET_UP)
	$(BIN)/python -m pytest -n 2

test-slow: $(SET_UP)
	$(BIN)/python -m pytest -m slow

lint: $(SET_UP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(SET_UP)
	$(BIN)/pyright

# The built package, installed where nothing else is, does the whole way outside of the checkout.
package: $(SET_UP)
	PYTHON=$(PYTHON) tests/package.sh $(TENSORFLOW)

format: $(SET_UP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(SET_UP)
	$(BIN)/python docs/make_api.py

lock:
	uv pip compile --quiet --universal --python-version 3.10 --extra cpu --extra tensorflow --extra dev \
		--no-header --no-annotate --no-emit-index-url pyproject.toml --output-file constraints.txt

clean:
	rm -rf .venv demo demo-generator data/demo-dataset annotations/demo-*.csv
