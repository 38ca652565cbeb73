# Everything a developer types. `go test ./...` alone works too; `make` adds the checks, the second database engine and the real builders.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test e2e check bench golden tools

# Whatever is installed or built beside the sources is kept here, outside the checkout.
export SLUICEDEV_CACHE ?= $(HOME)/.cache/sluice
BIN := $(SLUICEDEV_CACHE)/bin

help: ## List the targets
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: ## Start Sluice in front of its built-in demo builder
	go run . serve --protect demo

test: check ## Run all checks and tests, storage on SQLite and on a real PostgreSQL
	e2e/install-deps.sh postgresql
	e2e/install-moto.sh
	SLUICEDEV_POSTGRES=require SLUICEDEV_MOTO=require go test ./...

e2e: ## Drive real builders, Flowise and two releases of Langflow, in a real Chromium (installs them when missing)
	e2e/install-deps.sh chromium fonts-dejavu-core
	e2e/install-flowise.sh
	e2e/install-langflow.sh
	e2e/install-clients.sh
	go test -tags e2e -count=1 -timeout 30m ./e2e/...

check: tools ## Check formatting, vet, staticcheck and that generated files are fresh
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not gofmt-clean:"; echo "$$unformatted"; exit 1; fi
	go mod tidy -diff
	go vet ./...
	go vet -tags e2e ./e2e/...
	GOOS=darwin go build ./... && GOOS=windows go build ./...
	$(BIN)/staticcheck ./...
	$(BIN)/staticcheck -tags e2e ./e2e/...
	tools/golden.sh --check

bench: ## Compare with a bare reverse proxy and measure start and memory
	e2e/install-deps.sh wrk
	go run ./bench

golden: tools ## Regenerate what is generated: sqlc, templ, css, docs/configuration.md
	tools/golden.sh

# The tools are named in tools/go.mod. The stamp names their versions and Go's, so that a change of either builds them anew.
TOOLS_STAMP := $(BIN)/.built-$(shell (go env GOVERSION; cat tools/go.mod) | sha256sum | cut -c1-16)

tools: $(TOOLS_STAMP) ## Build sqlc, templ and staticcheck into the cache

$(TOOLS_STAMP):
	@echo "building sqlc, templ and staticcheck into $(BIN) (about 3 minutes, once)"
	mkdir -p $(BIN)
	cd tools && GOBIN=$(BIN) go install tool
	rm -f $(BIN)/.built-*
	touch $@
