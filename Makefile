# GNU make 3.81 suffices. "make" alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help run test lint fuzz bench trigger build check erase delete clean

PORT ?= 8080
FUZZTIME ?= 20s
# Not named GOARCH: exported, that would change what "go test" builds.
LAMBDA_ARCH ?= arm64
BUILD_FLAGS = -trimpath -buildvcs=false -tags lambda.norpc -ldflags "-s -w"
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.0

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

run: ## start everything on this machine (PORT=8080)
	@go build -o .local/bin/local ./pkg/local && exec .local/bin/local -end-with-parent -port $(PORT)

# One package at a time: several hold functions to their seconds on a DynamoDB Local of their own.
test: ## all tests, with real processes and DynamoDB Local
	go test -p 1 -timeout 15m ./...

lint: ## gofmt, go vet for Linux and macOS, staticcheck
	@test -z "$$(gofmt -l functions pkg)" || { echo "not gofmt-ed:"; gofmt -l functions pkg; exit 1; }
	go vet ./...
	GOOS=darwin go vet ./...
	go run $(STATICCHECK) ./...

fuzz: ## fuzz what meets hostile input (FUZZTIME=20s each)
	go test -run '^$$' -fuzz FuzzParseBearer -fuzztime $(FUZZTIME) ./pkg/auth
	go test -run '^$$' -fuzz FuzzSplit -fuzztime $(FUZZTIME) ./pkg/whatsapp
	go test -run '^$$' -fuzz FuzzCheck -fuzztime $(FUZZTIME) ./pkg/whatsapp
	go test -run '^$$' -fuzz FuzzRetryAfter -fuzztime $(FUZZTIME) ./pkg/gateway
	go test -run '^$$' -fuzz FuzzWhatIsTakenForOurs -fuzztime $(FUZZTIME) ./pkg/ledger
	go test -run '^$$' -fuzz FuzzDiscriminate -fuzztime $(FUZZTIME) ./functions/send

bench: ## measure speed, memory and sizes, as ratios in one run
	@go run ./pkg/local/bench

trigger: ## list the fixtures, or deliver one (NAME=image REPEAT=2 FROM=1555... TEXT=hello FRESH=1)
	@test -f .local/env || { echo "Nothing runs here. Start it with: make run"; exit 1; }
	@. ./.local/env; if [ -z "$(NAME)" ]; then \
	  curl -sS "$$CONTROL_URL/trigger?format=text"; \
	else \
	  curl -sS -G -X POST "$$CONTROL_URL/trigger/$(NAME)" --data-urlencode "repeat=$(REPEAT)" --data-urlencode "from=$(FROM)" --data-urlencode "text=$(TEXT)" --data-urlencode "fresh=$(FRESH)"; \
	fi

build: ## build the functions for Lambda into bin/
	CGO_ENABLED=0 GOOS=linux GOARCH=$(LAMBDA_ARCH) go build $(BUILD_FLAGS) -o bin/webhook/bootstrap ./functions/webhook
	CGO_ENABLED=0 GOOS=linux GOARCH=$(LAMBDA_ARCH) go build $(BUILD_FLAGS) -o bin/send/bootstrap ./functions/send

# SAM calls this for each function and says where it wants the binary.
build-%Function:
	CGO_ENABLED=0 GOOS=linux GOARCH=$(LAMBDA_ARCH) go build $(BUILD_FLAGS) -o "$(ARTIFACTS_DIR)/bootstrap" ./functions/$(shell echo $* | tr A-Z a-z)

check: ## try a deployed stack as its users do, or the laptop's (STACK=name or local)
	@sh .ops/check "$(STACK)"

erase: ## remove a contact from the table (STACK=name or local CONTACT=15550100001)
	@sh .ops/erase "$(STACK)" "$(CONTACT)"

delete: ## delete a deployed stack, what is named and confirmed only (STACK=name)
	@sh .ops/delete "$(STACK)"

clean: ## remove what was built
	rm -rf bin .local .aws-sam
