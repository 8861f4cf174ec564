# An ESP32 without PSRAM, the column frozen into its image: make -C ports/esp32 BOARD_DIR=<this folder>
#
# The port begins with 56 KB of heap on this chip (ports/esp32/mpconfigport.h). The column lives in 55, its worst moments
# in 57: one day the heap would grow by as much again, and Wi-Fi and TLS would have no room for a handshake any more.
include(boards/ESP32_GENERIC/mpconfigboard.cmake)

list(APPEND MICROPY_DEF_BOARD
    MICROPY_GC_INITIAL_HEAP_SIZE=73728
)

set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/../../manifest.py)
