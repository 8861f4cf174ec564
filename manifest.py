# For integrators who build their own image of MicroPython: the column frozen into it, so that it starts
# even when the filesystem cannot be mounted. Build with:
#   make -C ports/esp32 BOARD=ESP32_GENERIC FROZEN_MANIFEST=<this file>
include("$(PORT_DIR)/boards/manifest.py")
require("umqtt.simple")
package("firmware")
package("hal")
module("boot.py")
module("main.py")
