# SPDX-License-Identifier: Apache-2.0

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 10s
OUT         ?= site.model

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this help
	@echo 'make TARGET, where TARGET is one of:'
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: run
run: ## serve the built-in page behind CRS and the second verdict on http://localhost:8080
	go run ./cmd/mlverdict serve

.PHONY: build
build: ## build ./mlverdict
	go build -o mlverdict ./cmd/mlverdict

.PHONY: test
test: ## go vet and every test that needs neither a browser nor a long build
	go vet ./...
	go test ./...

.PHONY: race
race: ## the tests under the race detector
	go test -race ./...

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not gofmted:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...

.PHONY: bench
bench: ## every benchmark
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10s)
	@set -e; grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do \
		for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$dir/*_test.go | cut -d' ' -f2); do \
			echo "$$dir $$target"; go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$dir; \
		done; \
	done

.PHONY: train
train: ## train OUT (site.model) on the request files in DATA=DIR, see docs/requests.md
	@[ -n "$(DATA)" ] || { echo 'make train: DATA is missing: make train DATA=DIR, with DIR holding *.jsonl or *.jsonl.gz'; exit 1; }
	go run ./cmd/mlverdict train --output $(OUT) $(wildcard $(DATA)/*.jsonl $(DATA)/*.jsonl.gz)

.PHONY: evaluate
evaluate: ## count what is denied of the request files in DATA=DIR, at paranoia level PL (1)
	@[ -n "$(DATA)" ] || { echo 'make evaluate: DATA is missing: make evaluate DATA=DIR, with DIR holding *.jsonl or *.jsonl.gz'; exit 1; }
	go run ./cmd/mlverdict evaluate --paranoia $(or $(PL),1) $(wildcard $(DATA)/*.jsonl $(DATA)/*.jsonl.gz)
