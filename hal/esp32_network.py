"""Makes the board's network, as it starts: forgotten afterwards. Only the kind of link that is used takes heap."""


def make_network(config, make_tls):
    """(link, what TLS begins with), once a boot: neither driver can be made a second time.

    An error of the hardware is no refusal of the configuration: the button works without a network, and a reset may
    mend it. `make_tls()` may raise ValueError, as the pins of Ethernet may.
    """
    try:
        if config["link"]["type"] != "none":
            from hal.esp32_start import name_network

            name_network(config)
        tls = make_tls()
        return _make_link(config["link"], config["secrets"]), tls
    except (OSError, RuntimeError, MemoryError) as error:
        return _no_link("the network's hardware: %s" % error), None


def _make_link(config, secrets):
    """`config`: the section "link"; its type "none" is the fallback of a board without a usable configuration."""
    if config["type"] == "none":
        return _no_link(None)
    from hal.esp32_start import static_address

    address = static_address(config)
    if config["type"] == "wifi":
        from hal.esp32_link import WifiLink

        return WifiLink(secrets["wifi_ssid"], secrets["wifi_password"], address)
    from hal.esp32_ethernet import EthernetLink

    return EthernetLink(config, address)


def _no_link(failure):
    from hal.esp32_nolink import NoLink

    return NoLink(failure)
