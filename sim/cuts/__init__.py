"""Power cuts at every flash operation, on the real LittleFS under real MicroPython with the real firmware on top.

device/    runs inside MicroPython: NOR flash, light board, a life with its deaths, the check of what a death left
stage.py   the folder that MicroPython starts from: the firmware compiled, a deliberate break applied to the copy
lives.py   which lives are led, on which flash chips
hunt.py    leads them, shares the check of equal images, gathers figures and violations
"""
