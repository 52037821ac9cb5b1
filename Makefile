# GNU make 3.81 suffices. "make" alone lists the targets.
.DEFAULT_GOAL := help
# What a shell, a go.work in a folder above or "go env -w" says is for other projects: here every
# build is of this module, for this machine, and without asking git whose checkout it is.
export GOWORK = off
export GOFLAGS = -buildvcs=false
unexport GOOS GOARCH GO111MODULE
.PHONY: help run listen test test-short try lint lint-template lint-api client fuzz bench lanes oracles trigger build sam-test sam-local soak check screens campaign sends cancel console consent erase export upgrade redrive replay usage restore delete clean

PORT ?= 8080
# Folder of a laptop stack's environment file and logs; a second stack needs its own.
STATE = .local
# For the shell: ". name" searches PATH where the name has no slash.
ENV = "$(abspath $(STATE))/env"
# Given on the command line only: some shells have a NAME of their own.
NAME =
REPEAT =
AGO =
FROM =
TEXT =
FRESH = 1
FORWARD =
BODIES =
NO_SKIPS =
FUZZTIME ?= 20s
# Not named GOARCH: exported, that would change what "go test" builds.
LAMBDA_ARCH ?= arm64
BUILD_FLAGS = -trimpath -buildvcs=false -tags lambda.norpc -ldflags "-s -w"
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.0
GOSEC = github.com/securego/gosec/v2/cmd/gosec@v2.30.0
ACTIONLINT = github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
# What gosec says of any developer's tool on the developer's own machine: it runs commands,
# reads and writes files and asks addresses that were named to it, by numbers it made itself.
LAPTOP_ONLY = G104,G112,G115,G204,G301,G304,G306,G401,G404,G501,G703,G704
CFN_LINT = 1.58.0
CHECKOV = 3.3.30
SAM_TRANSLATOR = 1.115.0
REDOCLY = 2.77.0
OAPI_CODEGEN = github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2
PARLIAMENT = 1.6.4
MOTO = 5.2.5
# Of the plugin that copies Event Ruler and what it needs; its own version is in the POM.
MAVEN_DEPENDENCY = 3.8.1
ORACLES = .local/oracles-$(MOTO)-$(SAM_TRANSLATOR)
# README's table of regions is the same.
REGIONS = af-south-1 ap-east-1 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 ap-southeast-2 ap-southeast-3 \
  ca-central-1 eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 me-central-1 me-south-1 sa-east-1 \
  us-east-1 us-east-2 us-west-1 us-west-2
REGIONS_WITHOUT_PIPES = ap-east-2 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ca-west-1 il-central-1 mx-central-1
API_LINT = .local/redocly-$(REDOCLY)
PACKS = .local/packs-$(CFN_LINT)-$(CHECKOV)-$(SAM_TRANSLATOR)-$(PARLIAMENT)
# cdk-nag, cfn-guard and their rules; the versions are in the folder of RULES.
RULE_PACKS = .local/rule-packs
RULES = pkg/proof/template/testdata/packs

# $(call built,./pkg/x) builds .local/bin/x, says what is under way, and ends the recipe's shell
# where that fails, so that nothing older runs instead.
built = log=.local/bin/$(notdir $(1)).log; mkdir -p .local/bin; \
	( while sleep 4 >/dev/null 2>&1 && kill -0 $$$$ 2>/dev/null; do \
	  echo "Still building $(1): $$(wc -l <$$log | tr -d ' ') lines, the last: $$(tail -n 1 $$log)"; done ) & ticker=$$!; \
	go build -v -trimpath -o .local/bin/$(notdir $(1)) $(1) 2>$$log; built=$$?; \
	kill $$ticker; wait $$ticker 2>/dev/null; \
	[ $$built = 0 ] || { grep -v '^[A-Za-z0-9./_-]*$$' $$log; exit 1; };

# Prerequisite of what needs Go.
.PHONY: needs-go
needs-go:
	@command -v go >/dev/null || { echo "Go is not installed. Fix it with: the archive of go.dev/dl (Debian, Ubuntu) or brew install go (macOS)"; exit 1; }
	@test -d "$${TMPDIR:-/tmp}" && test -w "$${TMPDIR:-/tmp}" || { echo "TMPDIR is $${TMPDIR:-/tmp}, which is not a folder that can be written to. Fix it with: unset TMPDIR"; exit 1; }

# Prerequisite of what runs containers: before anything is downloaded or built.
.PHONY: needs-docker
needs-docker:
	@command -v docker >/dev/null || { echo "Docker is not installed; SAM runs the functions in its containers. Fix it with: sudo apt-get install docker.io busybox-static (Debian, Ubuntu) or Docker Desktop (macOS)"; exit 1; }

# Prerequisite of what asks a running laptop stack.
.PHONY: needs-stack
needs-stack:
	@test -f "$(STATE)/env" || { echo "Nothing runs here. Start it with: make run"; exit 1; }
	@. $(ENV); curl -sS -o /dev/null "$$CONTROL_URL/queues" 2>/dev/null || { echo "The laptop's stack is not running: nothing answers at $$CONTROL_URL. Start it with: make run"; exit 1; }

# What lint-template made of template.yaml, where that has not changed since.
fresh = $(shell test $(PACKS)/$(1) -nt template.yaml && echo "$(CURDIR)/$(PACKS)/$(1)")
MADE = TRANSLATED_TEMPLATE="$(call fresh,translated.json)" HANDLERS="$(call fresh,handlers.json)"

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

run: needs-go ## start everything on this machine (PORT=8080 STATE=.local; FORWARD=http://... gets each event)
	@$(call built,./pkg/local) exec .local/bin/local -parent $$PPID -state "$(STATE)" -port "$(PORT)" -forward "$(FORWARD)"

listen: needs-stack ## print events as they come (KIND=message CONTACT=15550100001)
	@. $(ENV); curl -sSN -G "$$CONTROL_URL/events" --data-urlencode "follow=1" --data-urlencode "kind=$(KIND)" --data-urlencode "contact=$(CONTACT)"

# What has goroutines of its own, at a cost of seconds. The race detector makes the rest ten times
# slower: megabytes byte by byte, the whole source as a graph, functions that are held to their seconds.
RACED = ./pkg/auth ./pkg/bounded ./pkg/gateway ./pkg/queue ./pkg/secret ./pkg/telemetry ./pkg/local/bridge ./pkg/local/output ./pkg/local/parent ./pkg/local/progress ./pkg/local/sim/... ./pkg/proof/await ./pkg/proof/laptop

# $(call suite,flags,packages) runs tests. The race detector needs a C compiler on Linux.
suite = .local/bin/suite $(if $(NO_SKIPS),-no-skips) -- $(1) -shuffle=on $(2) || failed=1
race = race=-race; [ "$$(go env GOOS)" = darwin ] || command -v "$$(go env CC)" >/dev/null || \
	{ race=; echo "There is no C compiler, so no data race is found. Fix it with: sudo apt-get install gcc libc6-dev"; }
unraced = $$(go list ./functions/... ./pkg/... | grep -vxF "$$(go list $(1))")
# With -short this too costs little: without it, it is held to its seconds.
RACED_SHORT = $(RACED) ./pkg/local/dynamodblocal

# These wait more than they work: they run beside the rest, each one package at a time, as several
# hold functions to their seconds on a DynamoDB Local of their own.
WAITING = ./functions/send ./functions/webhook
test: needs-go ## all tests, with real processes and DynamoDB Local; needs Java and npm
	@$(call built,./pkg/proof/suite) $(race); failed=0; export $(MADE); \
	$(call suite,$$race -timeout 10m,$(RACED)); \
	$(call suite,$(WHOLE),$(WAITING) -- $(WHOLE) -shuffle=on $(call unraced,$(RACED) $(WAITING))); exit $$failed
WHOLE = -p 1 -timeout 15m

test-short: needs-go ## the tests that need neither Java nor npm nor the network, within a minute
	@$(call built,./pkg/proof/suite) $(race); failed=0; \
	$(call suite,$(SHORT) $$race,$(RACED_SHORT) -- $(SHORT) -shuffle=on $(call unraced,$(RACED_SHORT))); exit $$failed
# Without go vet, which make lint has.
SHORT = -short -vet=off -timeout 5m

lint: needs-go lint-template lint-api ## gofmt, go vet for Linux and macOS, staticcheck, gosec, and those of the template and the API
	@test -z "$$(gofmt -l functions pkg)" || { echo "not gofmt-ed:"; gofmt -l functions pkg; exit 1; }
	go vet ./...
	GOOS=darwin go vet ./...
	go vet -tags oracles,client ./pkg/proof/oracles ./pkg/proof/contract
	go run $(STATICCHECK) ./...
	go run $(GOSEC) -quiet -exclude-dir=pkg/local -exclude-dir=pkg/ops -exclude-dir=pkg/proof ./functions/... ./pkg/...
	go run $(GOSEC) -quiet -exclude=$(LAPTOP_ONLY) ./pkg/local/... ./pkg/ops/... ./pkg/proof/...
	go run $(ACTIONLINT) -shellcheck= -pyflakes= .github/workflows/*.yml

# $(call form,name,parameters) translates template.yaml, and lints what is left of it in a stack with
# these parameters. W2001, W8001: a parameter or condition is unused in some forms; W1030: the default
# of a parameter is tried where the resource would not exist.
form = AWS_DEFAULT_REGION=us-east-1 $(PACKS)/bin/python pkg/proof/template/testdata/translate.py template.yaml $(2) > $(PACKS)/$(1).json && \
	echo "cfn-lint: the form $(1)" && $(PACKS)/bin/python $(PACKS)/bin/cfn-lint -t $(PACKS)/$(1).json -i W1030 W2001 W8001

lint-template: needs-venv $(PACKS)/ready $(RULE_PACKS)/ready ## cfn-lint, checkov, cdk-nag, cfn-guard and SAM's translator on template.yaml, parliament on its policy
	$(PACKS)/bin/python $(PACKS)/bin/cfn-lint -t template.yaml -r $(REGIONS)
	LOG_LEVEL=ERROR $(PACKS)/bin/python -m checkov.main -f template.yaml --framework cloudformation --compact --quiet --skip-download
	@$(call form,translated) -r us-east-1
	@$(call form,default,EventsOut=yes) -r us-east-1
	@$(call form,without-gradual,without=Gradual) -r us-east-1
	@$(call form,gradual,GradualDeploys=Canary10Percent5Minutes) -r us-east-1
	@$(call form,domain,DomainName=wa.example.com CertificateArn=arn:aws:acm:us-east-1:123456789012:certificate/0 HostedZoneId=Z0) -r us-east-1
	@$(call form,domain-without-record,DomainName=wa.example.com CertificateArn=arn:aws:acm:us-east-1:123456789012:certificate/0 KeepDefaultEndpoint=yes) -r us-east-1
	@$(call form,keyed,KmsKeyArn=arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012 BulkLane=yes) -r us-east-1
	LOG_LEVEL=ERROR $(PACKS)/bin/python -m checkov.main -f $(PACKS)/keyed.json --framework cloudformation --compact --quiet --skip-download --check CKV_AWS_26,CKV_AWS_27,CKV_AWS_119,CKV_AWS_149,CKV_AWS_158
	@$(call form,without-events,EventsOut=no) -r $(REGIONS_WITHOUT_PIPES)
	@$(call form,everything-without-events,EventsOut=no GradualDeploys=AllAtOnce BulkLane=yes Tracing=yes KmsKeyArn=arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012 DomainName=wa.example.com CertificateArn=arn:aws:acm:us-east-1:123456789012:certificate/0) -r $(REGIONS_WITHOUT_PIPES)
	$(PACKS)/bin/python $(RULES)/packs.py $(RULE_PACKS) $(foreach form,default gradual domain keyed everything-without-events,$(PACKS)/$(form).json)
	TRANSLATED_TEMPLATE="$(CURDIR)/$(PACKS)/translated.json" go test -count=1 -run TestWhatSAMMakes ./pkg/proof/template
	$(PACKS)/bin/python pkg/ops/command/testdata/handlers.py $(PACKS)/translated.json > $(PACKS)/handlers.json
	HANDLERS="$(CURDIR)/$(PACKS)/handlers.json" TRANSLATED_TEMPLATE="$(CURDIR)/$(PACKS)/translated.json" go test -short -count=1 -run TestThePolicy ./pkg/ops/command
	go run ./pkg/ops policy -stack connexease-dev -domain example.com -zone Z1 -key arn:aws:kms:us-east-1:123456789012:key/0 | $(PACKS)/bin/python pkg/ops/command/testdata/validate_policy.py

lint-api: $(API_LINT)/ready ## Redocly on pkg/api/openapi.yaml
	REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true $(API_LINT)/node_modules/.bin/redocly lint --config pkg/proof/contract/testdata/redocly.yaml pkg/api/openapi.yaml

.PHONY: needs-npm
needs-npm:
	@command -v npm >/dev/null || { echo "npm is not installed. Fix it with: sudo apt-get install npm (Debian, Ubuntu) or brew install node (macOS)"; exit 1; }

$(API_LINT)/ready: | needs-npm
	npm install --silent --no-audit --no-fund --prefix $(API_LINT) @redocly/cli@$(REDOCLY)
	@touch $@

.PHONY: needs-venv
needs-venv:
	@python3 -c 'import ensurepip' 2>/dev/null || { echo "python3 with venv is not installed. Fix it with: sudo apt-get install python3-venv (Debian, Ubuntu) or brew install python (macOS)"; exit 1; }

$(PACKS)/ready: | needs-venv
	@echo "Fetching cfn-lint, checkov, parliament and SAM's translator, once: about a minute"
	python3 -m venv $(PACKS)
	$(PACKS)/bin/python -m pip install -q --disable-pip-version-check cfn-lint==$(CFN_LINT) checkov==$(CHECKOV) aws-sam-translator==$(SAM_TRANSLATOR) parliament==$(PARLIAMENT)
	@touch $@

$(RULE_PACKS)/ready: $(RULES)/package.json $(RULES)/package-lock.json $(RULES)/guard.txt $(PACKS)/ready | needs-npm
	@echo "Fetching cdk-nag, cfn-guard and their rules, once: about half a minute"
	rm -rf "$(RULE_PACKS)" && mkdir -p "$(RULE_PACKS)" && cp $(RULES)/package.json $(RULES)/package-lock.json "$(RULE_PACKS)"
	npm ci --silent --ignore-scripts --no-audit --no-fund --prefix "$(RULE_PACKS)"
	$(PACKS)/bin/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes --target "$(RULE_PACKS)/python" -r $(RULES)/guard.txt
	@touch $@

fuzz: needs-go ## fuzz what meets hostile input (FUZZTIME=20s each)
	go test -run '^$$' -fuzz FuzzParseBearer -fuzztime $(FUZZTIME) ./pkg/auth
	go test -run '^$$' -fuzz FuzzSplit -fuzztime $(FUZZTIME) ./pkg/whatsapp
	go test -run '^$$' -fuzz FuzzCheck -fuzztime $(FUZZTIME) ./pkg/whatsapp
	go test -run '^$$' -fuzz FuzzCanonical -fuzztime $(FUZZTIME) ./pkg/canonical
	go test -run '^$$' -fuzz FuzzRetryAfter -fuzztime $(FUZZTIME) ./pkg/gateway
	go test -run '^$$' -fuzz FuzzWhatIsTakenForOurs -fuzztime $(FUZZTIME) ./pkg/ledger
	go test -run '^$$' -fuzz FuzzDiscriminate -fuzztime $(FUZZTIME) ./functions/send
	go test -run '^$$' -fuzz FuzzFromRecord -fuzztime $(FUZZTIME) ./pkg/order

soak: needs-go ## run everything under mixed load for a while and audit it (MINUTES=10)
	@$(call built,./pkg/proof/soak) exec .local/bin/soak -minutes $(or $(MINUTES),10)

try: needs-go ## deliver every JSON body of a folder to a stack of its own, print what was stored of each (BODIES=folder)
	@$(call built,./pkg/proof/try) exec .local/bin/try -parent $$PPID -bodies "$(BODIES)"

bench: needs-go ## measure speed, memory and sizes, as ratios in one run
	@go run ./pkg/proof/bench

lanes: needs-go ## measure a queue's pace under a rate limit, and what a campaign delays
	@$(call built,./pkg/proof/bench) exec .local/bin/bench lanes

client: needs-go ## generate a client from pkg/api/openapi.yaml by oapi-codegen, and send with it to make run's stack
	OAPI_CODEGEN="$(OAPI_CODEGEN)" go test -tags client -count=1 -run TestAGeneratedClient ./pkg/proof/contract

oracles: needs-go needs-oracles $(ORACLES)/ready ## compare the simulators, the stack and README's rules with AWS's Event Ruler and with moto (Java 17 JDK, Maven, npm, Python)
	ORACLES="$(CURDIR)/$(ORACLES)" go test -tags oracles -count=1 ./pkg/proof/oracles

.PHONY: needs-oracles
needs-oracles:
	@missing=; \
	"$${JAVA_HOME:+$$JAVA_HOME/bin/}javac" -version >/dev/null 2>&1 || missing="$$missing openjdk-17-jdk-headless"; \
	mvn -version >/dev/null 2>&1 || missing="$$missing maven"; \
	python3 -c 'import ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
	[ -z "$$missing" ] || { echo "The oracles need more than is installed. Fix it with: sudo apt-get install$$missing (Debian, Ubuntu) or brew install openjdk@17 maven python (macOS)"; exit 1; }

$(ORACLES)/ready: pkg/proof/oracles/testdata/pom.xml
	@echo "Fetching Event Ruler and moto into $(ORACLES), once: about a minute"
	rm -rf "$(ORACLES)" && mkdir -p "$(ORACLES)"
	mvn -q -B -f pkg/proof/oracles/testdata/pom.xml org.apache.maven.plugins:maven-dependency-plugin:$(MAVEN_DEPENDENCY):copy-dependencies -DoutputDirectory="$(CURDIR)/$(ORACLES)/jars"
	python3 -m venv "$(ORACLES)/moto"
	"$(ORACLES)/moto/bin/pip" install -q --disable-pip-version-check 'moto[server]==$(MOTO)' aws-sam-translator==$(SAM_TRANSLATOR)
	@touch $@

trigger: needs-stack ## list the fixtures, or deliver one (NAME=image REPEAT=2 FROM=1555... TEXT=hello AGO=25h; FRESH=0 keeps its ids and times)
	@. $(ENV); if [ -z "$(NAME)" ]; then \
	  curl -sS "$$CONTROL_URL/trigger?format=text"; \
	else \
	  curl -sS -G -X POST "$$CONTROL_URL/trigger/$(NAME)" --data-urlencode "repeat=$(REPEAT)" --data-urlencode "from=$(FROM)" --data-urlencode "text=$(TEXT)" --data-urlencode "fresh=$(FRESH)" --data-urlencode "ago=$(AGO)"; \
	fi

build: needs-go ## build the functions for Lambda into bin/
	CGO_ENABLED=0 GOOS=linux GOARCH=$(LAMBDA_ARCH) go build $(BUILD_FLAGS) -o bin/webhook/bootstrap ./functions/webhook
	CGO_ENABLED=0 GOOS=linux GOARCH=$(LAMBDA_ARCH) go build $(BUILD_FLAGS) -o bin/send/bootstrap ./functions/send

# SAM calls this for each function and says where it wants the binary.
build-%Function:
	CGO_ENABLED=0 GOOS=linux GOARCH=$(LAMBDA_ARCH) go build $(BUILD_FLAGS) -o "$(ARTIFACTS_DIR)/bootstrap" ./functions/$(shell echo $* | tr A-Z a-z)

# The layer Release of GradualDeploys, which no function has: what it holds changes with the code
# and with the template, and with nothing else.
build-Release:
	CGO_ENABLED=0 GOOS=linux GOARCH=$(LAMBDA_ARCH) go list $(BUILD_FLAGS) -export -f '{{.BuildID}}' ./functions/webhook ./functions/send > "$(ARTIFACTS_DIR)/release"
	cksum < template.yaml >> "$(ARTIFACTS_DIR)/release"

sam-test: needs-go needs-docker needs-venv ## the official SAM CLI validates, builds, and runs the functions in its containers
	@$(call built,./pkg/proof/samtest) exec .local/bin/samtest -parent $$PPID

sam-local: needs-go needs-docker needs-venv ## sam local start-api with all it needs, until Ctrl-C (PORT=8080; needs Docker)
	@$(call built,./pkg/proof/samtest) exec .local/bin/samtest -parent $$PPID -serve -port $(PORT)

check: lint test ## the gate: lint and all tests

# $(call ops,command flags) builds the operator's program and runs a command of it.
ops = $(call built,./pkg/ops) exec .local/bin/ops $(1) -state "$(STATE)" -stack "$(or $(STACK),local)"
# Given on the command line only.
CONTACT =
DO = show
ID =
KIND =
SHOW =
PICK =
QUEUE =
SENDER =
KEY =
GROUP =
LIMIT =
BEFORE =
SINCE =
UNTIL =
NUMBER =
RATE = 50
BY =
FORMAT =
HTML =
OUT =
RESUME =
WITH_TABLE =
WRITE =
SET =
WHO =
WHY =
TIME =
PART =
INTO =
WITHOUT =
GIVEN = $(if $(filter 1 yes true,$(YES)),-yes) $(if $(filter 1 yes true,$(APPLY)),-apply)

.PHONY: smoke policy delete-stack
smoke: needs-go ## try a stack as its users do: webhook, sends, queue, bus and pipe (STACK=name or local, SENDER=name)
	@$(call ops,smoke -sender "$(SENDER)")

campaign: needs-go ## show, pause, resume or cancel a campaign (STACK=name or local NAME=campaign DO=show|pause|resume|cancel QUEUE=name YES=1)
	@$(call ops,campaign $(DO) -name "$(NAME)" -queue "$(QUEUE)" $(if $(filter 1 yes true,$(YES)),-yes))

sends: needs-go ## list the messages that are unknown, queued or scheduled (STACK=name or local IS=unknown|queued|scheduled CLIENT=name)
	@$(call ops,sends $(if $(IS),-is "$(IS)") -client "$(CLIENT)")

consent: needs-go ## show what a person says about marketing messages, or set it (STACK=name or local CONTACT=15550100001 SET=stop|resume WHY=... WHO=... YES=1)
	@$(call ops,consent -contact "$(CONTACT)" -set "$(SET)" -who "$(WHO)" -why "$(WHY)" $(if $(filter 1 yes true,$(YES)),-yes))

conversation: needs-go ## print what was said with a person or in a group (STACK=name or local CONTACT=15550100001 GROUP=id LIMIT=25 BEFORE=cursor)
	@$(call ops,conversation -contact "$(CONTACT)" -group "$(GROUP)" $(if $(LIMIT),-limit "$(LIMIT)") -before "$(BEFORE)")

console: needs-go ## look into a deployed stack in the browser (STACK=name WRITE=1 PORT=8090)
	@$(call ops,console $(if $(filter 1 yes true,$(WRITE)),-write) $(if $(filter command line,$(origin PORT)),-port "$(PORT)"))

cancel: needs-go ## withdraw a message that was not sent yet (STACK=name or local ID=msg_...)
	@$(call ops,cancel -id "$(ID)")

erase: needs-go ## remove a person from the table (STACK=name or local CONTACT=15550100001 OTHERS=1 YES=1)
	@$(call ops,erase -contact "$(CONTACT)" $(if $(OTHERS),-others) $(GIVEN))

export: needs-go ## write all that the table has of a person to files in .local (STACK=name or local CONTACT=15550100001)
	@$(call ops,export -contact "$(CONTACT)" $(if $(OUT),-out "$(OUT)"))

upgrade: needs-go ## count items of the form before, and rewrite them in place (STACK=name or local APPLY=1)
	@$(call ops,upgrade $(GIVEN))

redrive: needs-go ## list, show and run again what could not be stored or sent (STACK=name or local SHOW=key PICK=key|all|reason=...|queue APPLY=1)
	@$(call ops,redrive -show "$(SHOW)" -pick "$(PICK)" $(GIVEN))

usage: needs-go ## count what was sent, delivered, read and billed (STACK=name or local SINCE=2026-10-01 UNTIL= BY=client,category,country,campaign,day FORMAT=csv|json OUT=file HTML=file RESUME=folder YES=1)
	@$(call ops,usage -since "$(SINCE)" -until "$(UNTIL)" $(if $(BY),-by "$(BY)") $(if $(FORMAT),-format "$(FORMAT)") -out "$(OUT)" -html "$(HTML)" -resume "$(RESUME)" $(if $(filter 1 yes true,$(YES)),-yes))

replay: needs-go ## put stored events on the bus again, marked (STACK=name or local KEY= SINCE=24h UNTIL= KIND= CONTACT= NUMBER= RATE=50 APPLY=1)
	@$(call ops,replay -key "$(KEY)" -since "$(SINCE)" -until "$(UNTIL)" -kind "$(KIND)" -contact "$(CONTACT)" -number "$(NUMBER)" -rate "$(RATE)" $(GIVEN))

restore: needs-go ## restore the table as of a time, merge what was sent since, swap it in (STACK=name DO=table|merge|swap TIME= INTO= FROM= WITHOUT=kinds APPLY=1)
	@$(call ops,restore $(if $(filter-out show,$(DO)),$(DO),table) -time "$(TIME)" -from "$(FROM)" -into "$(INTO)" -without "$(WITHOUT)" $(GIVEN))

policy: needs-go ## print the IAM policy that deploying a stack needs (STACK=name PART=1)
	@$(call ops,policy $(if $(PART),-part "$(PART)"))

delete-stack: needs-go ## delete a deployed stack, what is named and confirmed only (STACK=name YES=1 WITH_TABLE=name)
	@$(call ops,delete $(if $(WITH_TABLE),-with-table "$(WITH_TABLE)") $(GIVEN))

screens: needs-go ## draw every page of the console into .local/screens, and README's pictures again
	PICTURES="$(CURDIR)/.github" go test -count=1 -run 'TestDrawThePictures|TestEachPage' ./pkg/ops/console

clean: ## remove what was built
	rm -rf bin .local .aws-sam
