# Everything is installed by the targets themselves, without root: Python packages into .venv, runtimes into
# .tools, device libraries into lib. The one thing needed beforehand is Python 3.11 or newer, with venv.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# requirements/ has a file for each (and one for pip itself): a target installs what it needs.
SETS := run live field dev stubs
# Without the packages of that Python, whose start they only make longer.
PROVIDE := $(PYTHON) -I -S tools/environment.py
# What a shell exports for other Pythons is none of these targets' business.
unexport PYTHONPATH PYTHONHOME PYTHONSAFEPATH PYTHONSTARTUP PYTHONOPTIMIZE PYTHONINSPECT PYTHONUSERBASE
# What is imported keeps its bytecode: without it each of a test's processes compiles all of it again.
unexport PYTHONDONTWRITEBYTECODE
# Most tests wait for a process or a clock, so more workers than cores: tests/rigs/groups.py has who does what.
WORKERS ?= --numprocesses 6 --dist loadgroup
# What mypy checks against the ESP32 stubs: what runs on MicroPython. The rest of sim/chip is the host's.
HOSTS_CHIP := sim/chip/build.py sim/chip/board_cpython.py
ON_DEVICE := $(wildcard boot.py main.py image/_boot.py firmware hal field/device/agent.py field/device/accept.py) $(filter-out $(HOSTS_CHIP),$(wildcard sim/chip/*.py))

OUT ?= provisioned
SERVERS ?= build/servers
LINK ?= build/board
# LANG as it was typed behind make; the one of the environment comes with LC_ALL and the rest.
SPEAK = $(if $(findstring command,$(origin LANG)),--lang "$(LANG)")
# Where what was typed is no language that is spoken, this says so in the person's own. (Make 4.4 hands what was typed to
# $(shell) too: there LC_ALL alone counts.)
ifneq (,$(findstring command,$(origin LANG)))
export SOS_LANG := $(shell printenv LANG)
endif
TOOLBOX = $(PY) -m tools.toolbox $(SPEAK)
TARGETS = $(PYTHON) -S tools/targets.py $(firstword $(MAKEFILE_LIST))
NEEDY := desk provision revoke authority board image flash flash-all diag logs watch accept shell code

# A variable that nothing here knows, such as OUTT=, would leave the target its default: it ends make before anything
# is done. What is known is read from this file; these go to programs below, by their environment.
THROUGH := LC_ALL LC_MESSAGES STRICT MICROPYTHON MICROPYTHON32 SHELL MAKEFLAGS
TYPED := $(foreach name,$(.VARIABLES),$(if $(findstring command,$(origin $(name))),$(name)))
UNKNOWN := $(if $(TYPED),$(shell $(TARGETS) $(SPEAK) unknown $(TYPED)))
$(if $(UNKNOWN),$(error $(UNKNOWN)))

.DEFAULT_GOAL := help
.PHONY: help venv $(SETS:%=needs-%) $(NEEDY:%=given-%) tools run desk pictures test quick lint types types-host types-device build release provision revoke authority renew servers board image flash flash-all accept diag logs watch shell code bench campaign soak mutation lock clean

# What these run names what is typed behind make, not its own options (common/typed.py).
SPOKEN := run servers release renew build tools $(NEEDY)
$(foreach target,$(SPOKEN),$(eval $(target): export SOS_TARGET = $(target)))

help: ## list the targets
	@$(TARGETS) $(SPEAK)

venv: needs-run needs-live needs-field needs-dev needs-stubs ## make .venv with all pinned packages

$(SETS:%=needs-%): needs-%:
	@$(PROVIDE) $* $(SPEAK)

# Which variables a target cannot do without. What is missing is told before anything is installed.
WANTS_desk = BROKER FOLDER
WANTS_provision = FLEET
WANTS_revoke = DEVICE
WANTS_authority = DO
WANTS_board = CONFIG
WANTS_image = PORT IMAGE SHA256
WANTS_flash = PORT CONFIG
WANTS_flash-all = $(if $(BOARDS),BOARDS,$(if $(PORTS),PORTS,BOARDS|PORTS))
WANTS_code = $(if $(PORT),PORT,$(if $(DEVICE)$(CHALLENGE),DEVICE CHALLENGE,PORT|DEVICE))
$(foreach target,diag logs watch accept shell,$(eval WANTS_$(target) = PORT))
MISSING = $(strip $(foreach name,$(WANTS_$(1)),$(if $($(name)),,$(name))))

$(NEEDY:%=given-%): given-%:
	@$(if $(call MISSING,$*),$(TARGETS) $(SPEAK) missing "$*" "$(WANTS_$*)" "$(call MISSING,$*)")

tools: needs-run ## fetch and check MicroPython, mosquitto and the device libraries
	@$(TOOLBOX)

run: needs-run ## three columns and the desk in the browser; UI=script (in a pipe); RUNTIME=micropython
	@if test -t 0 -a -t 1 -a -z "$$CI" -o -n "$(filter-out script,$(UI))"; then $(PROVIDE) live $(SPEAK); fi
	@$(TOOLBOX) umqtt
	@$(PY) -m sim demo $(if $(UI),--ui $(UI)) $(if $(RUNTIME),--runtime $(RUNTIME)) $(if $(FOLDER),--folder "$(FOLDER)") $(SPEAK)

desk: given-desk needs-live ## BROKER=HOST:PORT FOLDER=register [ARGS="--listen ..."]: the desk for columns elsewhere
	@$(PY) -m desk --broker "$(BROKER)" --folder "$(FOLDER)" $(SPEAK) $(ARGS)

pictures: needs-dev tools ## docs/img anew: the desk, a pillar (by their tests)
	@$(PY) -m pytest -q tests/browser/test_pictures.py --pictures docs/img

test: ## lint, types and all tests; STRICT=1: a missing runtime is a failure
	@$(MAKE) --no-print-directory --jobs 4 lint types tools
	@failed=0; \
	$(PY) -m pytest -m alone $(PYTEST_ARGS) || failed=1; \
	$(PY) -m pytest $(WORKERS) -m "not alone" $(PYTEST_ARGS) || failed=1; \
	exit $$failed

# What needs no other program than Python: the firmware, its world in virtual time, the contract, the rules of the house.
QUICK = tests/firmware tests/virtual tests/contract tests/house tests/chip tests/field
quick: lint ## lint and the fast tests, in less than a minute on two cores
	@$(TOOLBOX) umqtt
	$(PY) -m pytest --quiet --numprocesses 3 -m "not slow and not alone and not program" $(QUICK)

lint: needs-dev ## ruff
	$(PY) -m ruff check .

types: types-host types-device ## mypy: the host's code, then the device's against the ESP32 stubs

types-host: needs-dev needs-stubs
	$(PY) -m mypy

types-device: needs-dev needs-stubs
	$(if $(ON_DEVICE),$(PY) -m mypy --config-file mypy-device.ini $(ON_DEVICE))

build: needs-field ## build/bundle: what a board gets, with a manifest of hashes and a size budget
	@$(TOOLBOX) umqtt > /dev/null
	@$(PY) -m field.bundle $(SPEAK)

release: needs-field ## [OUT=build/release KEYS="a.pem b.pem" FLOOR=1.2.0 KEY=private.pem]: files, manifest and SBOM of an update over the air
	@$(TOOLBOX) umqtt > /dev/null
	@$(PY) -m field.release make --out "$(if $(findstring command,$(origin OUT)),$(OUT),build/release)" \
	  $(if $(KEYS),--keys $(KEYS)) $(if $(FLOOR),--floor "$(FLOOR)") $(if $(KEY),--key "$(KEY)") $(SPEAK)

provision: given-provision needs-field ## FLEET=fleet.csv [OUT=provisioned]: configurations, keys, the broker's files, labels
	@$(PY) -m field.provision "$(FLEET)" --out "$(OUT)" $(SPEAK)

revoke: given-revoke needs-field ## DEVICE=ID [OUT=provisioned]: a stolen column is cut off at the broker and the desk
	@$(PY) -m field.revocation "$(DEVICE)" --out "$(OUT)" $(SPEAK)

authority: given-authority needs-field ## DO=add|switch|drop [NAME=...] [ROLLOUT=status.json] [FORCE=1] [OUT=provisioned]: another authority takes the place of the one that is there
	@$(PY) -m field.authorities "$(DO)" $(if $(NAME),--name "$(NAME)") $(if $(ROLLOUT),--rollout "$(ROLLOUT)") $(if $(FORCE),--force) --out "$(OUT)" $(SPEAK)

renew: needs-field ## [OUT=provisioned]: what provisioning made anew, sealed for each column: to be sent by .venv/bin/python -m desk.rollout
	@$(PY) -m field.renewal --out "$(OUT)" $(SPEAK)

servers: needs-run needs-field ## [OUT=provisioned] [BREAK="stream clock"] [STAND_INS=1]: broker, centre, cameras, intercoms and clock of that fleet, for boards and a desk
	@$(TOOLBOX) mosquitto > /dev/null
	@$(PY) -m sim servers "$(OUT)" --state "$(SERVERS)" $(foreach name,$(BREAK),--break "$(name)") $(if $(STAND_INS),--stand-ins) $(SPEAK)

board: given-board needs-run needs-field ## CONFIG=provisioned/columns/ID [LINK=build/board HEAP=112k NO_PSRAM=1 FAULT="deaf" CARD=file]: a virtual board, its serial port is LINK
	@$(TOOLBOX) micropython umqtt > /dev/null
	@mkdir -p "$$(dirname "$(LINK)")"
	@$(PY) -m sim board --wired-for "$(CONFIG)" --servers "$(SERVERS)/connect-to" --flash "$(LINK).img" --link "$(LINK)" \
	  $(if $(RUNTIME),--runtime "$(RUNTIME)") $(if $(HEAP),--heap "$(HEAP)") $(if $(NO_PSRAM),--no-psram) \
	  $(foreach name,$(FAULT),--fault "$(name)") $(if $(CARD),--card "$(CARD)") $(SPEAK)

image: given-image needs-field ## PORT=/dev/ttyUSB0 IMAGE=ESP32.bin SHA256=... [ERASE=1]: MicroPython itself, with esptool
	@$(PY) -m field.image "$(PORT)" "$(IMAGE)" --sha256 "$(SHA256)" $(if $(ERASE),--erase) $(SPEAK)

FLASH = $(PY) -m field.flash --log "$(OUT)/flashed.csv" $(if $(FORCE),--force) $(SPEAK)

flash: given-flash needs-field ## PORT=/dev/ttyUSB0 CONFIG=provisioned/columns/ID [FORCE=1]: bring a board up to date; OUT/flashed.csv is the log
	@$(TOOLBOX) umqtt > /dev/null
	@$(FLASH) "$(PORT)=$(CONFIG)"

flash-all: given-flash-all needs-field ## BOARDS="PORT=CONFIG 'PORT=A FOLDER'", or PORTS="PORT PORT" of columns that OUT provisioned [FORCE=1]: several at once
	@$(TOOLBOX) umqtt > /dev/null
	@$(FLASH) $(BOARDS) $(foreach port,$(PORTS),"$(port)=$(OUT)/columns")

diag: given-diag needs-field ## PORT=/dev/ttyUSB0 [JSON=1] [LANG=ru]: check up on a column on duty: PASS, WARN, FAIL, and what to do
	@$(TOOLBOX) umqtt > /dev/null
	@$(PY) -m field.diag "$(PORT)" $(if $(JSON),--json) --out "$(OUT)" $(SPEAK)

logs: given-logs needs-field ## PORT=/dev/ttyUSB0 [JSON=1] [LANG=ru]: last reset, faults and journal of a column on duty
	@$(PY) -m field.logs "$(PORT)" $(if $(JSON),--json) $(SPEAK)

watch: given-watch needs-field ## PORT=/dev/ttyUSB0 [JSON=1] [LANG=ru]: lamp, button, link and queue of a column on duty, live
	@$(PY) -m field.watch "$(PORT)" $(if $(JSON),--json) $(SPEAK)

accept: given-accept needs-field ## PORT=/dev/ttyUSB0 [JSON=1] [LANG=ru] [SECONDS=60] [SERVER=HOST:8883 WIFI=ssid: a TLS session too] [JUMPER=18-23: a lead between two pins]: a board's figures against the model's
	@$(PY) -m field.accept "$(PORT)" $(if $(JSON),--json) --out "$(OUT)" $(SPEAK) \
	  $(if $(SECONDS),--seconds "$(SECONDS)") $(if $(SERVER),--server "$(SERVER)" --wifi "$(WIFI)") $(if $(JUMPER),--jumper "$(JUMPER)")

shell: given-shell needs-field ## PORT=/dev/ttyUSB0 [MINUTES=30]: mpremote's prompt, the column off duty meanwhile
	@$(PY) -m field.shell "$(PORT)" $(if $(MINUTES),--minutes $(MINUTES)) --out "$(OUT)" $(SPEAK)

code: given-code needs-field ## DEVICE=ID CHALLENGE=16777300-1, or PORT=/dev/ttyUSB0 [CODE=12345678] [OUT=provisioned]: a technician's one-time code
	@$(PY) -m field.code $(if $(PORT),--port "$(PORT)" $(if $(CODE),--code "$(CODE)"),"$(DEVICE)" "$(CHALLENGE)") --out "$(OUT)" $(SPEAK)

bench: tools needs-live needs-dev ## measure, side by side with stock umqtt.simple
	@$(TOOLBOX) gstreamer baresip chromium > /dev/null
	@$(PY) -m sim bench

CAMPAIGN = $(PY) -m sim campaign $(if $(CONTROL),--control $(CONTROL)) $(if $(SEED),--seed $(SEED)) $(if $(JSON),--json "$(JSON)")

campaign: tools ## search for broken promises; BUDGET=minutes PARTS="storms year power_cuts" CONTROL=name SEED=n JSON=file
	@$(CAMPAIGN) $(if $(BUDGET),--budget $(BUDGET)) $(if $(PARTS),--parts "$(PARTS)")

soak: tools ## the campaign in real time: brokers under faults, endurance; BUDGET=minutes
	@$(CAMPAIGN) --budget $(or $(BUDGET),60) --parts "$(or $(PARTS),brokers endurance)"

mutation: needs-dev tools ## how many small changes of the firmware the fast tests notice; takes hours
	@$(PY) -m tools.mutation

UV = .tools/lock/bin/uv pip compile --quiet --no-config $(if $(UPGRADE),--upgrade) --universal --python-version 3.11 \
  --fork-strategy fewest --generate-hashes --no-annotate --custom-compile-command "make lock"
IN = $(foreach set,$(1),requirements/$(set).in)

lock: ## [UPGRADE=1]: pin requirements/*.in with hashes; without UPGRADE what is pinned stays
	@rm -rf .tools/lock && $(PYTHON) -I -m venv .tools/lock
	@.tools/lock/bin/python -I -m pip install --quiet uv==0.13.9
	@$(UV) $(call IN,run live field dev) --output-file requirements/dev.txt
	@$(UV) $(call IN,run) --constraint requirements/dev.txt --output-file requirements/run.txt
	@$(UV) $(call IN,run live) --constraint requirements/dev.txt --output-file requirements/live.txt
	@$(UV) $(call IN,field) --constraint requirements/dev.txt --output-file requirements/field.txt
	@$(UV) --no-deps $(call IN,stubs) --output-file requirements/stubs.txt
	@$(UV) --no-deps $(call IN,pip) --output-file requirements/pip.txt
	@rm -rf .tools/lock

clean: ## remove everything that make made
	rm -rf $(VENV) .tools build lib/umqtt .mypy_cache .pytest_cache .ruff_cache .hypothesis
