"""Storms that show a control for which the search has to perform some hundreds, shrunk: with it they come first."""

STORMS = {
    "no-backoff-after-young-death": """
        seed 1
        mode heal
        length 60.000 s
        setting chip=esp32 config=default policy=software
        5.000 s  broker ends-at-retained  for_ms=50000
        6.000 s  takeover
    """,
    "done-at-puback": """
        seed 1
        mode heal
        length 60.000 s
        setting chip=esp32 config=default policy=nobody
        20.000 s  broker deny-alarm  for_ms=20000
        25.000 s  press  for_ms=120 seed=4
    """,
    "never-repeated": """
        seed 1
        mode heal
        length 60.000 s
        setting chip=esp32 config=default policy=software
        20.000 s  network black-hole  for_ms=30000
        20.500 s  press  for_ms=120 seed=4
    """,
    "trusts-status": """
        seed 1
        mode heal
        length 240.000 s
        setting chip=esp32 config=default policy=software
        20.000 s  network link-refused  for_ms=200000 reason=204
        25.000 s  press  for_ms=120 seed=4
    """,
    "startup-error-is-configuration": """
        seed 1
        mode heal
        length 60.000 s
        setting chip=esp32 config=default policy=software
        20.000 s  broker down  for_ms=20000
        25.000 s  press  for_ms=120 seed=4
        30.000 s  network-fails  count=1
    """,
}
STORMS["no-last-step"] = STORMS["startup-error-is-configuration"]
