# For integrators who build their own image of MicroPython: the column frozen into it. Its code takes no heap then, and
# it starts even when the file system cannot be mounted. Build with:
#   make -C ports/esp32 BOARD=ESP32_GENERIC_S3 FROZEN_MANIFEST=<this file>
# and for an ESP32 without PSRAM, whose heap has to be larger than the port's:
#   make -C ports/esp32 BOARD_DIR=<image/SOS_COLUMN_ESP32 beside this file>
# Of the port's own modules one is needed; image/_boot.py stands in for its _boot.py and inisetup.py.
freeze("$(PORT_DIR)/modules", "flashbdev.py")
require("umqtt.simple")
freeze("image", "_boot.py")
package("firmware")
package("hal")
module("boot.py")
module("main.py")
