"""Publishes messages as the deployed StudioML client does: same declarations, same routing, same properties.

usage: client.py URL QUEUE FILE...
"""

import sys

import pika

url, queue, files = sys.argv[1], sys.argv[2], sys.argv[3:]
connection = pika.BlockingConnection(pika.URLParameters(url + "?connection_attempts=30&retry_delay=.5&socket_timeout=5"))
channel = connection.channel()
channel.basic_qos(prefetch_count=0)
channel.exchange_declare(exchange="StudioML.topic", exchange_type="topic", durable=True, auto_delete=True)
channel.queue_declare(queue=queue)
channel.queue_bind(queue=queue, exchange="StudioML.topic", routing_key="StudioML." + queue)
channel.confirm_delivery()
for name in files:
    with open(name, encoding="utf-8") as file:
        channel.basic_publish(
            exchange="StudioML.topic",
            routing_key="StudioML." + queue,
            body=file.read(),
            properties=pika.BasicProperties(app_id="studioml", content_type="application/json"),
            mandatory=True,
        )
connection.close()
