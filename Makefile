# Two commands: `make demo` (a district under watch on http://127.0.0.1:8050) and `make test`.
# Both install what they need the first time and need no network afterwards.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python
GEOAPP := $(VENV)/bin/geoapp
PYTHON ?= python3
# On machines where the plain torch wheel would bring CUDA: make demo PIP_OPTIONS="--extra-index-url <PyTorch's CPU index>"
PIP_OPTIONS ?=
RUN_PACKAGES := postgresql-15-postgis-3 python3-venv libgl1 libglib2.0-0
# An RTSP server to fetch from: GStreamer's, under the system's python3.
RTSP_PACKAGES := python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly
# libatomic1: the browser driver of playwright is a program of its own that needs it.
# mosquitto: the broker that messages over MQTT are tested against.
TEST_PACKAGES := chromium chromium-headless-shell fonts-noto-cjk libatomic1 mosquitto $(RTSP_PACKAGES)
WORKERS ?= 3

.PHONY: help demo test test-long lint environment system system-test lock screenshots clean

help:
	@echo "make demo        the sample city under watch, map at http://127.0.0.1:8050 (Ctrl-C stops it)"
	@echo "make test        the test suite"
	@echo "make test-long   the same with full counts"
	@echo "make lint        ruff and mypy"
	@echo "make screenshots the README's pictures, from a running demo"
	@echo "make lock        requirements.lock from pyproject.toml"

demo: system environment
	@exec $(GEOAPP) demo

test: system system-test environment
	@$(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not long" $(PYTEST_ARGS)

test-long: system system-test environment
	@$(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --timeout 3600 $(PYTEST_ARGS)

lint: environment
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy

screenshots: system-test environment
	@$(GEOAPP) screenshots

# The environment is rebuilt only when the lock or the project file changed: its stamp holds their digest.
environment:
	@want=$$(cat requirements.lock pyproject.toml | sha256sum | cut -d' ' -f1); \
	if [ "$$(cat $(VENV)/installed 2>/dev/null)" != "$$want" ]; then \
	    echo "安装 Python 环境 / installing the Python environment into $(VENV) …"; \
	    [ -x $(PY) ] || $(PYTHON) -m venv $(VENV); \
	    $(PY) -m pip install --disable-pip-version-check --progress-bar on $(PIP_OPTIONS) -r requirements.lock \
	        | { grep -v 'already satisfied' || true; }; \
	    $(PY) -m pip install --disable-pip-version-check -qq --no-deps --no-build-isolation -e . 2>$(VENV)/editable.log \
	        || { cat $(VENV)/editable.log; exit 1; }; \
	    echo "$$want" > $(VENV)/installed; \
	fi

# $(1): packages; $(2): a shell test that is true when they are there.
define install_packages
	@if ! ( $(2) ); then \
	    if [ "$$(id -u)" = 0 ]; then as=""; \
	    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as="sudo"; \
	    else echo "缺少系统软件 / system packages are missing. Run:"; \
	         echo "  sudo apt-get update && sudo apt-get install -y $(1)"; exit 1; fi; \
	    echo "安装系统软件 / installing system packages: $(1)"; \
	    $$as apt-get update -q; \
	    DEBIAN_FRONTEND=noninteractive $$as apt-get install -y -q --no-install-recommends $(1); \
	fi
endef

# ldconfig lies in /sbin, which is not on a plain account's PATH; grep reads to the end, since pipefail counts a cut-off list.
LIBRARIES := PATH=$$PATH:/usr/sbin:/sbin ldconfig -p
RTSP_SERVER := ls /usr/lib/*/girepository-1.0/GstRtspServer-1.0.typelib /usr/lib/*/gstreamer-1.0/libgstx264.so /usr/lib/*/gstreamer-1.0/libgstrtp.so /usr/lib/*/gstreamer-1.0/libgstvideotestsrc.so >/dev/null 2>&1 && /usr/bin/python3 -c 'import gi' 2>/dev/null

system:
	$(call install_packages,$(RUN_PACKAGES),ls /usr/share/postgresql/*/extension/postgis.control >/dev/null 2>&1 && $(PYTHON) -c 'import venv; import ensurepip' 2>/dev/null && $(LIBRARIES) | grep libGL.so.1 >/dev/null && $(LIBRARIES) | grep libglib-2.0.so.0 >/dev/null)

system-test:
	$(call install_packages,$(TEST_PACKAGES),command -v chromium >/dev/null && command -v chromium-headless-shell >/dev/null && ls /usr/lib/*/libatomic.so.1 >/dev/null 2>&1 && ls /usr/share/fonts/opentype/noto/*CJK* >/dev/null 2>&1 && ls /usr/sbin/mosquitto >/dev/null 2>&1 && $(RTSP_SERVER))

lock:
	@$(PY) -m pip install --disable-pip-version-check -q --dry-run --ignore-installed --report /dev/stdout -e '.[dev]' \
	    | $(PY) -c 'import json, sys; rows = json.load(sys.stdin)["install"]; print("# make lock: every package of .[dev], pinned."); print("\n".join(sorted(f"""{r["metadata"]["name"]}=={r["metadata"]["version"].split("+")[0]}""" for r in rows if r["metadata"]["name"] != "geoapp")))' \
	    > requirements.lock.new && mv requirements.lock.new requirements.lock

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
