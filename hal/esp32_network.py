"""Makes the board's network, as it starts: forgotten afterwards. Only the kind of link that is used takes heap."""

import machine
import network

_SPI_BAUD = 20000000
_LAN_PINS = ("mdc", "mdio", "power", "reset", "ref_clk", "cs", "int")


def make_network(config, make_tls):
    """(link, what TLS begins with), once a boot: neither driver can be made a second time.

    An error of the hardware is no refusal of the configuration: the button works without a network, and a reset may
    mend it. `make_tls()` may raise ValueError, as the pins of Ethernet may.
    """
    try:
        if config["link"]["type"] != "none":
            _name_network(config)
        tls = make_tls()
        return _make_link(config["link"], config["secrets"]), tls
    except (OSError, RuntimeError, MemoryError) as error:
        return _no_link("the network's hardware: %s" % error), None


def _make_link(config, secrets):
    """`config`: the section "link"; its type "none" is the fallback of a board without a usable configuration."""
    if config["type"] == "none":
        return _no_link(None)
    address = _static_address(config)
    if config["type"] == "wifi":
        from hal.esp32_link import WifiLink

        return WifiLink(secrets["wifi_ssid"], secrets["wifi_password"], address)
    from hal.esp32_ethernet import EthernetLink

    return EthernetLink(_lan(config), address)


def _lan(config):
    """An RMII PHY (ESP32 only: mdc, mdio) or a W5500 on SPI (every chip: spi, its pins, cs, int).

    Made once a boot: a second `network.LAN` fails, as `esp_netif_new` refuses the same key.
    """
    options = {"phy_addr": config["phy_addr"] or 0}
    for name in _LAN_PINS:
        if config[name] is not None:
            options[name] = machine.Pin(config[name])
    if config["ref_clk"] is not None:
        options["ref_clk_mode"] = machine.Pin.OUT if config["ref_clk_out"] else machine.Pin.IN
    if config["spi"] is not None:
        bus = {k: machine.Pin(config[k]) for k in ("sck", "mosi", "miso") if config[k] is not None}
        options["spi"] = machine.SPI(config["spi"], baudrate=_SPI_BAUD, **bus)  # type: ignore[call-overload]
    name = config["phy"] or "PHY_LAN8720"
    if not hasattr(network, name):
        raise ValueError("link.phy: this board's MicroPython has no %s" % name)
    options["phy_type"] = getattr(network, name)
    return network.LAN(**options)


def _no_link(failure):
    from hal.esp32_nolink import NoLink

    return NoLink(failure)


def _name_network(config):
    """Before an interface is up: the host name that DHCP servers see, and the country whose Wi-Fi channels count."""
    link = config["link"]
    network.hostname(link["hostname"] or config["device_id"])
    if link["country"]:
        network.country(link["country"])


def _static_address(config):
    """What `ifconfig` takes, or None: the address comes by DHCP."""
    if config["address"] is None:
        return None
    return tuple(config[key] for key in ("address", "netmask", "gateway", "dns"))
