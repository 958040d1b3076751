# SPDX-License-Identifier: Apache-2.0

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZ        ?= 50000x 2000x
OUT         ?= model/default.model
PYTHON      ?= python3
TRAIN       := benign-browsing-train.jsonl.gz benign-api.jsonl.gz benign-hard.jsonl.gz \
               payloads-train.jsonl.gz attack-crs-regression-train.jsonl.gz
TUNE        := benign-browsing-dev.jsonl.gz

SHELL         := /bin/bash
.DEFAULT_GOAL := help

.PHONY: help
help: ## show this help
	@echo 'make TARGET, where TARGET is one of:'
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

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
	go test -timeout 30m -race ./...

.PHONY: test-32bit
test-32bit: ## the tests of the model where an int has 32 bits (on amd64, which runs such programs)
	GOARCH=386 go test ./model/...

.PHONY: e2e
e2e: ## a real Caddy with the plugin, over HTTP/1.1 and HTTP/2; the first build takes minutes
	cd e2e && go vet ./... && go run $(STATICCHECK) ./... && go test -timeout 30m ./...

.PHONY: mutators
mutators: ## hold the mutations of attacks to their promises in a SQL engine and a JavaScript engine
	cd internal/mutate/engines && go vet ./... && go run $(STATICCHECK) ./... && go test ./...

MULTIPHASE := coraza.rule.multiphase_evaluation

.PHONY: ftw
ftw: ## CRS's regression suite with and without the plugin, and the plugin's own, in both ways Coraza can be built
	cd ftw && go vet ./... && go run $(STATICCHECK) ./... && go test -timeout 30m ./...
	cd ftw && go test -timeout 30m -tags $(MULTIPHASE) -run 'TestOutcomes|TestOwn' ./...

.PHONY: ftw-baseline
ftw-baseline: ## write ftw/baseline.json and docs/results-ftw.md anew, after a change of the model
	cd ftw && go test -count 1 -run 'TestBlocking' ./... -update

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not gofmted:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...

.PHONY: tidy
tidy: ## go mod tidy in all modules, after a change of go.mod
	go mod tidy
	cd ftw && go mod tidy
	cd e2e && go mod tidy
	cd performance && go mod tidy
	cd internal/mutate/engines && go mod tidy

.PHONY: bench
bench: ## every benchmark and scikit-learn's forest in turns, compared by benchstat and with what must be reached
	cd performance && go run . bench $(BENCH)

.PHONY: performance
performance: ## the same, into docs/performance.md and docs/img
	cd performance && go run . bench $(BENCH) --into ../docs/performance.md --images ../docs/img

.PHONY: soak
soak: ## a million requests through one WAF: does memory grow? into docs/performance.md; takes half an hour
	cd performance && go run . soak $(SOAK) --into ../docs/performance.md

.PHONY: load
load: ## wrk (installed where it is missing) against mlverdict serve while verdicts are checked, into docs/performance.md
	scripts/load $(LOAD) --into ../docs/performance.md

.PHONY: performance-test
performance-test: ## the tests of what measures
	cd performance && go vet ./... && go run $(STATICCHECK) ./... && go test ./...

.PHONY: fuzz
fuzz: ## every fuzz target 50,000 times, the slow ones 2,000 times (FUZZ="FAST SLOW")
	scripts/fuzz $(FUZZ)

.PHONY: fuzz-long
fuzz-long: ## every fuzz target 2,000,000 times, the slow ones (whole transactions …) 100,000 times, into docs/performance.md; takes hours
	set -o pipefail && scripts/fuzz 2000000x 100000x | tee /dev/stderr | (cd performance && go run . record fuzz --into ../docs/performance.md)

.PHONY: train
train: ## train the embedded model on the data sets in DATA=DIR (OUT=FILE.model for another place)
	@[ -n "$(DATA)" ] || { echo 'make train: DATA is missing: make train DATA=DIR, with DIR holding $(TRAIN) and $(TUNE)'; exit 1; }
	go run ./cmd/mlverdict train $(TRAINING) --output $(OUT) $(if $(CACHE),--cache $(CACHE)) --tune $(DATA)/$(TUNE) $(addprefix $(DATA)/,$(TRAIN))

.PHONY: evaluate
evaluate: ## count what is denied of the request files in DATA=DIR, at paranoia level PL (1)
	@[ -n "$(DATA)" ] || { echo 'make evaluate: DATA is missing: make evaluate DATA=DIR, with DIR holding *.jsonl or *.jsonl.gz'; exit 1; }
	go run ./cmd/mlverdict evaluate --paranoia $(or $(PL),1) $(wildcard $(DATA)/*.jsonl $(DATA)/*.jsonl.gz)

.PHONY: validation
validation: ## hold out some of what trains and tunes in DATA=DIR, into the new folder INTO=DIR, to choose by without the test: make train, make scoreboard
	@[ -n "$(DATA)" -a -n "$(INTO)" ] || { echo 'make validation: want DATA=DIR, with DIR holding $(TRAIN) and $(TUNE), and INTO=DIR, a new folder'; exit 1; }
	go run ./scripts/validation $(DATA) $(INTO)

KEEP = $(wildcard scripts/one_class.json)

.PHONY: scoreboard
scoreboard: ## hold the model against its rivals on the request files in DATA=DIR; prints the tables, writes docs/results.md and docs/img
	@[ -n "$(DATA)" ] || { echo 'make scoreboard: DATA is missing: make scoreboard DATA=DIR, with DIR holding benign-browsing-dev.jsonl.gz and others'; exit 1; }
	go run ./cmd/mlverdict scoreboard $(SCOREBOARD) $(addprefix --manifest ,$(wildcard model/default.manifest.gz)) $(addprefix --keep ,$(KEEP)) \
		--mistakes mistakes.json -o scoreboard.json --markdown docs/results.md --images docs/img $(DATA)
	@cat docs/results.md

ATTACKS := attack-mgm.jsonl.gz attack-gotestwaf.jsonl.gz attack-crs-regression.jsonl.gz

.PHONY: robustness
robustness: ## try the model on noise, and on padded and mutated attacks, of the request files in DATA=DIR; writes docs/robustness.md, takes hours
	@[ -n "$(DATA)" ] || { echo 'make robustness: DATA is missing: make robustness DATA=DIR, with DIR holding $(TRAIN) and $(ATTACKS)'; exit 1; }
	go run ./cmd/mlverdict robustness noise $(NOISE) --markdown docs/robustness.md $(addprefix --from $(DATA)/,$(TRAIN))
	go run ./cmd/mlverdict robustness padding $(PADDING) --markdown docs/robustness.md $(addprefix $(DATA)/,$(ATTACKS))
	go run ./cmd/mlverdict robustness mutation $(MUTATION) --markdown docs/robustness.md $(addprefix $(DATA)/,$(ATTACKS))
	go run ./cmd/mlverdict robustness adversarial $(ADVERSARIAL) --markdown docs/robustness.md $(addprefix $(DATA)/,$(ATTACKS))

.PHONY: augmentation
augmentation: ## train a model without data augmentation on DATA=DIR and hold the embedded one against it; into docs/robustness.md
	@[ -n "$(DATA)" ] || { echo 'make augmentation: DATA is missing: make augmentation DATA=DIR, with DIR holding what make train and make scoreboard take'; exit 1; }
	plain=$$(mktemp -d) && \
	$(MAKE) train TRAINING=--augment=false OUT=$$plain/plain.model && \
	go run ./cmd/mlverdict robustness augmentation $(AUGMENTATION) --before $$plain/plain.model $(if $(CACHE),--cache $(CACHE)) \
		--markdown docs/robustness.md $(DATA) && \
	rm -r $$plain

.PHONY: one-class
one-class: ## measure the rivals of scripts/one_class.py anew on the request files in DATA=DIR (PYTHON=FILE for a python3 that has scikit-learn)
	@[ -n "$(DATA)" ] || { echo 'make one-class: DATA is missing: make one-class DATA=DIR'; exit 1; }
	@$(PYTHON) -c 'import sklearn' 2>/dev/null || { echo 'make one-class: $(PYTHON) has no scikit-learn: apt-get install python3-sklearn, and PYTHON=/usr/bin/python3 where another comes first'; exit 1; }
	vectors=$$(mktemp -d) && \
	go run ./cmd/mlverdict scoreboard $(SCOREBOARD) --export-vectors $$vectors $(DATA) && \
	$(PYTHON) scripts/one_class.py $$vectors && \
	go run ./cmd/mlverdict scoreboard $(SCOREBOARD) --contender ocsvm,autoencoder --scores $$vectors/scores.csv -o scripts/one_class.json $(DATA) && \
	rm -r $$vectors

.PHONY: report
report: ## write report.html from scoreboard.json and mistakes.json, which make scoreboard leaves behind
	go run ./cmd/mlverdict report --mistakes mistakes.json -o report.html scoreboard.json

.PHONY: report-test
report-test: ## look at a report in headless Chromium (needs chromium)
	go test -tags browser ./internal/report
