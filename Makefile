# Everything is installed by the targets themselves, without root: Python packages into .venv, runtimes into
# .tools, device libraries into lib. The one thing needed beforehand is Python 3.11 or newer, with venv.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
STUBS := .tools/stubs/.installed
PIP := $(PY) -m pip --disable-pip-version-check --quiet --quiet
# Most tests wait for a process or a clock, so more workers than cores. A group (the browser's) stays on one worker.
PYTEST_ARGS ?= --numprocesses 4 --dist loadgroup
# What mypy checks against the ESP32 stubs: what runs on MicroPython. The rest of sim/chip is the host's.
HOSTS_CHIP := sim/chip/build.py sim/chip/board_cpython.py
DEVICE := $(wildcard boot.py main.py firmware hal field/device/agent.py) $(filter-out $(HOSTS_CHIP),$(wildcard sim/chip/*.py))

OUT ?= provisioned
SERVERS ?= build/servers
LINK ?= build/board

.DEFAULT_GOAL := help
.PHONY: help venv tools run desk pictures test lint types build provision servers board image flash flash-all diag logs watch shell bench campaign soak mutation lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(STAMP) $(STUBS) ## make .venv with the pinned packages

$(STAMP): requirements.txt
	@echo "== .venv: pinned Python packages"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: $(PYTHON) is older than 3.11 or missing; run: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) \
	  || { echo "error: $(PYTHON) cannot make a venv; install its venv package (Debian: python3-venv)"; exit 1; }
	@$(PIP) install --requirement requirements.txt
	@touch $@

$(STUBS): requirements-stubs.txt $(STAMP)
	@echo "== .tools/stubs: stubs of the ESP32's modules"
	@rm -rf $(@D)
	@$(PIP) install --no-deps --target $(@D) --requirement requirements-stubs.txt
	@touch $@

tools: venv ## fetch and check MicroPython, mosquitto and the device libraries
	@$(PY) -m tools.toolbox

run: venv ## three columns and the desk in the browser; UI=script (in a pipe); RUNTIME=micropython
	@$(PY) -m tools.toolbox umqtt
	@$(PY) -m sim demo $(if $(UI),--ui $(UI)) $(if $(RUNTIME),--runtime $(RUNTIME)) $(if $(FOLDER),--folder "$(FOLDER)")

desk: venv ## BROKER=HOST:PORT FOLDER=register [ARGS="--listen ..."]: the desk for columns elsewhere
	@test -n "$(BROKER)" -a -n "$(FOLDER)" || { echo "error: make desk BROKER=HOST:PORT FOLDER=register"; exit 2; }
	@$(PY) -m desk --broker "$(BROKER)" --folder "$(FOLDER)" $(ARGS)

pictures: tools ## docs/img anew: the desk, a pillar (by their tests)
	@$(PY) -m pytest -q tests/browser/test_pictures.py --pictures docs/img

test: lint types tools ## lint, types and all tests; STRICT=1: a missing runtime is a failure
	$(PY) -m pytest $(PYTEST_ARGS)

lint: venv ## ruff
	$(PY) -m ruff check .

types: venv ## mypy: the host's code, then the device's against the ESP32 stubs
	$(PY) -m mypy
	$(if $(DEVICE),$(PY) -m mypy --config-file mypy-device.ini $(DEVICE))

build: venv ## build/bundle: what a board gets, with a manifest of hashes and a size budget
	@$(PY) -m tools.toolbox umqtt
	@$(PY) -m field.bundle

provision: venv ## FLEET=fleet.csv [OUT=provisioned]: configurations, keys, the broker's files, labels
	@test -n "$(FLEET)" || { echo "error: which fleet? make provision FLEET=examples/petropavl/fleet.csv"; exit 2; }
	@$(PY) -m field.provision "$(FLEET)" --out "$(OUT)"

servers: venv ## [OUT=provisioned] [BREAK="stream clock"]: broker, centre, cameras and clock of that fleet, for boards
	@$(PY) -m tools.toolbox mosquitto > /dev/null
	@$(PY) -m sim servers "$(OUT)" --state "$(SERVERS)" $(foreach name,$(BREAK),--break "$(name)")

board: venv ## CONFIG=provisioned/columns/ID [LINK=build/board HEAP=112k]: a virtual board, its serial port is LINK
	@test -n "$(CONFIG)" || { echo "error: make board CONFIG=provisioned/columns/ID"; exit 2; }
	@$(PY) -m tools.toolbox micropython umqtt > /dev/null
	@mkdir -p "$(dir $(LINK))"
	@$(PY) -m sim board --wired-for "$(CONFIG)" --servers "$(SERVERS)/connect-to" --flash "$(LINK).img" --link "$(LINK)" \
	  $(if $(RUNTIME),--runtime "$(RUNTIME)") $(if $(HEAP),--heap "$(HEAP)")

image: venv ## PORT=/dev/ttyUSB0 IMAGE=ESP32.bin SHA256=... [ERASE=1]: MicroPython itself, with esptool
	@test -n "$(PORT)" -a -n "$(IMAGE)" || { echo "error: make image PORT=/dev/ttyUSB0 IMAGE=ESP32.bin SHA256=..."; exit 2; }
	@$(PY) -m field.image "$(PORT)" "$(IMAGE)" --sha256 "$(SHA256)" $(if $(ERASE),--erase)

flash: venv ## PORT=/dev/ttyUSB0 CONFIG=provisioned/columns/ID: bring a board up to date
	@test -n "$(PORT)" -a -n "$(CONFIG)" || { echo "error: make flash PORT=/dev/ttyUSB0 CONFIG=provisioned/columns/ID"; exit 2; }
	@$(MAKE) --no-print-directory flash-all BOARDS="$(PORT)=$(CONFIG)"

flash-all: venv ## BOARDS="PORT=CONFIG PORT=CONFIG", or PORTS="PORT PORT" of columns that OUT provisioned: several at once
	@test -n "$(BOARDS)$(PORTS)" || { echo 'error: make flash-all BOARDS="PORT=CONFIG PORT=CONFIG", or PORTS="PORT PORT"'; exit 2; }
	@$(PY) -m tools.toolbox umqtt
	@$(PY) -m field.flash $(BOARDS) $(foreach port,$(PORTS),$(port)=$(OUT)/columns)

diag: venv ## PORT=/dev/ttyUSB0 [JSON=1] [LANG=ru]: check up on a column on duty: PASS, WARN, FAIL, and what to do
	@test -n "$(PORT)" || { echo "error: make diag PORT=/dev/ttyUSB0"; exit 2; }
	@$(PY) -m tools.toolbox umqtt > /dev/null
	@$(PY) -m field.diag "$(PORT)" $(if $(JSON),--json)

logs: venv ## PORT=/dev/ttyUSB0 [JSON=1]: last reset, faults and journal of a column on duty
	@test -n "$(PORT)" || { echo "error: make logs PORT=/dev/ttyUSB0"; exit 2; }
	@$(PY) -m field.logs "$(PORT)" $(if $(JSON),--json)

watch: venv ## PORT=/dev/ttyUSB0 [JSON=1]: lamp, button, link and queue of a column on duty, live
	@test -n "$(PORT)" || { echo "error: make watch PORT=/dev/ttyUSB0"; exit 2; }
	@$(PY) -m field.watch "$(PORT)" $(if $(JSON),--json)

shell: venv ## PORT=/dev/ttyUSB0 [MINUTES=30]: mpremote's prompt, the column off duty meanwhile
	@test -n "$(PORT)" || { echo "error: make shell PORT=/dev/ttyUSB0"; exit 2; }
	@$(PY) -m field.shell "$(PORT)" $(if $(MINUTES),--minutes $(MINUTES))

bench: tools ## measure, side by side with stock umqtt.simple
	@$(PY) -m sim bench

CAMPAIGN = $(PY) -m sim campaign $(if $(CONTROL),--control $(CONTROL)) $(if $(SEED),--seed $(SEED)) $(if $(JSON),--json $(JSON))

campaign: tools ## search for broken promises; BUDGET=minutes PARTS="storms year power_cuts" CONTROL=name SEED=n JSON=file
	@$(CAMPAIGN) $(if $(BUDGET),--budget $(BUDGET)) $(if $(PARTS),--parts "$(PARTS)")

soak: tools ## the campaign in real time: brokers under faults, endurance; BUDGET=minutes
	@$(CAMPAIGN) --budget $(or $(BUDGET),60) --parts "$(or $(PARTS),brokers endurance)"

mutation: tools ## how many small changes of the firmware the fast tests notice; a quarter of an hour
	@$(PY) -m tools.mutation

lock: ## pin requirements.in anew into requirements.txt
	@rm -rf .tools/lock-venv && $(PYTHON) -m venv .tools/lock-venv
	@.tools/lock-venv/bin/python -m pip install --quiet --requirement requirements.in
	@{ echo "# Made by 'make lock' from requirements.in; do not edit."; \
	  .tools/lock-venv/bin/python -m pip freeze; } > requirements.txt
	@rm -rf .tools/lock-venv

clean: ## remove everything that make made
	rm -rf $(VENV) .tools build lib/umqtt .mypy_cache .pytest_cache .ruff_cache .hypothesis
