"""Real MQTT brokers on this machine: amqtt inside this process, or mosquitto as a process of its own.

Both listen on 127.0.0.1, keep their port over a restart, and are ready when `start()` returns: a CONNECT
was answered.

>>> with EmbeddedBroker() as broker:  # plain
...     print(broker.host, broker.port)
>>> with Mosquitto(tls=Tls(Authority(folder))) as broker:  # mutual TLS: common name = user name
...     broker.freeze()
"""

from sim.servers.broker.base import Broker, BrokerError, Tls
from sim.servers.broker.embedded import EmbeddedBroker, Published
from sim.servers.broker.mosquitto import Mosquitto
from sim.servers.broker.rabbitmq import RabbitMq

__all__ = ["Broker", "BrokerError", "EmbeddedBroker", "Mosquitto", "Published", "RabbitMq", "Tls"]
