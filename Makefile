# Everything a developer types. `go test ./...` alone works too; `make` adds the checks, the second database engine and the real builders.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test e2e e2e-full check lines words recipes mutate bench golden tools

# Whatever is installed or built beside the sources is kept here, outside the checkout.
export SLUICEDEV_CACHE ?= $(HOME)/.cache/sluice
BIN := $(SLUICEDEV_CACHE)/bin

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: ## Start Sluice in front of its built-in demo builder
	go run . serve --protect demo

test: check recipes ## Run all checks, recipes and tests, storage on SQLite and on a real PostgreSQL
	e2e/install-deps.sh postgresql
	e2e/install-moto.sh
	SLUICEDEV_POSTGRES=require SLUICEDEV_MOTO=require go test ./...

e2e: install-builders ## A day of each role with Flowise and Langflow in a real Chromium (installs them when missing)
	go test -tags e2e -short -count=1 -timeout 25m ./e2e/...

e2e-full: install-builders ## All of e2e: also imports, troubles, an older Langflow, OpenID providers, reverse proxies
	go test -tags e2e -count=1 -timeout 150m ./e2e/...

.PHONY: install-builders
install-builders:
	e2e/install-deps.sh chromium fonts-dejavu-core
	e2e/install-flowise.sh
	e2e/install-langflow.sh
	e2e/install-clients.sh

check: tools lines words ## Check formatting, vet, staticcheck, other systems, and that generated files are fresh
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not gofmt-clean:"; echo "$$unformatted"; exit 1; fi
	go mod tidy -diff
	go vet ./...
	go vet -tags e2e ./e2e/...
	cd tools && go vet ./... && go test ./...
	$(BIN)/staticcheck ./...
	$(BIN)/staticcheck -tags e2e ./e2e/...
	go run -C tools ./systems darwin windows
	tools/golden.sh --check

lines: ## Check the width of lines and print which files and functions are long
	go run -C tools ./lines

words: ## Check the English of comments, messages, pages, mails and documents
	go run -C tools ./words

recipes: tools ## Carry out every recipe of CONTRIBUTING.md on a copy of the sources
	go run -C tools ./recipes

mutate: ## Change the code of the deciding packages in small ways and see whether their tests notice (hours)
	tools/mutate.sh

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
